/*
 * HTTP content codings: see http_coding.h.
 */
#include "daemon/net/http_coding.h"

#include "daemon/config/config.h"
#include "daemon/net/router.h"
#include "lib/packer.h"

#include <strings.h>

enum { WEIGHT_MAX = 1000, GZIP_LEAST = 18 };       /* qvalue has three digits; an empty gzip's bytes */

static bool is_named(struct bytes text, const char *name)
{
    return text.length == strlen(name) && strncasecmp((const char *)text.data, name, text.length) == 0;
}

static struct bytes trimmed(struct bytes text)
{
    while (text.length && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_of(text.data + 1, text.length - 1);
    while (text.length && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t'))
        text.length--;
    return text;
}

/* RFC 9110 section 12.4.2, in thousandths; what is malformed wants nothing. */
static unsigned weight_parse(struct bytes text)
{
    unsigned weight = 0, digit = WEIGHT_MAX;
    if (text.length < 3 || text.length > 7 || (text.data[0] | 0x20) != 'q' || text.data[1] != '=' || (text.length > 3 && text.data[3] != '.'))
        return 0;
    for (size_t i = 2; i < text.length; i += i == 2 ? 2 : 1, digit /= 10) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return 0;
        weight += digit * (text.data[i] - '0');
    }
    return weight <= WEIGHT_MAX ? weight : 0;
}

/* Takes a token apart: "gzip;q=0.5". */
static struct bytes coding_take(struct bytes token, unsigned *ret_weight)
{
    const unsigned char *semicolon = memchr(token.data, ';', token.length);
    *ret_weight = WEIGHT_MAX;
    if (!semicolon)
        return token;
    size_t length = (size_t)(semicolon - token.data);
    *ret_weight = weight_parse(trimmed(bytes_of(semicolon + 1, token.length - length - 1)));
    return trimmed(bytes_of(token.data, length));
}

bool coding_is_wanted(const struct http_head *head)
{
    unsigned gzip = 0, identity = 0, any = 0, weight;
    bool has_gzip = false;
    for (unsigned i = 0; i < head->header_count; i++) {
        struct bytes rest = head->headers[i].value, token;
        if (!is_named(head->headers[i].name, "accept-encoding"))
            continue;
        while (http_next_token(&rest, &token)) {
            struct bytes coding = coding_take(token, &weight);
            if (is_named(coding, "gzip") || is_named(coding, "x-gzip")) {
                has_gzip = true;
                gzip = weight;
            } else if (is_named(coding, "identity")) {
                identity = weight;
            } else if (bytes_is(coding, "*")) {
                any = weight;
            }
        }
    }
    gzip = has_gzip ? gzip : any;
    return gzip > 0 && gzip >= identity;
}

/* How often the body was coded with gzip, if with nothing else; -1: with something else. */
static int coding_count(const struct http_head *head)
{
    int count = 0;
    for (unsigned i = 0; i < head->header_count; i++) {
        struct bytes rest = head->headers[i].value, token;
        if (!is_named(head->headers[i].name, "content-encoding"))
            continue;
        while (http_next_token(&rest, &token)) {
            if (is_named(token, "gzip") || is_named(token, "x-gzip"))
                count++;
            else if (!is_named(token, "identity"))
                return -1;
        }
    }
    return count;
}

enum fault_id coding_check(const struct link *link, const struct request *request, const char **ret_headers, struct fault *fault)
{
    bool takes_gzip = request->endpoint->takes_gzip && link->worker->hub->config->compression.polls;
    int count = coding_count(request->head);
    if (count == 0 || (count == 1 && takes_gzip))
        return FAULT_NONE;
    *ret_headers = takes_gzip ? "Accept-Encoding: gzip\r\n" : "Accept-Encoding: identity\r\n";
    fault_set(fault, FAULT_BAD_CONTENT_CODING, takes_gzip ? "of content codings, one gzip is taken" : "send the body without Content-Encoding");
    return fault->id;
}

enum fault_id coding_read(struct link *link, const struct request *request, struct buf *scratch, struct bytes *ret, struct fault *fault)
{
    const struct config *config = link->worker->hub->config;
    *ret = request->body;
    if (coding_count(request->head) == 0)
        return FAULT_NONE;
    struct packer *packer = worker_packer(link->worker);
    if (!packer) {
        fault_set(fault, FAULT_INTERNAL, "out of memory");
        return fault->id;
    }
    if (packer_read_gzip(packer, request->body, config->http.body_bytes, scratch, fault) == DECODE_BAD) {
        if (fault->id == FAULT_TOO_LARGE)
            fault_set(fault, FAULT_TOO_LARGE, "a body may have %llu bytes (http.body-bytes)", (unsigned long long)config->http.body_bytes);
        return fault->id;
    }
    *ret = buf_bytes(scratch);
    return FAULT_NONE;
}

void coding_pack(struct link *link, struct response *response, struct buf *packed)
{
    const struct config *config = link->worker->hub->config;
    size_t length = response->body.length;
    if (!config->compression.polls)
        return;
    response->extra = "Vary: Accept-Encoding\r\n";
    if (!link->takes_gzip || length < GZIP_LEAST || length < config->compression.min_bytes)
        return;
    struct packer *packer = worker_packer(link->worker);
    if (packer && packer_add_gzip(packer, (unsigned)config->compression.level, response->body, length - 1, packed) == 0) {
        response->body = buf_bytes(packed);
        response->extra = "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n";
    }
}

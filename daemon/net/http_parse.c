/*
 * HTTP request heads: see http_parse.h. Headers and parameters as text are in http_fields.c, chunked bodies in
 * lib/http_chunked.c.
 */
#include "daemon/net/http_parse.h"

#include "lib/text.h"

#include <string.h>
#include <strings.h>

static bool is_alphanumeric(unsigned char byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* RFC 9110 section 5.6.2. */
static bool is_token_byte(unsigned char byte)
{
    return is_alphanumeric(byte) || byte == '-' || (byte && strchr("!#$%&'*+.^_`|~", byte));
}

static bool is_token(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if (!is_token_byte(text.data[i]))
            return false;
    return text.length > 0;
}

/* Finds the blank line; looks at each byte once over all calls. 0: not yet. */
static size_t find_end(struct bytes input, size_t *resume)
{
    size_t at = *resume > 3 ? *resume - 3 : 0;
    while (at < input.length) {
        const unsigned char *feed = memchr(input.data + at, '\n', input.length - at);
        if (!feed)
            break;
        at = (size_t)(feed - input.data) + 1;
        if (at >= 4 && memcmp(feed - 3, "\r\n\r\n", 4) == 0)
            return at;
    }
    *resume = input.length;
    return 0;
}

static enum decode check_partial(struct bytes input, size_t skipped, const struct http_limits *limits, struct fault *fault)
{
    if (input.length > limits->head_bytes_max)
        return fault_set(fault, FAULT_HEAD_TOO_LARGE, "a request's head may have %zu bytes", limits->head_bytes_max);
    if (input.length - skipped > limits->target_bytes_max + 32
        && !memchr(input.data + skipped, '\n', input.length - skipped))
        return fault_set(fault, FAULT_TARGET_TOO_LONG, "a request target may have %zu bytes", limits->target_bytes_max);
    return DECODE_MORE;
}

static enum http_method read_method(struct bytes text)
{
    static const struct { const char *name; enum http_method method; } methods[] = {
        {"GET", HTTP_GET}, {"HEAD", HTTP_HEAD}, {"POST", HTTP_POST}, {"PUT", HTTP_PUT},
        {"DELETE", HTTP_DELETE}, {"OPTIONS", HTTP_OPTIONS},
    };
    for (size_t i = 0; i < COUNT_OF(methods); i++)
        if (bytes_is(text, methods[i].name))
            return methods[i].method;
    return HTTP_OTHER;
}

static enum decode read_version(struct bytes text, struct http_head *ret, struct fault *fault)
{
    if (bytes_is(text, "HTTP/1.1") || bytes_is(text, "HTTP/1.0")) {
        ret->minor_version = text.data[7] == '1';
        return DECODE_DONE;
    }
    bool is_version = text.length == 8 && memcmp(text.data, "HTTP/", 5) == 0 && text.data[6] == '.'
        && text.data[5] >= '0' && text.data[5] <= '9' && text.data[7] >= '0' && text.data[7] <= '9';
    if (is_version)
        return fault_set(fault, FAULT_BAD_VERSION, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    return fault_set(fault, FAULT_BAD_REQUEST, "the request line does not end in an HTTP version");
}

/* Splits scheme and authority off an absolute-form target; *ret_authority is empty for origin-form. */
static bool split_absolute(struct bytes *target, struct bytes *ret_authority)
{
    static const char *const schemes[] = {"http://", "https://"};
    *ret_authority = (struct bytes){0};
    for (size_t i = 0; i < COUNT_OF(schemes); i++) {
        size_t length = strlen(schemes[i]);
        if (target->length <= length || strncasecmp((const char *)target->data, schemes[i], length) != 0)
            continue;
        struct bytes rest = bytes_of(target->data + length, target->length - length);
        size_t end = 0;
        while (end < rest.length && rest.data[end] != '/' && rest.data[end] != '?')
            end++;
        *ret_authority = bytes_of(rest.data, end);
        *target = bytes_of(rest.data + end, rest.length - end);
        if (target->length == 0)
            *target = BYTES("/");
        return end > 0 && target->data[0] == '/';
    }
    return target->length > 0 && target->data[0] == '/';
}

static enum decode read_target(struct bytes target, const struct http_limits *limits, struct http_head *ret,
                               struct bytes *ret_authority, struct fault *fault)
{
    if (target.length > limits->target_bytes_max)
        return fault_set(fault, FAULT_TARGET_TOO_LONG, "a request target may have %zu bytes", limits->target_bytes_max);
    for (size_t i = 0; i < target.length; i++)
        if (target.data[i] <= ' ' || target.data[i] >= 0x7f || target.data[i] == '#')
            return fault_set(fault, FAULT_BAD_REQUEST, "the request target has a byte that must be percent-encoded");
    *ret_authority = (struct bytes){0};
    bool is_asterisk = bytes_is(target, "*") && ret->method == HTTP_OPTIONS;
    if (!is_asterisk && !split_absolute(&target, ret_authority))
        return fault_set(fault, FAULT_BAD_REQUEST, "the request target must begin with / or http://");
    const unsigned char *mark = memchr(target.data, '?', target.length);
    size_t path_length = mark ? (size_t)(mark - target.data) : target.length;
    ret->path = bytes_of(target.data, path_length);
    ret->query = mark ? bytes_of(mark + 1, target.length - path_length - 1) : (struct bytes){0};
    return DECODE_DONE;
}

static enum decode read_request_line(struct bytes line, const struct http_limits *limits, struct http_head *ret,
                                     struct bytes *ret_authority, struct fault *fault)
{
    const unsigned char *first = memchr(line.data, ' ', line.length);
    const unsigned char *last = memrchr(line.data, ' ', line.length);
    if (!first || first == last)
        return fault_set(fault, FAULT_BAD_REQUEST, "the request line is not METHOD TARGET HTTP/1.1");
    ret->method_text = bytes_of(line.data, (size_t)(first - line.data));
    if (!is_token(ret->method_text))
        return fault_set(fault, FAULT_BAD_REQUEST, "the method is not a token");
    ret->method = read_method(ret->method_text);
    enum decode result = read_version(bytes_of(last + 1, (size_t)(line.data + line.length - last - 1)), ret, fault);
    if (result != DECODE_DONE)
        return result;
    if (bytes_is(ret->method_text, "CONNECT"))
        return fault_set(fault, FAULT_BAD_METHOD, "this is no proxy");
    return read_target(bytes_of(first + 1, (size_t)(last - first - 1)), limits, ret, ret_authority, fault);
}

static struct bytes trim(struct bytes text)
{
    while (text.length && (text.data[0] == ' ' || text.data[0] == '\t'))
        text = bytes_of(text.data + 1, text.length - 1);
    while (text.length && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t'))
        text.length--;
    return text;
}

static enum decode read_header(struct bytes line, const struct http_limits *limits, struct http_head *ret,
                               struct fault *fault)
{
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return fault_set(fault, FAULT_BAD_REQUEST, "folded header lines are not accepted");
    const unsigned char *colon = memchr(line.data, ':', line.length);
    if (!colon || !is_token(bytes_of(line.data, (size_t)(colon - line.data))))
        return fault_set(fault, FAULT_BAD_REQUEST, "a header's name is not a token followed by a colon");
    if (ret->header_count >= limits->header_count_max || ret->header_count >= HTTP_HEADERS_MAX)
        return fault_set(fault, FAULT_HEAD_TOO_LARGE, "a request may have %u headers", limits->header_count_max);
    struct http_header *header = &ret->headers[ret->header_count++];
    header->name = bytes_of(line.data, (size_t)(colon - line.data));
    header->value = trim(bytes_of(colon + 1, (size_t)(line.data + line.length - colon - 1)));
    for (size_t i = 0; i < header->value.length; i++) {
        unsigned char byte = header->value.data[i];
        if ((byte < ' ' && byte != '\t') || byte == 0x7f)
            return fault_set(fault, FAULT_BAD_REQUEST, "a header's value has a control byte");
    }
    return DECODE_DONE;
}

/* One line up to its CRLF; a bare CR or LF anywhere is refused. */
static enum decode next_line(struct bytes *rest, struct bytes *ret_line, struct fault *fault)
{
    const unsigned char *feed = memchr(rest->data, '\n', rest->length);
    size_t length = (size_t)(feed - rest->data);
    if (length == 0 || feed[-1] != '\r' || memchr(rest->data, '\r', length - 1))
        return fault_set(fault, FAULT_BAD_REQUEST, "a line does not end in CR LF");
    *ret_line = bytes_of(rest->data, length - 1);
    *rest = bytes_of(feed + 1, rest->length - length - 1);
    return DECODE_DONE;
}

static unsigned count_headers(const struct http_head *head, const char *name)
{
    unsigned count = 0;
    for (unsigned i = 0; i < head->header_count; i++)
        if (head->headers[i].name.length == strlen(name)
            && strncasecmp((const char *)head->headers[i].name.data, name, strlen(name)) == 0)
            count++;
    return count;
}

/* uri-host [":" port] (RFC 9110 section 7.2), without userinfo. */
static bool is_host(struct bytes host)
{
    if (host.length == 0)
        return false;
    size_t i = 0;
    if (host.data[0] == '[') {
        const unsigned char *end = memchr(host.data, ']', host.length);
        if (!end)
            return false;
        for (i = 1; host.data + i < end; i++)
            if (!strchr("0123456789abcdefABCDEF:.", host.data[i]))
                return false;
        i++;
    } else {
        while (i < host.length && host.data[i] != ':' && host.data[i] > ' ' && host.data[i] < 0x7f
               && (is_alphanumeric(host.data[i]) || host.data[i] == '.' || !strchr("/?#@\\\"<>[]^`{|},", host.data[i])))
            i++;
        if (i == 0)
            return false;
    }
    if (i == host.length)
        return true;
    if (host.data[i++] != ':')
        return false;
    for (; i < host.length; i++)
        if (host.data[i] < '0' || host.data[i] > '9')
            return false;
    return true;
}

static enum decode check_host(const struct http_head *head, struct bytes authority, struct fault *fault)
{
    unsigned count = count_headers(head, "host");
    struct bytes host = http_header(head, "host");
    if (count > 1 || (count == 0 && head->minor_version == 1))
        return fault_set(fault, FAULT_BAD_REQUEST, "there must be exactly one Host header");
    if (count && !is_host(host))
        return fault_set(fault, FAULT_BAD_REQUEST, "the Host header is not a host and port");
    if (authority.length && (count == 0 || host.length != authority.length
        || strncasecmp((const char *)host.data, (const char *)authority.data, host.length) != 0))
        return fault_set(fault, FAULT_BAD_REQUEST, "the target and the Host header name different hosts");
    return DECODE_DONE;
}

static enum decode read_length(struct http_head *ret, const struct http_limits *limits, struct fault *fault)
{
    struct bytes text = http_header(ret, "content-length");
    if (text.length > 19 || text_parse_uint(text, &ret->content_length) < 0)
        return fault_set(fault, FAULT_BAD_REQUEST, "Content-Length is not a whole number");
    ret->has_length = true;
    if (ret->content_length > limits->body_bytes_max)
        return fault_set(fault, FAULT_TOO_LARGE, "a body may have %llu bytes", (unsigned long long)limits->body_bytes_max);
    return DECODE_DONE;
}

/* How long the body is (RFC 9112 section 6.3), where two programs in a row must never differ. */
static enum decode check_body(struct http_head *ret, const struct http_limits *limits, struct fault *fault)
{
    unsigned lengths = count_headers(ret, "content-length"), codings = count_headers(ret, "transfer-encoding");
    if (lengths > 1 || (lengths && codings))
        return fault_set(fault, FAULT_BAD_REQUEST, "the length of the body is given twice");
    if (lengths)
        return read_length(ret, limits, fault);
    if (codings == 0)
        return DECODE_DONE;
    struct bytes coding = http_header(ret, "transfer-encoding");
    bool is_chunked = codings == 1 && coding.length == 7 && strncasecmp((const char *)coding.data, "chunked", 7) == 0;
    if (ret->minor_version == 0)
        return fault_set(fault, FAULT_BAD_REQUEST, "HTTP/1.0 has no Transfer-Encoding");
    if (!is_chunked)
        return fault_set(fault, FAULT_BAD_TRANSFER, "Transfer-Encoding must be just chunked");
    ret->is_chunked = true;
    return DECODE_DONE;
}

static enum decode check_connection(struct http_head *ret, struct fault *fault)
{
    bool closes = http_header_has_token(ret, "connection", "close");
    bool keeps = http_header_has_token(ret, "connection", "keep-alive");
    ret->keeps_alive = !closes && (ret->minor_version == 1 || keeps);
    ret->is_upgrade = http_header_has_token(ret, "connection", "upgrade");
    struct bytes expect = http_header(ret, "expect");
    if (!expect.data || ret->minor_version == 0)
        return DECODE_DONE;
    if (expect.length != 12 || strncasecmp((const char *)expect.data, "100-continue", 12) != 0)
        return fault_set(fault, FAULT_BAD_EXPECTATION, "only 100-continue can be expected");
    ret->expects_continue = true;
    return DECODE_DONE;
}

static void head_clear(struct http_head *head)
{
    /* Not the header table: header_count says how much of it is filled. */
    memset(head, 0, offsetof(struct http_head, headers));
    head->header_count = 0;
    head->head_bytes = 0;
}

enum decode http_parse_head(struct bytes input, const struct http_limits *limits, size_t *resume,
                            struct http_head *ret, struct fault *fault)
{
    /* One empty line before a request is forgiven (RFC 9112 section 2.2). */
    size_t skipped = input.length >= 2 && memcmp(input.data, "\r\n", 2) == 0 ? 2 : 0;
    size_t length = find_end(input, resume);
    if (skipped && length == 0 && input.length == 2)
        return DECODE_MORE;
    if (length == 0)
        return check_partial(input, skipped, limits, fault);
    if (length > limits->head_bytes_max)
        return fault_set(fault, FAULT_HEAD_TOO_LARGE, "a request's head may have %zu bytes", limits->head_bytes_max);

    head_clear(ret);
    ret->head_bytes = length;
    struct bytes rest = bytes_of(input.data + skipped, length - skipped - 2), line = BYTES(""), authority = {0};
    if (rest.length == 0 || length < skipped + 4)
        return fault_set(fault, FAULT_BAD_REQUEST, "the request is empty");
    enum decode result = next_line(&rest, &line, fault);
    if (result == DECODE_DONE)
        result = read_request_line(line, limits, ret, &authority, fault);
    while (result == DECODE_DONE && rest.length) {
        result = next_line(&rest, &line, fault);
        if (result == DECODE_DONE && line.length == 0)
            result = fault_set(fault, FAULT_BAD_REQUEST, "the head has an empty line too many");
        if (result == DECODE_DONE)
            result = read_header(line, limits, ret, fault);
    }
    if (result == DECODE_DONE)
        result = check_host(ret, authority, fault);
    if (result == DECODE_DONE)
        result = check_body(ret, limits, fault);
    if (result == DECODE_DONE)
        result = check_connection(ret, fault);
    return result;
}

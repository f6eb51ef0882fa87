/*
 * Bench handshake: see bench_handshake.h.
 */
#include "cli/bench_handshake.h"

#include "lib/json.h"
#include "lib/text.h"

#include <stdio.h>
#include <strings.h>
#include <sysexits.h>

static const char *protocol_name(bool is_msgpack)
{
    return is_msgpack ? "rtc.v1.msgpack" : "rtc.v1.json";
}

void bench_handshake_ask(struct bench_client *client, const struct bench_target *target, bool is_msgpack, struct random_pool *random)
{
    unsigned char nonce[16];
    struct buf key = {0};
    random_take(random, nonce, sizeof(nonce));
    text_add_base64(&key, bytes_of(nonce, sizeof(nonce)));
    if (ws_accept(buf_bytes(&key), client->accept) < 0)
        client->accept[0] = '\0';       /* out of memory: no answer is right then */
    buf_add_format(&client->out, "GET %.*s HTTP/1.1\r\nHost: %.*s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: %.*s\r\nSec-WebSocket-Protocol: %s\r\n\r\n",
                   (int)target->path.length, (const char *)target->path.data, (int)target->authority.length,
                   (const char *)target->authority.data, (int)key.length, (const char *)key.data, protocol_name(is_msgpack));
    buf_done(&key);
}

/* A field's value without the blanks around it; empty when there is no such field. `head` ends with its empty line. */
static struct bytes head_field(struct bytes head, const char *name)
{
    size_t length = strlen(name);
    const unsigned char *end = head.data + head.length;
    for (const unsigned char *line = head.data, *next; line < end; line = next + 1) {
        next = memchr(line, '\n', (size_t)(end - line));
        if (!next)
            break;
        if ((size_t)(next - line) <= length || line[length] != ':' || strncasecmp((const char *)line, name, length) != 0)
            continue;
        const unsigned char *from = line + length + 1, *to = next;
        while (from < to && (*from == ' ' || *from == '\t'))
            from++;
        while (to > from && (to[-1] == ' ' || to[-1] == '\t' || to[-1] == '\r'))
            to--;
        return bytes_of(from, (size_t)(to - from));
    }
    return (struct bytes){0};
}

static const struct refusal { unsigned http_status; int status; const char *hint; } refusals[] = {
    {401, EX_NOPERM, "; see --token"}, {403, EX_NOPERM, ""},
    {404, EX_PROTOCOL, "; the URL ends with http.base-path of its config (/rtc)"},
    {429, EX_TEMPFAIL, "; see limits.connections-per-address and -per-user in its config"}, {503, EX_TEMPFAIL, "; see limits.connections in its config"},
    {0, EX_PROTOCOL, ""},
};

/* problem+json (RFC 9457) has the reason in words. */
static void fail_refused(unsigned http_status, struct bytes body, struct bench_failure *failure)
{
    struct json_scan scan;
    struct bytes json, text;
    struct buf scratch = {0}, shown = {0};
    const struct refusal *refusal = refusals;
    while (refusal->http_status && refusal->http_status != http_status)
        refusal++;
    json_scan_init(&scan, body);
    if (json_take_all(&scan, JSON_DEPTH_MAX, &json) == 0
        && (json_string(json_member(json, "detail"), &scratch, &text) == 0
            || json_string(json_member(json, "title"), &scratch, &text) == 0)) {
        buf_add_text(&shown, ": ");
        text_add_escaped(&shown, text, 300);
    }
    bench_fail(failure, refusal->status, "the server refuses a connection with HTTP status %u%s%s", http_status, buf_text(&shown),
               refusal->hint);
    buf_done(&scratch);
    buf_done(&shown);
}

static void fail_nonsense(struct bytes input, struct bench_failure *failure)
{
    struct buf shown = {0};
    text_add_escaped(&shown, input, 60);
    bench_fail(failure, EX_PROTOCOL, "the server does not speak HTTP; it says: %s", buf_text(&shown));
    buf_done(&shown);
}

static bool is_agreed(const struct bench_client *client, struct bytes head, bool is_msgpack, struct bench_failure *failure)
{
    const char *wrong = NULL;
    if (!client->accept[0] || !bytes_is(head_field(head, "Sec-WebSocket-Accept"), client->accept))
        wrong = "Sec-WebSocket-Accept is not what follows from the key";
    else if (!bytes_is(head_field(head, "Sec-WebSocket-Protocol"), protocol_name(is_msgpack)))
        wrong = is_msgpack ? "it does not speak rtc.v1.msgpack" : "it does not speak rtc.v1.json";
    else if (head_field(head, "Sec-WebSocket-Extensions").length)
        wrong = "it uses an extension that nobody offered";
    if (wrong)
        bench_fail(failure, EX_PROTOCOL, "the server's WebSocket handshake is wrong: %s", wrong);
    return !wrong;
}

enum decode bench_handshake_read(struct bench_client *client, struct bytes input, bool is_msgpack, size_t *ret_used,
                                 struct bench_failure *failure)
{
    static const char start[] = "HTTP/1.1 ";
    unsigned http_status = 0;
    const unsigned char *end = memmem(input.data, input.length, "\r\n\r\n", 4);
    *ret_used = 0;
    if (memcmp(input.data, start, MIN(input.length, sizeof(start) - 1)) != 0 || (!end && input.length >= HANDSHAKE_BYTES_MAX)) {
        fail_nonsense(input, failure);
        return DECODE_BAD;
    }
    if (!end)
        return DECODE_MORE;
    struct bytes head = bytes_of(input.data, (size_t)(end - input.data) + 4);
    for (const unsigned char *digit = head.data + sizeof(start) - 1; *digit >= '0' && *digit <= '9' && http_status < 100; digit++)
        http_status = http_status * 10 + *digit - '0';
    if (http_status == 101) {
        *ret_used = head.length;
        return is_agreed(client, head, is_msgpack, failure) ? DECODE_DONE : DECODE_BAD;
    }
    struct bytes body = bytes_of(input.data + head.length, input.length - head.length);
    uint64_t body_bytes = 0;
    if (text_parse_uint(head_field(head, "Content-Length"), &body_bytes) == 0 && body.length < body_bytes
        && input.length < HANDSHAKE_BYTES_MAX)
        return DECODE_MORE;
    fail_refused(http_status, body, failure);
    return DECODE_BAD;
}

void bench_handshake_ended(struct bench_client *client, struct bench_failure *failure)
{
    if (client->in.length == 0)
        bench_fail(failure, EX_PROTOCOL, "the server hung up without an answer to the WebSocket handshake");
    else
        bench_fail(failure, EX_PROTOCOL, "the server hung up in the middle of its answer to the WebSocket handshake");
}

/*
 * Peer plugins: see peer.h.
 */
#include "tests/client/peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static void add(struct rtc_sink *sink, const char *text)
{
    rtc_sink_add(sink, text, strlen(text));
}

static enum rtc_code encode(const struct rtc_envelope *envelope, struct rtc_sink *sink, void *argument)
{
    char id[64];
    add(sink, "{\"by\":\"peer\",\"eventName\":\"");
    rtc_sink_add(sink, envelope->event_name.data, envelope->event_name.length);
    add(sink, "\"");
    if (envelope->json.length) {
        add(sink, ",\"data\":");
        rtc_sink_add(sink, envelope->json.data, envelope->json.length);
    }
    if (envelope->to.kind == RTC_TO_GROUP) {
        add(sink, ",\"to\":{\"group\":\"");
        add(sink, envelope->to.name);
        add(sink, "\"}");
    }
    snprintf(id, sizeof(id), envelope->id ? ",\"id\":%llu}" : "}", (unsigned long long)envelope->id);
    add(sink, id);
    return RTC_OK;
}

/* The value behind "name": as far as rtcd writes it, which is all that this has to read. */
static struct rtc_bytes find(struct rtc_bytes text, const char *name)
{
    char key[32];
    int length = snprintf(key, sizeof(key), "\"%s\":", name);
    const char *start = memmem(text.data, text.length, key, (size_t)length);
    const char *end = (const char *)text.data + text.length;
    if (!start)
        return (struct rtc_bytes){0};
    start += length;
    const char *at = start;
    unsigned depth = 0;
    for (bool is_quoted = false; at < end; at++) {
        if (*at == '"' && at[-1] != '\\')
            is_quoted = !is_quoted;
        if (is_quoted)
            continue;
        if (depth == 0 && (*at == ',' || *at == '}' || *at == ']'))
            break;
        depth += (*at == '{' || *at == '[') - (*at == '}' || *at == ']');
    }
    return (struct rtc_bytes){start, (size_t)(at - start)};
}

static struct rtc_bytes unquote(struct rtc_bytes text)
{
    return text.length < 2 ? (struct rtc_bytes){0} : (struct rtc_bytes){(const char *)text.data + 1, text.length - 2};
}

static enum rtc_code decode(struct rtc_bytes text, struct rtc_envelope *ret, void *argument)
{
    *ret = (struct rtc_envelope){.event_name = unquote(find(text, "eventName")), .json = find(text, "data"), .group = unquote(find(text, "group"))};
    struct rtc_bytes id = find(text, "id"), error = find(text, "error");
    if (error.length) {
        ret->json = error;
        ret->is_error = true;
    }
    ret->id = id.length ? strtoull(id.data, NULL, 10) : 0;
    return ret->event_name.length ? RTC_OK : RTC_BAD_ANSWER;
}

const struct rtc_codec *peer_codec(void)
{
    static const struct rtc_codec codec = {.name = "json", .encode = encode, .decode = decode};
    return &codec;
}

struct lines {
    struct rtc_link *link;
    struct rtc_watch *watch;
    int descriptor;
    char *input;
    size_t length;
};

static void lines_fail(struct lines *lines, const char *what)
{
    struct rtc_error why = {.code = RTC_NETWORK};
    snprintf(why.message, sizeof(why.message), "%s", what);
    rtc_link_failed(lines->link, &why, true);
}

static void lines_on_ready(void *argument, uint32_t events)
{
    struct lines *lines = argument;
    ssize_t got = read(lines->descriptor, lines->input + lines->length, 65536 - lines->length);
    if (got < 0 && errno == EAGAIN)
        return;
    if (got <= 0) {
        rtc_watch_free(lines->watch);
        lines->watch = NULL;
        lines_fail(lines, "the bridge hung up");
        return;
    }
    lines->length += (size_t)got;
    char *start = lines->input, *end;
    while ((end = memchr(start, '\n', lines->length))) {
        rtc_link_envelope(lines->link, (struct rtc_bytes){start, (size_t)(end - start)});
        lines->length -= (size_t)(end + 1 - start);
        start = end + 1;
    }
    memmove(lines->input, start, lines->length);
}

static void lines_send(void *transport, uint64_t first, const struct rtc_bytes *envelopes, size_t count)
{
    struct lines *lines = transport;
    for (size_t i = 0; i < count; i++)
        if (send(lines->descriptor, envelopes[i].data, envelopes[i].length, MSG_NOSIGNAL) < 0 || send(lines->descriptor, "\n", 1, MSG_NOSIGNAL) < 0)
            break;
}

static void *lines_open(struct rtc_link *link, void *argument)
{
    struct lines *lines = calloc(1, sizeof(*lines));
    const struct sockaddr_in *address = argument;
    char greeting[512];
    if (!lines)
        return NULL;
    lines->link = link;
    lines->input = malloc(65536);
    lines->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(lines->descriptor, (const struct sockaddr *)address, sizeof(*address)) < 0) {
        lines_fail(lines, "the bridge cannot be reached");
        return lines;
    }
    lines->watch = rtc_link_watch(link, lines->descriptor, EPOLLIN, lines_on_ready, lines);
    snprintf(greeting, sizeof(greeting), "%s %llu", rtc_link_token(link), (unsigned long long)rtc_link_received(link));
    struct rtc_bytes line = {greeting, strlen(greeting)};
    lines_send(lines, 0, &line, 1);
    return lines;
}

static bool lines_is_writable(void *transport)
{
    return true;
}

static void lines_close(void *transport, bool is_final)
{
    struct lines *lines = transport;
    rtc_watch_free(lines->watch);
    close(lines->descriptor);
    free(lines->input);
    free(lines);
}

const struct rtc_transport_kind *peer_transport(uint16_t port)
{
    static struct sockaddr_in address;
    static struct rtc_transport_kind kind = {.name = "lines", .open = lines_open, .send = lines_send, .is_writable = lines_is_writable,
                                             .close = lines_close, .argument = &address};
    address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    return &kind;
}

/*
 * The whole life of connections: one real worker, its turns called one by one, over socket pairs, with a scripted clock and
 * fixed random numbers. The input is a list of steps: links come and go, bytes, requests and frames are sent (with tokens that
 * the daemon gave out), answers are read or left unread, time passes, others publish, a judge comes and goes and has its say. Afterwards everybody leaves, time
 * passes, and nothing may be left: no link, no connection, no group, and (AddressSanitizer) no memory.
 */
#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/core/message.h"
#include "daemon/dialect/dialects.h"
#include "daemon/net/http.h"
#include "daemon/net/link.h"
#include "daemon/transport/transports.h"
#include "lib/ws_frame.h"
#include "tests/fuzz/fuzz_connection.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PEERS = 4, TOKENS = 4, SEND_BUFFER = 4608, STEPS_MAX = 400, HOUR_MS = 3600 * 1000 };

struct world {
    struct gate_judge judge;
    struct list calls;                  /* that the judge has, oldest first */
    struct config *config;              /* of all inputs */
    struct exchange *exchange;
    struct mailbox mailboxes[2];        /* the worker's, the main thread's */
    struct worker *worker;
    int peers[PEERS];                   /* the clients' ends; -1: none */
    char tokens[TOKENS][TOKEN_TEXT + 1];
    unsigned token_count;
    struct bytes steps;
};

void (*fuzz_connection_on_steps)(bool begin);
static struct world world;
static uint64_t now_ms;
static unsigned char random_byte;

/* The same for every run of an input. */
ssize_t getrandom(void *data, size_t length, unsigned flags)
{
    for (size_t i = 0; i < length; i++)
        ((unsigned char *)data)[i] = (unsigned char)(random_byte = (unsigned char)(random_byte * 5 + 1));
    return (ssize_t)length;
}

static uint64_t clock_scripted(void)
{
    return now_ms;
}

static int on_post(void *argument, unsigned worker, const struct letter *letter)
{
    return mailbox_post(&world.mailboxes[worker == MAIN_MAILBOX], letter);
}

static bool on_has_room(void *argument, unsigned worker)
{
    return mailbox_has_room(&world.mailboxes[worker == MAIN_MAILBOX]);
}

static void on_settle(void *argument, unsigned worker)
{
    worker_settle(world.worker);
}

static void must(bool is_true)
{
    if (!is_true)
        abort();
}

static void on_take(struct gate_judge *judge, struct gate_call *call)
{
    list_append(&world.calls, &call->node);
}

/* The main thread's part of a turn. */
static void world_turn(void)
{
    struct letter letter;
    worker_turn(world.worker, 0);
    while (mailbox_take(&world.mailboxes[1], &letter)) {
        must(letter.kind == LETTER_GATE);
        gate_take(world.exchange, letter.gate_call);
    }
    gate_settle(&world.exchange->gate);
}

/* The judge comes, goes, or says something to the one who has waited longest. */
static void judge(unsigned what)
{
    struct verdict *verdict;
    if (what % 4 < 2) {
        gate_set_judge(&world.exchange->gate, what % 4 ? NULL : &world.judge);
        return;
    }
    if (list_is_empty(&world.calls))
        return;
    struct gate_call *call = CONTAINER_OF(world.calls.next, struct gate_call, node);
    verdict = &call->verdict;
    if (what & 1)
        (void)!verdict_refuse(verdict, BYTES("forbidden"), BYTES("no"), NULL);
    if (what & 4)
        (void)!verdict_add_group(verdict, BYTES("g"), NULL);
    if (what & 8)
        (void)!verdict_set_user(verdict, BYTES("u"), NULL);
    if (what & 16)
        (void)!verdict_add_label(verdict, BYTES("l"), BYTES("v"), NULL);
    if (what & 32)
        (void)!verdict_withhold(verdict, BYTES("websocket"), NULL);
    if ((what & 192) == 192)
        (void)!verdict_redirect(verdict, BYTES("https://a/rtc"), BYTES(""), NULL);
    list_remove(&call->node);
    gate_answer(call);
}

static void world_load_config(void)
{
    static const char *const overrides[] = {
        "connection.anonymous=true", "connection.claimed-users=true", "publish.to-group=anyone", "publish.to-all=true",
        "publish.to-user=true", "publish.to-connection=true", "connection.message-bytes=4KiB", "connection.message-fragments=8",
        "queue.bytes=16KiB", "queue.envelopes=32", "resume.envelopes=8", "resume.bytes=8KiB", "resume.parked=4",
        "resume.parked-per-user=2", "connection.groups=3", "limits.connections=8", "http.body-bytes=4KiB", "limits.mailbox=64",
        "limits.fanout-slice=16", "gate.waiting=3", "compression.websocket=true", "compression.polls=true", "compression.min-bytes=64",
    };
    struct buf problems = {0};
    must(config_load(NULL, overrides, COUNT_OF(overrides), &world.config, &problems) == 0);
    buf_done(&problems);
    for (enum log_area area = 0; area < LOG_AREA_COUNT; area++)
        log_set_level(area, LOG_LEVEL_ERROR);
}

static void world_start(void)
{
    static struct router router;
    struct ports ports = {.post = on_post, .has_room = on_has_room, .settle = on_settle};
    router = (struct router){dialect_fronts, dialect_count, transport_fronts, TRANSPORT_COUNT};
    now_ms = 1000000;
    random_byte = 7;
    world.token_count = 0;
    world.judge.take = on_take;
    list_init(&world.calls);
    for (unsigned i = 0; i < PEERS; i++)
        world.peers[i] = -1;
    for (unsigned i = 0; i < COUNT_OF(world.mailboxes); i++)
        must(mailbox_init(&world.mailboxes[i], world.config->limits.mailbox) == 0);
    world.exchange = exchange_new(1, &ports);
    world.worker = calloc(1, sizeof(*world.worker));
    must(world.exchange && world.worker);
    world.worker->clock_ms = clock_scripted;
    must(worker_init(world.worker, 0, world.exchange, config_ref(world.config), &router, world.mailboxes, 1) == 0);
    worker_begin(world.worker);
}

static void world_stop(void)
{
    struct letter stop = {.kind = LETTER_STOP}, letter;
    must(on_post(NULL, 0, &stop) == 0);
    for (unsigned i = 0; i < 100 && !worker_is_finished(world.worker); i++, now_ms += 100)
        worker_turn(world.worker, 0);
    must(worker_is_finished(world.worker));
    worker_end(world.worker);
    worker_done(world.worker);
    while (mailbox_take(&world.mailboxes[1], &letter))
        must(letter.kind == LETTER_NOTICE);
    for (unsigned i = 0; i < COUNT_OF(world.mailboxes); i++)
        mailbox_done(&world.mailboxes[i]);
    exchange_free(world.exchange);
    free(world.worker);
}

/* The input */

static unsigned take_byte(void)
{
    if (world.steps.length == 0)
        return 0;
    unsigned byte = world.steps.data[0];
    world.steps = bytes_of(world.steps.data + 1, world.steps.length - 1);
    return byte;
}

static struct bytes take_bytes(void)
{
    size_t length = MIN((size_t)take_byte(), world.steps.length);
    struct bytes taken = bytes_of(world.steps.data, length);
    world.steps = bytes_of(world.steps.data + length, world.steps.length - length);
    return taken;
}

/* What clients do */

static void peer_open(unsigned peer)
{
    int pair[2], size = SEND_BUFFER;
    struct peer_address address = {.family = AF_INET, .port = (uint16_t)(peer + 1)};
    if (world.peers[peer] >= 0 || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) < 0)
        return;
    setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    world.peers[peer] = pair[1];
    struct link *link = link_new(world.worker, pair[0], &address, sizeof(struct link));
    must(link || fuzz_connection_on_steps);
    if (link)
        http_start(link);
}

static void peer_close(unsigned peer)
{
    if (world.peers[peer] >= 0)
        close(world.peers[peer]);
    world.peers[peer] = -1;
}

static void peer_send(unsigned peer, struct bytes bytes)
{
    if (world.peers[peer] >= 0 && send(world.peers[peer], bytes.data, bytes.length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        must(errno != EBADF);
}

/* A text in which $ stands for a token that the daemon gave out. */
static void peer_say(unsigned peer, const char *text, unsigned token)
{
    struct buf out = {0};
    for (; *text; text++) {
        if (*text == '$')
            buf_add_text(&out, world.tokens[token % TOKENS]);
        else
            buf_add_byte(&out, (unsigned char)*text);
    }
    peer_send(peer, buf_bytes(&out));
    buf_done(&out);
}

static void peer_frame(unsigned peer, unsigned first, struct bytes payload)
{
    static const unsigned char mask[4] = {1, 2, 3, 4};
    struct buf out = {0};
    ws_add_masked_frame(&out, first & 15, payload, mask);
    if (first & 16 && out.length)
        out.data[0] &= 0x7f;
    if (first & 32 && out.length)
        out.data[0] |= WS_PACKED;
    peer_send(peer, buf_bytes(&out));
    buf_done(&out);
}

/* Tokens are looked for in what came; those before are forgotten in turn. */
static void peer_read(unsigned peer)
{
    static const char name[] = "connectionToken\":\"";
    char text[65536];
    ssize_t got = world.peers[peer] < 0 ? -1 : recv(world.peers[peer], text, sizeof(text) - 1, MSG_DONTWAIT);
    if (got <= 0)
        return;
    const char *end = text + got, *at = text;
    while ((at = memmem(at, (size_t)(end - at), name, sizeof(name) - 1)) && end - at > (ssize_t)sizeof(name) + TOKEN_TEXT) {
        at += sizeof(name) - 1;
        snprintf(world.tokens[world.token_count++ % TOKENS], TOKEN_TEXT + 1, "%.*s", TOKEN_TEXT, at);
    }
}

#define HANDSHAKE "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" \
    "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
static const char *const requests[] = {
    "GET /rtc/websocket?group=g&user=u HTTP/1.1\r\n" HANDSHAKE "\r\n",
    "GET /rtc/websocket?token=$&received=0 HTTP/1.1\r\n" HANDSHAKE "Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n",
    "GET /rtc/websocket?token=$&received=3 HTTP/1.1\r\n" HANDSHAKE "Sec-WebSocket-Protocol: rtc.v1.msgpack\r\n\r\n",
    "GET /rtc/websocket?group=g HTTP/1.1\r\n" HANDSHAKE "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10\r\nSec-WebSocket-Protocol: rtc.v1.msgpack\r\n\r\n",
    "GET /rtc/sse?group=g HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /rtc/sse?token=$ HTTP/1.1\r\nHost: a\r\nLast-Event-ID: 1\r\n\r\n",
    "GET /rtc/poll?group=g&wait=0 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /rtc/poll?token=$&received=0&wait=1000 HTTP/1.1\r\nHost: a\r\n\r\n",
    "GET /rtc/poll?token=$&received=2 HTTP/1.1\r\nHost: a\r\nAccept-Encoding: gzip\r\nAccept: application/msgpack\r\n\r\n",
    "POST /rtc/negotiate HTTP/1.1\r\nHost: a\r\nContent-Length: 29\r\n\r\n{\"transports\":[\"websocket\"]}\n",
    "POST /rtc/send?token=$ HTTP/1.1\r\nHost: a\r\nContent-Length: 58\r\n\r\n"
        "[{\"eventName\":\"e\",\"data\":1,\"to\":{\"group\":\"g\"},\"id\":1}]    ",
    "POST /rtc/send?token=$&first=1 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
        "2a\r\n[{\"eventName\":\"rtc.join\",\"data\":{\"group\":\r\n5\r\n\"h\"}}\r\n1\r\n]\r\n0\r\n\r\n",
    "DELETE /rtc/connection?token=$ HTTP/1.1\r\nHost: a\r\n\r\n",
    "OPTIONS /rtc/send HTTP/1.1\r\nHost: a\r\nOrigin: http://a\r\nAccess-Control-Request-Method: POST\r\n\r\n",
};
static const char *const envelopes[] = {
    "{\"eventName\":\"e\",\"data\":[1],\"to\":{\"group\":\"g\"},\"id\":1}", "{\"eventName\":\"e\",\"to\":{\"all\":true,\"exceptSelf\":true}}",
    "{\"eventName\":\"e\",\"to\":{\"user\":\"u\"}}", "{\"eventName\":\"rtc.join\",\"data\":{\"group\":\"h\"},\"id\":2}",
    "{\"eventName\":\"rtc.join\",\"data\":{\"group\":\"i\"}}", "{\"eventName\":\"rtc.leave\",\"data\":{\"group\":\"g\"},\"id\":3}",
    "{\"eventName\":\"rtc.ack\",\"data\":{\"received\":1}}", "{\"eventName\":\"rtc.ack\",\"data\":{\"received\":99}}",
    "{\"eventName\":\"rtc.ping\",\"data\":\"x\"}", "{\"eventName\":\"rtc.pong\"}", "{\"eventName\":\"rtc.close\"}", "{\"eventName\":",
};

/* Somebody else publishes, with data of a size that counts. */
static void publish(unsigned size)
{
    char data[4096];
    struct target to = {.kind = size & 1 ? TARGET_ALL : TARGET_GROUP, .name = size & 1 ? (struct bytes){0} : BYTES("g")};
    size_t length = MIN((size_t)size * 16 + 2, sizeof(data));
    memset(data, 'x', length);
    data[0] = data[length - 1] = '"';
    struct envelope envelope = {.event_name = BYTES("n"), .data = bytes_of(data, length), .group = to.name, .data_codec = CODEC_JSON};
    SCOPED(message) message = message_new(&envelope);
    unsigned recipients;
    must(message || fuzz_connection_on_steps);
    int r = message ? exchange_publish(world.exchange, world.config, message, &to, 0, &recipients) : -ENOMEM;
    must(r == 0 || r == -EAGAIN || (r == -ENOMEM && fuzz_connection_on_steps));
}

static void step(void)
{
    unsigned byte = take_byte(), peer = byte >> 4 & 3;
    switch (byte & 15) {
    case 0:
        peer_open(peer);
        break;
    case 1:
        peer_close(peer);
        break;
    case 2:
        peer_send(peer, take_bytes());
        break;
    case 3:
    case 4:
    case 5:
        peer_open(peer);
        byte = take_byte();
        peer_say(peer, requests[byte % COUNT_OF(requests)], byte / COUNT_OF(requests));
        break;
    case 6:
    case 7:
        byte = take_byte();
        peer_frame(peer, WS_TEXT, bytes_text(envelopes[byte % COUNT_OF(envelopes)]));
        break;
    case 8:
        byte = take_byte();
        peer_frame(peer, byte, take_bytes());
        break;
    case 9:
    case 10:
        peer_read(peer);
        break;
    case 11:
        now_ms += take_byte();
        break;
    case 12:
        now_ms += take_byte() * 1000u;
        break;
    case 13:
        publish(take_byte());
        break;
    case 14:
        judge(take_byte());
        break;
    default:
        if (world.peers[peer] >= 0)
            shutdown(world.peers[peer], SHUT_WR);
    }
}

static void check_nothing_is_left(void)
{
    const struct hub *hub = world.worker->hub;
    for (unsigned i = 0; i < PEERS; i++)
        peer_close(i);
    gate_set_judge(&world.exchange->gate, NULL);
    while (!list_is_empty(&world.calls))
        judge(2);
    for (unsigned i = 0; i < 8; i++, now_ms += HOUR_MS)
        world_turn();
    must(atomic_load(&world.exchange->gate.waiting) == 0 && table_count(&world.worker->hub->labels) == 0);
    must(world.worker->link_count == 0 && limits_connection_count(world.exchange->limits) == 0);
    must(hub->free_count == hub->slot_count);
    for (unsigned i = 0; i < CONNECTION_STATE_COUNT; i++)
        must(hub->state_counts[i] == 0);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (!world.config)
        world_load_config();
    world_start();
    world.steps = bytes_of(data, size);
    if (fuzz_connection_on_steps)
        fuzz_connection_on_steps(true);
    for (unsigned i = 0; i < STEPS_MAX && world.steps.length; i++) {
        step();
        world_turn();
    }
    if (fuzz_connection_on_steps)
        fuzz_connection_on_steps(false);
    check_nothing_is_left();
    world_stop();
    return 0;
}

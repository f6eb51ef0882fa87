/*
 * A world with the gate: two real workers whose turns are called one by one, clients over socket pairs, and a judge that whoever includes
 * this plays.
 */
#pragma once

#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/dialect/dialects.h"
#include "daemon/net/http.h"
#include "daemon/transport/transports.h"
#include "lib/ws_frame.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

enum { CALLS = 8, WAITING = 4, WORKERS = 2, SECOND_MS = 1000 };
#define HEAD "Host: a\r\n"
#define UPGRADE HEAD "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
#define NEGOTIATE "POST /rtc/negotiate HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n"

struct world {
    struct gate_judge judge;
    struct gate_call *calls[CALLS];     /* with the judge */
    unsigned call_count;
    struct config *config;
    struct exchange *exchange;
    struct mailbox mailboxes[WORKERS + 1];      /* the last is the main thread's */
    struct router router;
    struct worker *workers[WORKERS];
    struct worker *worker;              /* the first */
    char heard[16384];
};

static uint64_t now_ms;

static inline uint64_t clock_scripted(void)
{
    return now_ms;
}

static inline uint64_t on_wall_ms(void *argument)
{
    return now_ms;
}

static inline int on_post(void *argument, unsigned worker, const struct letter *letter)
{
    return mailbox_post(&((struct world *)argument)->mailboxes[worker == MAIN_MAILBOX ? WORKERS : worker], letter);
}

static inline bool on_has_room(void *argument, unsigned worker)
{
    return true;
}

static inline void on_settle(void *argument, unsigned worker)
{
    worker_settle(((struct world *)argument)->workers[worker]);
}

static inline void on_take(struct gate_judge *judge, struct gate_call *call)
{
    struct world *world = CONTAINER_OF(judge, struct world, judge);
    assert_true(world->call_count < CALLS);
    world->calls[world->call_count++] = call;
}

static inline void turn(struct world *world)
{
    struct letter letter;
    for (unsigned i = 0; i < 4; i++) {
        for (unsigned worker = 0; worker < WORKERS; worker++)
            worker_turn(world->workers[worker], 0);
        while (mailbox_take(&world->mailboxes[WORKERS], &letter)) {
            assert_int_equal(letter.kind, LETTER_GATE);
            gate_take(world->exchange, letter.gate_call);
        }
    }
}

static inline struct world *start_with(const char *more)
{
    struct world *world = calloc(1, sizeof(*world));
    struct buf problems = {0};
    const char *const overrides[] = {"connection.anonymous=true", "connection.claimed-users=true", "gate.waiting=4", "gate.timeout=10s",
                                     "gate.headers=cookie,user-agent", more};
    assert_int_equal(config_load(NULL, overrides, COUNT_OF(overrides), &world->config, &problems), 0);
    buf_done(&problems);
    for (enum log_area area = 0; area < LOG_AREA_COUNT; area++)
        log_set_level(area, LOG_LEVEL_ERROR);
    struct ports ports = {.post = on_post, .has_room = on_has_room, .settle = on_settle, .wall_ms = on_wall_ms, .now_ms = on_wall_ms,
                          .argument = world};
    world->router = (struct router){dialect_fronts, dialect_count, transport_fronts, TRANSPORT_COUNT};
    now_ms = 1000000;
    for (unsigned i = 0; i < COUNT_OF(world->mailboxes); i++)
        assert_int_equal(mailbox_init(&world->mailboxes[i], 64), 0);
    world->exchange = exchange_new(WORKERS, &ports);
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *worker = world->workers[i] = calloc(1, sizeof(*worker));
        worker->clock_ms = clock_scripted;
        assert_int_equal(worker_init(worker, i, world->exchange, world->config, &world->router, world->mailboxes, WORKERS), 0);
        worker_begin(worker);
    }
    world->worker = world->workers[0];
    world->judge.take = on_take;
    gate_set_judge(&world->exchange->gate, &world->judge);
    return world;
}

static inline int start(void **state)
{
    *state = start_with("limits.burst=5s");
    return 0;
}

static inline void finish(struct world *world)
{
    struct letter stop_letter = {.kind = LETTER_STOP};
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(on_post(world, i, &stop_letter), 0);
    for (unsigned i = 0; i < 100; i++, now_ms += 100)
        for (unsigned worker = 0; worker < WORKERS; worker++)
            if (!worker_is_finished(world->workers[worker]))
                worker_turn(world->workers[worker], 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        worker_end(world->workers[i]);
        worker_done(world->workers[i]);
        free(world->workers[i]);
    }
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
    assert_int_equal(atomic_load(&world->exchange->gate.waiting), 0);
    for (unsigned i = 0; i < COUNT_OF(world->mailboxes); i++)
        mailbox_done(&world->mailboxes[i]);
    exchange_free(world->exchange);
    config_unref(world->config);
    free(world);
}

static inline int stop(void **state)
{
    finish(*state);
    return 0;
}

/* The client's end. */
static inline int peer_open(struct world *world)
{
    int pair[2];
    struct peer_address address = {.family = AF_INET, .port = 1};
    inet_pton(AF_INET6, "::ffff:192.0.2.7", &address.ip);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair), 0);
    struct link *link = link_new(world->worker, pair[0], &address, sizeof(struct link));
    assert_non_null(link);
    http_start(link);
    return pair[1];
}

static inline void say(struct world *world, int peer, const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn(world);
}

/* What came since; "" for nothing. */
static inline const char *hear(struct world *world, int peer)
{
    ssize_t got = recv(peer, world->heard, sizeof(world->heard) - 1, MSG_DONTWAIT);
    for (ssize_t i = 0; i < got; i++)
        if (world->heard[i] == '\0')
            world->heard[i] = ' ';
    world->heard[got > 0 ? got : 0] = '\0';
    return world->heard;
}

static inline int ask(struct world *world, const char *text)
{
    int peer = peer_open(world);
    say(world, peer, text);
    return peer;
}

static inline struct verdict *verdict_of(struct world *world, unsigned call)
{
    assert_true(call < world->call_count);
    return &world->calls[call]->verdict;
}

/* The oldest is answered. */
static inline void answer(struct world *world)
{
    assert_true(world->call_count > 0);
    gate_answer(world->calls[0]);
    memmove(world->calls, world->calls + 1, --world->call_count * sizeof(*world->calls));
    turn(world);
}

static inline void refuse(struct world *world)
{
    assert_int_equal(verdict_refuse(verdict_of(world, 0), BYTES("forbidden"), BYTES("not on the list"), NULL), 0);
    answer(world);
}

/* The only one there is. */
static inline struct connection *the_connection(struct world *world)
{
    struct hub *hub = world->worker->hub;
    assert_int_equal(hub->slot_count - hub->free_count, 1);
    for (uint32_t slot = 0; slot < hub->slot_count; slot++)
        if (hub->slots[slot])
            return hub->slots[slot];
    return NULL;
}

static inline void assert_has(const char *text, const char *wanted)
{
    if (!strstr(text, wanted))
        fail_msg("no %s in: %s", wanted, text);
}

static const char *const openings[] = {
    NEGOTIATE,
    "POST /rtc/negotiate HTTP/1.1\r\n" HEAD "Transfer-Encoding: chunked\r\n\r\n1b\r\n{\"transports\":[\"longpoll\"]}\r\n0\r\n\r\n",
    "GET /rtc/websocket HTTP/1.1\r\n" UPGRADE "\r\n",
    "GET /rtc/sse HTTP/1.1\r\n" HEAD "\r\n",
    "GET /rtc/poll?wait=0 HTTP/1.1\r\n" HEAD "\r\n",
};

#define GATE_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

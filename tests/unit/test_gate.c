/*
 * The gate, with a real worker whose turns are called one by one, over socket pairs, and a judge that this file plays.
 */
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

enum { CALLS = 8, WAITING = 4, SECOND_MS = 1000 };
#define HEAD "Host: a\r\n"
#define UPGRADE HEAD "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
#define NEGOTIATE "POST /rtc/negotiate HTTP/1.1\r\n" HEAD "Content-Length: 0\r\n\r\n"

struct world {
    struct gate_judge judge;
    struct gate_call *calls[CALLS];     /* with the judge */
    unsigned call_count;
    struct config *config;
    struct exchange *exchange;
    struct mailbox mailboxes[2];        /* the worker's, the main thread's */
    struct router router;
    struct worker *worker;
    char heard[16384];
};

static uint64_t now_ms;

static uint64_t clock_scripted(void)
{
    return now_ms;
}

static uint64_t on_wall_ms(void *argument)
{
    return now_ms;
}

static int on_post(void *argument, unsigned worker, const struct letter *letter)
{
    return mailbox_post(&((struct world *)argument)->mailboxes[worker == MAIN_MAILBOX], letter);
}

static bool on_has_room(void *argument, unsigned worker)
{
    return true;
}

static void on_settle(void *argument, unsigned worker)
{
    worker_settle(((struct world *)argument)->worker);
}

static void on_take(struct gate_judge *judge, struct gate_call *call)
{
    struct world *world = CONTAINER_OF(judge, struct world, judge);
    assert_true(world->call_count < CALLS);
    world->calls[world->call_count++] = call;
}

static void turn(struct world *world)
{
    struct letter letter;
    for (unsigned i = 0; i < 4; i++) {
        worker_turn(world->worker, 0);
        while (mailbox_take(&world->mailboxes[1], &letter)) {
            assert_int_equal(letter.kind, LETTER_GATE);
            gate_take(world->exchange, letter.gate_call);
        }
    }
}

static struct world *start_with(const char *more)
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
    world->exchange = exchange_new(1, &ports);
    world->worker = calloc(1, sizeof(*world->worker));
    world->worker->clock_ms = clock_scripted;
    assert_int_equal(worker_init(world->worker, 0, world->exchange, world->config, &world->router, world->mailboxes, 1), 0);
    worker_begin(world->worker);
    world->judge.take = on_take;
    gate_set_judge(&world->exchange->gate, &world->judge);
    return world;
}

static int start(void **state)
{
    *state = start_with("limits.burst=5s");
    return 0;
}

static void finish(struct world *world)
{
    struct letter stop_letter = {.kind = LETTER_STOP};
    assert_int_equal(on_post(world, 0, &stop_letter), 0);
    for (unsigned i = 0; i < 100 && !worker_is_finished(world->worker); i++, now_ms += 100)
        worker_turn(world->worker, 0);
    worker_end(world->worker);
    worker_done(world->worker);
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
    assert_int_equal(atomic_load(&world->exchange->gate.waiting), 0);
    for (unsigned i = 0; i < COUNT_OF(world->mailboxes); i++)
        mailbox_done(&world->mailboxes[i]);
    exchange_free(world->exchange);
    free(world->worker);
    config_unref(world->config);
    free(world);
}

static int stop(void **state)
{
    finish(*state);
    return 0;
}

/* The client's end. */
static int peer_open(struct world *world)
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

static void say(struct world *world, int peer, const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
    turn(world);
}

/* What came since; "" for nothing. */
static const char *hear(struct world *world, int peer)
{
    ssize_t got = recv(peer, world->heard, sizeof(world->heard) - 1, MSG_DONTWAIT);
    for (ssize_t i = 0; i < got; i++)
        if (world->heard[i] == '\0')
            world->heard[i] = ' ';
    world->heard[got > 0 ? got : 0] = '\0';
    return world->heard;
}

static int ask(struct world *world, const char *text)
{
    int peer = peer_open(world);
    say(world, peer, text);
    return peer;
}

static struct verdict *verdict_of(struct world *world, unsigned call)
{
    assert_true(call < world->call_count);
    return &world->calls[call]->verdict;
}

/* The oldest is answered. */
static void answer(struct world *world)
{
    assert_true(world->call_count > 0);
    gate_answer(world->calls[0]);
    memmove(world->calls, world->calls + 1, --world->call_count * sizeof(*world->calls));
    turn(world);
}

static void refuse(struct world *world)
{
    assert_int_equal(verdict_refuse(verdict_of(world, 0), BYTES("forbidden"), BYTES("not on the list"), NULL), 0);
    answer(world);
}

/* The only one there is. */
static struct connection *the_connection(struct world *world)
{
    struct hub *hub = world->worker->hub;
    assert_int_equal(hub->slot_count - hub->free_count, 1);
    for (uint32_t slot = 0; slot < hub->slot_count; slot++)
        if (hub->slots[slot])
            return hub->slots[slot];
    return NULL;
}

static void assert_has(const char *text, const char *wanted)
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

static void while_nobody_judges_nothing_waits(void **state)
{
    struct world *world = *state;
    gate_set_judge(&world->exchange->gate, NULL);
    int peer = ask(world, NEGOTIATE);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    assert_int_equal(world->call_count, 0);
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_CONNECTS_JUDGED), 0);
    close(peer);
}

static void every_way_of_opening_waits_and_goes_on(void **state)
{
    static const char *const answers[] = {"connectionToken", "\"transport\":\"longpoll\"", "HTTP/1.1 101", "rtc.welcome", "rtc.welcome"};
    struct world *world = *state;
    for (size_t i = 0; i < COUNT_OF(openings); i++) {
        int peer = ask(world, openings[i]);
        assert_string_equal(hear(world, peer), "");
        assert_int_equal(world->call_count, 1);
        answer(world);
        assert_has(hear(world, peer), answers[i]);
        close(peer);
        turn(world);
    }
}

static void a_refusal_is_answered_with_its_code_and_words(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < COUNT_OF(openings); i++) {
        int peer = ask(world, openings[i]);
        refuse(world);
        const char *text = hear(world, peer);
        assert_has(text, "HTTP/1.1 403");
        assert_has(text, "application/problem+json");
        assert_has(text, "\"code\":\"forbidden\"");
        assert_has(text, "not on the list");
        close(peer);
        turn(world);
    }
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_CONNECTS_REFUSED), COUNT_OF(openings));
}

static void the_verdict_furnishes_the_connection(void **state)
{
    struct world *world = *state;
    for (size_t i = 2; i < COUNT_OF(openings); i++) {
        int peer = ask(world, openings[i]);
        struct verdict *verdict = verdict_of(world, 0);
        assert_int_equal(verdict_set_user(verdict, BYTES("anna"), NULL), 0);
        assert_int_equal(verdict_add_group(verdict, BYTES("staff"), NULL), 0);
        assert_int_equal(verdict_add_label(verdict, BYTES("net"), BYTES("lan"), NULL), 0);
        assert_int_equal(verdict_set_info(verdict, BYTES("{\"n\":1}"), NULL), 0);
        answer(world);
        struct connection *connection = the_connection(world);
        assert_bytes(connection_user(connection), "anna");
        assert_true(connection_is_member(connection, BYTES("staff")));
        const struct labels *labels = labels_find(world->worker->hub, connection);
        assert_non_null(labels);
        assert_bytes(labels->labels, "{\"net\":\"lan\"}");
        assert_bytes(labels->info, "{\"n\":1}");
        assert_has(hear(world, peer), "\"staff\"");
        struct fault why = {.id = FAULT_CLIENT_CLOSED};
        connection_close(connection, &why, false);
        turn(world);
        close(peer);
        assert_int_equal(table_count(&world->worker->hub->labels), 0);
    }
}

static void the_judge_is_shown_what_the_request_says_but_no_secret(void **state)
{
    struct world *world = *state;
    int peer = ask(world, "GET /rtc/sse?a=1&token=AAAA&%74oken=BBBB&user=carl&group=g HTTP/1.1\r\n" HEAD
                   "Origin: http://a\r\nCookie: session=5\r\nX-Other: 1\r\n\r\n");
    const struct gate_facts *facts = &world->calls[0]->facts;
    char address[PEER_TEXT_MAX];
    peer_address_print(&facts->address, address);
    assert_has(address, "192.0.2.7");
    assert_false(facts->is_negotiation);
    assert_false(facts->is_proved);
    assert_bytes(facts->user, "carl");
    assert_bytes(facts->transport, "sse");
    assert_bytes(facts->protocol, "json");
    assert_bytes(facts->path, "/rtc/sse");
    assert_bytes(facts->query, "a=1&user=carl&group=g");
    assert_bytes(facts->origin, "http://a");
    assert_int_equal(facts->header_count, 1);
    assert_bytes(facts->headers[0].name, "cookie");
    assert_bytes(facts->headers[0].value, "session=5");
    /* A claim gives way to what the judge says. */
    assert_int_equal(verdict_set_user(verdict_of(world, 0), BYTES("anna"), NULL), 0);
    answer(world);
    assert_bytes(connection_user(the_connection(world)), "anna");
    close(peer);
}

static void where_nobody_may_come_in_nameless_the_judge_may_name_him(void **state)
{
    struct world *world = start_with("connection.anonymous=false");
    int peer = ask(world, NEGOTIATE);
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 401");
    say(world, peer, NEGOTIATE);
    assert_int_equal(verdict_set_user(verdict_of(world, 0), BYTES("anna"), NULL), 0);
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    gate_set_judge(&world->exchange->gate, NULL);
    say(world, peer, NEGOTIATE);
    assert_has(hear(world, peer), "HTTP/1.1 401");
    close(peer);
    finish(world);
}

static void a_link_lost_while_it_waits_costs_nothing(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < COUNT_OF(openings); i++) {
        close(ask(world, openings[i]));
        turn(world);
        assert_int_equal(world->worker->link_count, 0);
        assert_int_equal(atomic_load(&world->exchange->gate.waiting), 1);
        answer(world);
        assert_int_equal(atomic_load(&world->exchange->gate.waiting), 0);
    }
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
}

static void who_waits_too_long_is_told_so_and_may_ask_again(void **state)
{
    struct world *world = *state;
    int peer = ask(world, NEGOTIATE);
    now_ms += 11 * SECOND_MS;
    turn(world);
    assert_has(hear(world, peer), "HTTP/1.1 408");
    say(world, peer, NEGOTIATE);
    answer(world);
    assert_string_equal(hear(world, peer), "");
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_GATE_TIMEOUTS), 1);
    close(peer);
}

static void more_than_may_wait_are_refused(void **state)
{
    struct world *world = *state;
    int peers[WAITING + 1];
    for (unsigned i = 0; i <= WAITING; i++)
        peers[i] = ask(world, NEGOTIATE);
    assert_int_equal(world->call_count, WAITING);
    const char *text = hear(world, peers[WAITING]);
    assert_has(text, "HTTP/1.1 503");
    assert_has(text, "Retry-After");
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_GATE_FULL), 1);
    for (unsigned i = 0; i < WAITING; i++)
        answer(world);
    say(world, peers[WAITING], NEGOTIATE);
    answer(world);
    for (unsigned i = 0; i <= WAITING; i++) {
        assert_has(hear(world, peers[i]), "HTTP/1.1 200");
        close(peers[i]);
    }
}

static void requests_behind_one_that_waits_are_answered_in_their_turn(void **state)
{
    struct world *world = *state;
    int peer = ask(world, NEGOTIATE "GET /nothing HTTP/1.1\r\n" HEAD "\r\n" NEGOTIATE NEGOTIATE);
    assert_string_equal(hear(world, peer), "");
    assert_int_equal(world->call_count, 1);
    answer(world);
    const char *text = hear(world, peer);
    assert_has(text, "HTTP/1.1 200");
    assert_has(strstr(text, "HTTP/1.1 200"), "HTTP/1.1 404");
    refuse(world);
    assert_has(hear(world, peer), "HTTP/1.1 403");
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    close(peer);
}

static void frames_behind_a_handshake_that_waits_are_taken_afterwards(void **state)
{
    static const unsigned char mask[4] = {1, 2, 3, 4};
    struct world *world = *state;
    struct buf out = {0};
    buf_add_text(&out, openings[2]);
    ws_add_masked_frame(&out, WS_TEXT, BYTES("{\"eventName\":\"rtc.ping\",\"data\":\"here\"}"), mask);
    int peer = peer_open(world);
    assert_int_equal(send(peer, out.data, out.length, MSG_NOSIGNAL), out.length);
    turn(world);
    assert_string_equal(hear(world, peer), "");
    answer(world);
    const char *text = hear(world, peer);
    assert_has(text, "HTTP/1.1 101");
    assert_has(text, "rtc.pong");
    buf_done(&out);
    close(peer);
}

static void say_before(void *argument, struct hub *hub, const struct gate_facts *facts, struct verdict *verdict)
{
    ++*(unsigned *)argument;
    assert_int_equal(verdict_add_label(verdict, BYTES("from"), facts->transport.length ? facts->transport : BYTES("?"), NULL), 0);
}

static void what_middleware_said_is_not_lost_at_the_gate_and_not_asked_twice(void **state)
{
    struct world *world = *state;
    unsigned asked = 0;
    struct middleware middleware = {.argument = &asked, .negotiate = say_before, .connect = say_before};
    world->exchange->middleware = &middleware;
    int peer = ask(world, NEGOTIATE);
    assert_int_equal(asked, 2);
    assert_int_equal(verdict_withhold(verdict_of(world, 0), BYTES("websocket"), NULL), 0);
    answer(world);
    const char *text = hear(world, peer);
    assert_has(text, "\"transport\":\"sse\"");
    assert_null(strstr(text, "websocket"));
    assert_int_equal(asked, 2);
    assert_bytes(labels_find(world->worker->hub, the_connection(world))->labels, "{\"from\":\"websocket\"}");
    say(world, peer, NEGOTIATE);
    assert_int_equal(verdict_redirect(verdict_of(world, 0), BYTES("https://a/rtc"), BYTES("t"), NULL), 0);
    answer(world);
    assert_has(hear(world, peer), "{\"url\":\"https://a/rtc\",\"accessToken\":\"t\"}");
    world->exchange->middleware = NULL;
    close(peer);
}

static void who_waits_when_the_daemon_stops_is_told_so(void **state)
{
    struct world *world = start_with("limits.burst=5s");
    struct letter stop_letter = {.kind = LETTER_STOP};
    int peer = ask(world, NEGOTIATE);
    assert_int_equal(on_post(world, 0, &stop_letter), 0);
    turn(world);
    assert_has(hear(world, peer), "\"code\":\"draining\"");
    answer(world);
    close(peer);
    finish(world);
}

static void a_judge_that_went_leaves_nobody_waiting(void **state)
{
    struct world *world = *state;
    int peer = peer_open(world);
    assert_int_equal(send(peer, NEGOTIATE, strlen(NEGOTIATE), MSG_NOSIGNAL), strlen(NEGOTIATE));
    worker_turn(world->worker, 0);
    gate_set_judge(&world->exchange->gate, NULL);
    turn(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    close(peer);
}

int main(void)
{
#define GATE_TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)
    const struct CMUnitTest tests[] = {
        GATE_TEST(while_nobody_judges_nothing_waits),
        GATE_TEST(every_way_of_opening_waits_and_goes_on),
        GATE_TEST(a_refusal_is_answered_with_its_code_and_words),
        GATE_TEST(the_verdict_furnishes_the_connection),
        GATE_TEST(the_judge_is_shown_what_the_request_says_but_no_secret),
        TEST(where_nobody_may_come_in_nameless_the_judge_may_name_him),
        GATE_TEST(a_link_lost_while_it_waits_costs_nothing),
        GATE_TEST(who_waits_too_long_is_told_so_and_may_ask_again),
        GATE_TEST(more_than_may_wait_are_refused),
        GATE_TEST(requests_behind_one_that_waits_are_answered_in_their_turn),
        GATE_TEST(frames_behind_a_handshake_that_waits_are_taken_afterwards),
        GATE_TEST(what_middleware_said_is_not_lost_at_the_gate_and_not_asked_twice),
        TEST(who_waits_when_the_daemon_stops_is_told_so),
        GATE_TEST(a_judge_that_went_leaves_nobody_waiting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Slow consumers under a fake clock and a transport that takes as much as it is told to.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/core/message.h"
#include "daemon/core/slow.h"

#include <sys/socket.h>

enum { RECEIVED_MAX = 100000 };

struct world {
    struct config *config;
    struct exchange *exchange;
    struct hub *hub;
    struct connection *connection;
    uint32_t takes;                     /* so many envelopes at the next flush */
    /* What the client has: by number, from 1. */
    struct message *received[RECEIVED_MAX];
    uint64_t received_count;
};

static struct world *the_world;

static int fake_post(void *argument, unsigned worker, const struct letter *letter) { return -EAGAIN; }
static bool fake_has_room(void *argument, unsigned worker) { return false; }
static void fake_settle(void *argument, unsigned worker) { }
static uint64_t fake_wall(void *argument) { return 0; }
static void fake_send(struct connection *connection, struct bytes text) { }
static uint64_t fake_tend(struct connection *connection, uint64_t now_ms) { return 0; }
static void fake_close(struct link *link, const struct fault *why, struct bytes farewell) { }
static void fake_farewell(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out) { }

/* The client takes what comes next; what it has had under that number before must be the same. */
static void fake_flush(struct connection *connection)
{
    struct world *world = the_world;
    uint32_t count = MIN(world->takes, outbox_unsent_count(&connection->outbox));
    for (uint32_t i = 0; i < count; i++) {
        uint64_t number = outbox_sent(&connection->outbox) + 1 + i;
        struct message *message = outbox_peek(&connection->outbox, i), **slot = &world->received[number];
        assert_true(!*slot || *slot == message);
        if (!*slot)
            message_ref_many(message, 1);
        *slot = message;
        world->received_count = MAX(world->received_count, number);
    }
    world->takes -= count;
    connection_mark_sent(connection, count, 0);
    connection_watch_stall(connection);
}

static const struct transport transport = {.name = "fake", .is_lasting = true, .flush = fake_flush, .send_unnumbered = fake_send,
    .tend = fake_tend, .close = fake_close};
static const struct dialect dialect = {.name = "fake", .is_resumable = true, .add_farewell = fake_farewell};

static int start(void **state)
{
    struct world *world = the_world = calloc(1, sizeof(*world));
    struct buf problems = {0};
    static const char *const overrides[] = {"queue.envelopes=16", "queue.bytes=64KiB", "queue.soft-bytes=8KiB", "queue.soft-time=10s",
                                            "connection.message-bytes=32KiB", "queue.time=5s", "resume.window=1h",
                                            "resume.envelopes=1000000", "resume.bytes=256MiB"};
    assert_int_equal(config_load(NULL, overrides, COUNT_OF(overrides), &world->config, &problems), 0);
    buf_done(&problems);
    struct ports ports = {.post = fake_post, .has_room = fake_has_room, .settle = fake_settle, .wall_ms = fake_wall, .argument = world};
    world->exchange = exchange_new(1, &ports);
    world->hub = hub_new(0, world->exchange, world->config, 1000);
    struct peer_address address = {.family = AF_UNIX};
    struct fault fault = {0};
    world->connection = connection_new(world->hub, &dialect, CODEC_JSON, &(struct identity){0}, &address, &fault);
    connection_attach(world->connection, (struct link *)world, &transport);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    for (uint64_t number = 1; number <= world->received_count; number++)
        message_unref(world->received[number]);
    hub_close_all(world->hub, FAULT_SHUTDOWN);
    hub_finish_turn(world->hub);
    hub_free(world->hub);
    exchange_free(world->exchange);
    config_unref(world->config);
    free(world);
    return 0;
}

static void push(struct world *world, const char *group, const char *event, enum config_slow slow, const char *data)
{
    struct envelope envelope = {.event_name = bytes_text(event), .group = bytes_text(group), .data = bytes_text(data)};
    struct message *message = message_new(&envelope);
    message_set_slow(message, slow);
    connection_push(world->connection, message);
}

static void turn(struct world *world, uint32_t takes, uint64_t ms)
{
    world->takes = takes;
    world->hub->now_ms += ms;
    hub_mark_dirty(world->hub, world->connection);
    hub_finish_turn(world->hub);
}

static bool is_open(const struct world *world)
{
    return world->hub->state_counts[CONNECTION_OPEN] == 1;
}

/* What waits, as "event:data event:data". */
static const char *waiting(const struct world *world)
{
    static char text[4096];
    size_t length = 0;
    for (uint32_t i = 0; i < outbox_unsent_count(&world->connection->outbox); i++) {
        const struct envelope *envelope = &outbox_peek(&world->connection->outbox, i)->envelope;
        length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%.*s:%.*s", i ? " " : "", (int)envelope->event_name.length,
                                   (const char *)envelope->event_name.data, (int)envelope->data.length, (const char *)envelope->data.data);
    }
    return text;
}

static uint64_t counted(const struct world *world, enum metric metric)
{
    return metrics_get(&world->hub->metrics, metric);
}

static void the_oldest_of_a_group_that_drops_make_room_and_are_told_in_their_place(void **state)
{
    struct world *world = *state;
    push(world, "k", "keep", SLOW_CLOSE, "0");
    for (char data[2] = "a"; data[0] < 'a' + 16; data[0]++)
        push(world, "g", data[0] % 4 ? "d" : "k", data[0] % 4 ? SLOW_DROP_OLDEST : SLOW_CLOSE, data);
    turn(world, 0, 0);
    assert_true(is_open(world));
    assert_string_equal(waiting(world), "keep:0 rtc.gap:{\"group\":\"g\",\"lost\":4} k:d d:f d:g k:h d:i d:j d:k k:l d:m d:n d:o k:p");
    assert_int_equal(counted(world, METRIC_ENVELOPES_DROPPED), 4);
    assert_int_equal(counted(world, METRIC_GAPS_TOLD), 1);
    /* The same notice counts on, until it is sent. */
    for (char data[2] = "A"; data[0] <= 'C'; data[0]++)
        push(world, "g", "d", SLOW_DROP_OLDEST, data);
    turn(world, 0, 0);
    assert_string_equal(waiting(world), "keep:0 rtc.gap:{\"group\":\"g\",\"lost\":7} k:d k:h d:j d:k k:l d:m d:n d:o k:p d:A d:B d:C");
    turn(world, 2, 0);
    assert_int_equal(world->received[2]->lost, 7);
    for (char data[2] = "D"; data[0] <= 'I'; data[0]++)
        push(world, "g", "d", SLOW_DROP_OLDEST, data);
    turn(world, 0, 0);
    assert_string_equal(waiting(world), "k:d k:h rtc.gap:{\"group\":\"g\",\"lost\":5} k:l k:p d:A d:B d:C d:D d:E d:F d:G d:H d:I");
}

static void a_connection_with_too_much_that_must_be_kept_is_closed(void **state)
{
    struct world *world = *state;
    for (unsigned i = 0; i < 17; i++)
        push(world, "k", "keep", SLOW_CLOSE, "1");
    push(world, "g", "d", SLOW_DROP_OLDEST, "1");
    turn(world, 0, 0);
    assert_false(is_open(world));
    assert_int_equal(counted(world, METRIC_SLOW_CONSUMERS_CLOSED), 1);
}

static void of_what_is_to_be_the_latest_only_the_newest_of_each_name_waits(void **state)
{
    struct world *world = *state;
    /* Nothing is held back from a client that takes what there is. */
    push(world, "g", "a", SLOW_LATEST, "1");
    push(world, "g", "a", SLOW_LATEST, "2");
    turn(world, 1, 0);
    assert_string_equal(waiting(world), "a:2");
    push(world, "h", "a", SLOW_LATEST, "1");
    push(world, "g", "b", SLOW_LATEST, "3");
    push(world, "g", "a", SLOW_CLOSE, "4");
    push(world, "g", "a", SLOW_LATEST, "5");
    assert_string_equal(waiting(world), "rtc.gap:{\"group\":\"g\",\"lost\":1} a:1 b:3 a:4 a:5");
    push(world, "g", "b", SLOW_LATEST, "6");
    push(world, "g", "b", SLOW_LATEST, "7");
    assert_string_equal(waiting(world), "rtc.gap:{\"group\":\"g\",\"lost\":3} a:1 a:4 a:5 b:7");
    /* Sent in part, it keeps its place. */
    turn(world, 3, 0);
    outbox_mark_sent(&world->connection->outbox, 0, 1);
    push(world, "g", "a", SLOW_LATEST, "8");
    assert_string_equal(waiting(world), "a:5 b:7 a:8");
    outbox_mark_sent(&world->connection->outbox, 0, 0);
    /* A client that is away gets the newest when it is back. */
    connection_detach(world->connection);
    for (char data[2] = "0"; data[0] <= '9'; data[0]++)
        push(world, "g", "b", SLOW_LATEST, data);
    assert_string_equal(waiting(world), "a:5 rtc.gap:{\"group\":\"g\",\"lost\":10} a:8 b:9");
    assert_int_equal(outbox_last(&world->connection->outbox), outbox_sent(&world->connection->outbox) + 4);
}

static void over_the_soft_limit_one_may_be_but_not_for_long(void **state)
{
    struct world *world = *state;
    char large[4001];
    memset(large, '1', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (unsigned i = 0; i < 3; i++)
        push(world, "k", "keep", SLOW_CLOSE, large);
    turn(world, 0, 9000);
    assert_true(is_open(world));
    /* Below it once, all begins anew. */
    turn(world, 2, 500);
    push(world, "k", "keep", SLOW_CLOSE, large);
    push(world, "k", "keep", SLOW_CLOSE, large);
    turn(world, 0, 9900);
    assert_true(is_open(world));
    turn(world, 0, 200);
    assert_false(is_open(world));
}

static void going_over_the_soft_limit_costs_nothing_in_that_millisecond(void **state)
{
    struct world *world = *state;
    char large[4001];
    memset(large, '1', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (unsigned moment = 0; moment < 2; moment++) {
        for (unsigned i = 0; i < 5; i++)
            push(world, "k", "keep", SLOW_CLOSE, large);
        turn(world, 0, 0);
        assert_true(is_open(world));
        turn(world, 5, 1);
    }
}

static void over_the_soft_limit_for_long_the_oldest_go_first(void **state)
{
    struct world *world = *state;
    char large[4001];
    memset(large, '1', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (unsigned i = 0; i < 4; i++)
        push(world, "g", "d", SLOW_DROP_OLDEST, large);
    turn(world, 0, 10001);
    assert_true(is_open(world));
    assert_int_equal(counted(world, METRIC_ENVELOPES_DROPPED), 3);
    assert_int_equal(outbox_unsent_count(&world->connection->outbox), 2);
    assert_int_equal(world->connection->outbox.owed->soft_ms, 0);
}

static void what_waits_too_long_is_dropped_or_costs_the_connection(void **state)
{
    struct world *world = *state;
    push(world, "g", "d", SLOW_DROP_OLDEST, "1");
    push(world, "g", "d", SLOW_DROP_OLDEST, "2");
    push(world, "g", "d", SLOW_DROP_OLDEST, "3");
    turn(world, 0, 0);
    outbox_mark_sent(&world->connection->outbox, 0, 5);
    push(world, "g", "d", SLOW_DROP_OLDEST, "4");
    world->hub->now_ms += 5000;
    assert_true(slow_tend(world->connection));
    assert_string_equal(waiting(world), "d:1 rtc.gap:{\"group\":\"g\",\"lost\":2} d:4");
    push(world, "k", "keep", SLOW_CLOSE, "5");
    connection_watch_stall(world->connection);
    world->hub->now_ms += 4999;
    assert_true(slow_tend(world->connection));
    world->hub->now_ms += 1;
    assert_false(slow_tend(world->connection));
}

/* Whatever happens: in each group the client gets what was published, in order, and is told of all that it does not get before it
 * gets anything newer; numbers that it has seen stay what they were. */
enum { GROUPS = 6 };

static void check_received(const struct world *world, const unsigned published[GROUPS], bool is_all)
{
    uint64_t got[GROUPS] = {0}, lost[GROUPS] = {0}, newest[GROUPS] = {0};
    for (uint64_t number = 1; number <= world->received_count; number++) {
        const struct message *message = world->received[number];
        unsigned group = (unsigned)(message->envelope.group.data[0] - '0');
        lost[group] += message->lost;
        if (message->lost)
            continue;
        unsigned value = (unsigned)strtoul((const char *)message->envelope.data.data, NULL, 10);
        assert_true(value > newest[group]);
        newest[group] = value;
        got[group]++;
        assert_true(got[group] + lost[group] >= value);
        assert_true(group >= 2 || lost[group] == 0);
    }
    for (unsigned group = 0; group < GROUPS && is_all; group++)
        assert_int_equal(got[group] + lost[group], published[group]);
}

static void a_client_is_never_left_in_the_dark(void **state)
{
    struct world *world = *state;
    struct outbox *outbox = &world->connection->outbox;
    unsigned published[GROUPS] = {0};
    uint32_t random = 11;
    for (unsigned step = 0; step < 30000; step++) {
        unsigned what = test_random(&random) % 100, group = test_random(&random) % GROUPS;
        /* Those that must be kept come seldom enough. */
        if (what < 60 && (group >= 2 || test_random(&random) % 8 == 0)) {
            char name[2] = {(char)('0' + group), '\0'}, event[2] = {(char)('a' + test_random(&random) % 3), '\0'}, data[16];
            snprintf(data, sizeof(data), "%u ", ++published[group]);
            push(world, name, event, group < 2 ? SLOW_CLOSE : group < 4 ? SLOW_DROP_OLDEST : SLOW_LATEST, data);
        } else if (what < 90) {
            turn(world, test_random(&random) % 4, 0);
            if (outbox_unsent_count(outbox) && test_random(&random) % 2)
                outbox_mark_sent(outbox, 0, 1);
        } else if (what < 95) {
            assert_int_equal(connection_acknowledge(world->connection, outbox->first - 1 + test_random(&random)
                             % (outbox_sent(outbox) - outbox->first + 2)), 0);
        } else {
            connection_detach(world->connection);
            uint64_t back = MIN(outbox_sent(outbox) - outbox->first + 1, (uint64_t)test_random(&random) % 5);
            uint64_t number = outbox_sent(outbox) - back;
            assert_int_equal(connection_resume(world->connection, number), 0);
            connection_attach(world->connection, (struct link *)world, &transport);
        }
        assert_true(is_open(world));
    }
    check_received(world, published, false);
    turn(world, UINT32_MAX, 0);
    check_received(world, published, true);
    assert_true(counted(world, METRIC_ENVELOPES_DROPPED) > 300);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_oldest_of_a_group_that_drops_make_room_and_are_told_in_their_place, start, stop),
        cmocka_unit_test_setup_teardown(a_connection_with_too_much_that_must_be_kept_is_closed, start, stop),
        cmocka_unit_test_setup_teardown(of_what_is_to_be_the_latest_only_the_newest_of_each_name_waits, start, stop),
        cmocka_unit_test_setup_teardown(over_the_soft_limit_one_may_be_but_not_for_long, start, stop),
        cmocka_unit_test_setup_teardown(going_over_the_soft_limit_costs_nothing_in_that_millisecond, start, stop),
        cmocka_unit_test_setup_teardown(over_the_soft_limit_for_long_the_oldest_go_first, start, stop),
        cmocka_unit_test_setup_teardown(what_waits_too_long_is_dropped_or_costs_the_connection, start, stop),
        cmocka_unit_test_setup_teardown(a_client_is_never_left_in_the_dark, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

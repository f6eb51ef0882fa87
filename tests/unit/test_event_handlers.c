/*
 * Handlers under a fake clock and a fake mailbox: who gets an event, and how a call ends.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/core/message.h"
#include "daemon/core/metrics.h"
#include "daemon/hook/handlers.h"
#include "lib/json.h"

enum { ANSWERS_MAX = 64, FAKES_MAX = 4 };

struct world;

/* What a test's handler was given. */
struct fake {
    struct handler handler;
    struct world *world;
    bool is_full, replies_at_once;
    uint64_t number;
    char names[256];
};

struct world {
    struct config *config;
    struct exchange *exchange;
    struct handlers *handlers;
    struct metrics metrics;
    uint64_t now_ms, wake_in_ms;
    struct letter answers[ANSWERS_MAX];
    unsigned answer_count, seen, fake_count;
    struct fake fakes[FAKES_MAX];       /* which outlive the test, as the registry has them until its end */
};

static int fake_post(void *argument, unsigned worker, const struct letter *letter)
{
    struct world *world = argument;
    assert_int_equal(letter->kind, LETTER_CONNECTION);
    assert_int_equal(worker, letter->handle >> 56);
    assert_true(world->answer_count < ANSWERS_MAX);
    world->answers[world->answer_count++] = *letter;
    return 0;
}

static bool fake_has_room(void *argument, unsigned worker)
{
    return true;
}

static uint64_t fake_now(void *argument)
{
    return ((struct world *)argument)->now_ms;
}

static void fake_wake(void *argument, uint64_t in_ms)
{
    ((struct world *)argument)->wake_in_ms = in_ms;
}

static struct config *fake_config(void *argument)
{
    return ((struct world *)argument)->config;
}

static bool fake_take(struct handler *handler, const struct event_call *call)
{
    struct fake *fake = CONTAINER_OF(handler, struct fake, handler);
    if (fake->is_full)
        return false;
    fake->number = call->number;
    strncat(fake->names, (const char *)call->name.data, call->name.length);
    strcat(fake->names, " ");
    if (fake->replies_at_once)
        assert_int_equal(handlers_reply(fake->world->handlers, call->number, BYTES("\"now\"")), 0);
    return true;
}

static int start(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct buf problems = {0};
    const char *const options[] = {"handlers.timeout=5s", "handlers.pending=4", "handlers.pending-per-connection=3", "connection.message-bytes=1KiB"};
    assert_int_equal(config_load(NULL, options, COUNT_OF(options), &world->config, &problems), 0);
    buf_done(&problems);
    struct ports ports = {.post = fake_post, .has_room = fake_has_room, .now_ms = fake_now, .argument = world};
    world->now_ms = 1000;
    world->exchange = exchange_new(2, &ports);
    struct handlers_host host = {.exchange = world->exchange, .metrics = &world->metrics, .config = fake_config, .wake = fake_wake, .argument = world};
    world->handlers = handlers_new(&host);
    assert_non_null(world->handlers);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    struct handler *handler;
    while ((handler = handlers_next(world->handlers, NULL)))
        handlers_remove(world->handlers, handler);
    assert_int_equal(atomic_load(&world->exchange->events.bytes), 0);
    assert_int_equal(atomic_load(&world->exchange->events.handler_count), 0);
    for (unsigned i = 0; i < world->answer_count; i++)
        message_unref(world->answers[i].message);
    handlers_free(world->handlers);
    exchange_free(world->exchange);
    config_unref(world->config);
    free(world);
    return 0;
}

static struct fake *add(struct world *world, const char *pattern, bool is_program)
{
    assert_true(world->fake_count < FAKES_MAX);
    struct fake *fake = &world->fakes[world->fake_count++];
    fake->handler = (struct handler){.pattern = pattern, .about = "a test's", .is_program = is_program, .take = fake_take};
    fake->world = world;
    assert_int_equal(handlers_add(world->handlers, &fake->handler), 0);
    return fake;
}

static void send_from(struct world *world, uint64_t handle, const char *name, uint64_t id, bool is_seen)
{
    struct event_call *event = calloc(1, sizeof(*event));
    *event = (struct event_call){.handle = handle, .id = id, .is_seen = is_seen, .name = bytes_text(name), .size = sizeof(*event)};
    atomic_fetch_add(&world->exchange->events.bytes, event->size);
    handlers_take(world->handlers, event);
}

static void ask(struct world *world, const char *name, uint64_t id)
{
    send_from(world, UINT64_C(1) << 56 | 7, name, id, false);
}

/* The next answer, as it goes to a client: its name, its id, and its data, or its error's code. */
static void expect(struct world *world, const char *name, uint64_t id, const char *data)
{
    assert_true(world->seen < world->answer_count);
    const struct envelope *envelope = &world->answers[world->seen++].message->envelope;
    assert_bytes(envelope->event_name, name);
    assert_int_equal(envelope->id, id);
    if (data[0] == '!') {
        struct bytes code = json_member(envelope->data, "code");
        assert_int_equal(envelope->is_error, id != 0);
        assert_true(json_string_is(code, data + 1));
    } else {
        assert_false(envelope->is_error);
        assert_bytes(envelope->data, data);
    }
}

static void expect_nothing(struct world *world)
{
    assert_int_equal(world->seen, world->answer_count);
}

static void test_the_most_specific_handler_has_the_event_whatever_came_first(void **state)
{
    struct world *world = *state;
    struct fake *any = add(world, "*", true);
    struct fake *orders = add(world, "order.*", true);
    struct fake *one = add(world, "order.new", true);
    struct fake *config = add(world, "order.?*", false);
    ask(world, "hello", 0);
    ask(world, "order.new", 0);
    ask(world, "order.old", 0);         /* of equally specific ones the config's */
    ask(world, "order.", 0);
    assert_string_equal(any->names, "hello ");
    assert_string_equal(one->names, "order.new ");
    assert_string_equal(config->names, "order.old ");
    assert_string_equal(orders->names, "order. ");
    /* A full one leaves the event to its equals, never to others. */
    config->is_full = true;
    ask(world, "order.x", 0);
    assert_string_equal(orders->names, "order. order.x ");
    orders->is_full = true;
    expect_nothing(world);
    ask(world, "order.x", 0);
    expect(world, "rtc.error", 0, "!rate-limited");
    ask(world, "order.x", 9);
    expect(world, "rtc.reply", 9, "!rate-limited");
    assert_string_equal(any->names, "hello ");
    assert_int_equal(metrics_get(&world->metrics, METRIC_EVENTS_REFUSED), 2);
    assert_int_equal(metrics_get(&world->metrics, METRIC_EVENTS_HANDLED), 5);
}

static void test_programs_take_turns_and_who_has_more_unanswered_waits(void **state)
{
    struct world *world = *state;
    struct fake *a = add(world, "x", true);
    struct fake *b = add(world, "x", true);
    struct fake *c = add(world, "x", true);
    for (unsigned i = 0; i < 6; i++)
        ask(world, "x", 0);
    assert_string_equal(a->names, "x x ");
    assert_string_equal(b->names, "x x ");
    assert_string_equal(c->names, "x x ");
    /* One hangs: the others share what comes. */
    ask(world, "x", 1);
    for (unsigned i = 0; i < 4; i++)
        ask(world, "x", 0);
    assert_string_equal(a->names, "x x x ");
    assert_string_equal(b->names, "x x x x ");
    assert_string_equal(c->names, "x x x x ");
    assert_int_equal(handlers_reply(world->handlers, a->number, BYTES("1")), 0);
    expect(world, "rtc.reply", 1, "1");
    ask(world, "x", 0);
    assert_string_equal(a->names, "x x x x ");
}

static void test_each_call_ends_once_by_its_reply_or_an_error(void **state)
{
    struct world *world = *state;
    struct fake *fake = add(world, "x", true);
    ask(world, "x", 5);
    uint64_t number = fake->number;
    assert_true(number > 0);
    assert_int_equal(handlers_reply(world->handlers, number, BYTES("{\"a\":1}")), 0);
    expect(world, "rtc.reply", 5, "{\"a\":1}");
    assert_int_equal(handlers_reply(world->handlers, number, BYTES("2")), -ENOENT);
    assert_int_equal(handlers_fail(world->handlers, number, BYTES("a"), BYTES("b")), -ENOENT);
    assert_int_equal(handlers_reply(world->handlers, number + 1, BYTES("2")), -ENOENT);
    assert_int_equal(metrics_get(&world->metrics, METRIC_REPLIES_LATE), 3);
    ask(world, "x", 6);
    assert_int_equal(fake->number, number + 1);
    assert_int_equal(handlers_fail(world->handlers, fake->number, BYTES("sold-out"), BYTES("none is left")), 0);
    expect(world, "rtc.reply", 6, "!sold-out");
    ask(world, "x", 0);
    assert_int_equal(fake->number, 0);
    fake->replies_at_once = true;
    ask(world, "x", 7);
    expect(world, "rtc.reply", 7, "\"now\"");
    fake->replies_at_once = false;
    ask(world, "x", 8);
    char large[1026];
    memset(large, '1', sizeof(large));
    assert_int_equal(handlers_reply(world->handlers, fake->number, bytes_of(large, 1025)), -EMSGSIZE);
    expect(world, "rtc.reply", 8, "!too-large");
    ask(world, "x", 9);
    assert_int_equal(handlers_reply(world->handlers, fake->number, bytes_of(large, 1024)), 0);
    assert_int_equal(fake->handler.pending, 0);
    assert_int_equal(fake->handler.taken, 6);
}

static void test_nobody_handles_it(void **state)
{
    struct world *world = *state;
    struct fake *fake = add(world, "x", true);
    ask(world, "y", 3);
    expect(world, "rtc.reply", 3, "!no-handler");
    ask(world, "y", 0);
    expect(world, "rtc.error", 0, "!no-handler");
    /* Observers need no reply, but give none. */
    send_from(world, 7, "y", 0, true);
    expect_nothing(world);
    send_from(world, 7, "y", 4, true);
    expect(world, "rtc.reply", 4, "!no-handler");
    assert_string_equal(fake->names, "");
}

static void test_a_slow_handler_costs_its_calls_only(void **state)
{
    struct world *world = *state;
    struct fake *slow = add(world, "slow", true);
    struct fake *quick = add(world, "quick", true);
    ask(world, "slow", 1);
    assert_int_equal(world->wake_in_ms, 5000);
    uint64_t number = slow->number;
    world->now_ms += 2000;
    ask(world, "quick", 2);
    assert_int_equal(world->wake_in_ms, 5000);
    world->now_ms += 3000;
    handlers_tick(world->handlers);
    expect(world, "rtc.reply", 1, "!timeout");
    expect_nothing(world);
    assert_int_equal(world->wake_in_ms, 2000);
    assert_int_equal(handlers_reply(world->handlers, number, BYTES("1")), -ENOENT);
    assert_int_equal(handlers_reply(world->handlers, quick->number, BYTES("1")), 0);
    expect(world, "rtc.reply", 2, "1");
    handlers_tick(world->handlers);
    assert_int_equal(metrics_get(&world->metrics, METRIC_HANDLERS_TIMED_OUT), 1);
}

static void test_a_time_that_a_reload_made_shorter_is_over_first(void **state)
{
    struct world *world = *state;
    add(world, "x", true);
    ask(world, "x", 1);
    world->config->handlers.timeout_ms = 1000;
    ask(world, "x", 2);
    assert_int_equal(world->wake_in_ms, 1000);
    world->now_ms += 1000;
    handlers_tick(world->handlers);
    expect(world, "rtc.reply", 2, "!timeout");
    expect_nothing(world);
    assert_int_equal(world->wake_in_ms, 4000);
}

static void test_a_dead_handlers_calls_end_at_once(void **state)
{
    struct world *world = *state;
    struct fake *dead = add(world, "x", true);
    ask(world, "x", 1);
    ask(world, "x", 2);
    struct fake *other = add(world, "x", true);
    ask(world, "x", 3);
    uint64_t number = dead->number;
    handlers_remove(world->handlers, &dead->handler);
    expect(world, "rtc.reply", 1, "!no-handler");
    expect(world, "rtc.reply", 2, "!no-handler");
    expect_nothing(world);
    assert_int_equal(handlers_reply(world->handlers, number, BYTES("1")), -ENOENT);
    assert_int_equal(handlers_reply(world->handlers, other->number, BYTES("1")), 0);
    expect(world, "rtc.reply", 3, "1");
    assert_int_equal(metrics_get(&world->metrics, METRIC_HANDLERS_LOST), 2);
    handlers_remove(world->handlers, &other->handler);
    ask(world, "x", 4);
    expect(world, "rtc.reply", 4, "!no-handler");
}

static void test_pending_calls_are_bounded_in_all_and_for_each_connection(void **state)
{
    struct world *world = *state;
    struct fake *fake = add(world, "x", true);
    for (uint64_t id = 1; id <= 3; id++)
        ask(world, "x", id);
    uint64_t number = fake->number;
    ask(world, "x", 4);
    expect(world, "rtc.reply", 4, "!rate-limited");
    /* What wants no reply does not wait. */
    ask(world, "x", 0);
    expect_nothing(world);
    send_from(world, 8, "x", 1, false);
    expect_nothing(world);
    send_from(world, 9, "x", 2, false);
    expect(world, "rtc.reply", 2, "!rate-limited");
    assert_int_equal(handlers_reply(world->handlers, number, BYTES("1")), 0);
    expect(world, "rtc.reply", 3, "1");
    ask(world, "x", 5);
    expect_nothing(world);
    assert_int_equal(metrics_get(&world->metrics, METRIC_EVENTS_REFUSED), 2);
}

static void test_there_are_not_more_handlers_than_may_be(void **state)
{
    struct world *world = *state;
    struct fake *fakes = calloc(HANDLERS_MAX + 1, sizeof(*fakes));
    for (unsigned i = 0; i < HANDLERS_MAX; i++) {
        fakes[i].handler = (struct handler){.pattern = "x", .take = fake_take};
        assert_int_equal(handlers_add(world->handlers, &fakes[i].handler), 0);
    }
    fakes[HANDLERS_MAX].handler = (struct handler){.pattern = "x", .take = fake_take};
    assert_int_equal(handlers_add(world->handlers, &fakes[HANDLERS_MAX].handler), -E2BIG);
    for (unsigned i = 0; i < HANDLERS_MAX; i++)
        handlers_remove(world->handlers, &fakes[i].handler);
    free(fakes);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_the_most_specific_handler_has_the_event_whatever_came_first),
        CASE(test_programs_take_turns_and_who_has_more_unanswered_waits),
        CASE(test_each_call_ends_once_by_its_reply_or_an_error),
        CASE(test_nobody_handles_it),
        CASE(test_a_slow_handler_costs_its_calls_only),
        CASE(test_a_time_that_a_reload_made_shorter_is_over_first),
        CASE(test_a_dead_handlers_calls_end_at_once),
        CASE(test_pending_calls_are_bounded_in_all_and_for_each_connection),
        CASE(test_there_are_not_more_handlers_than_may_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

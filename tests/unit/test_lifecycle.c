/*
 * Life-cycle events from a directory to a sink, by a mailbox that is sometimes full. No threads.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/hook/notices.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROOM = 4 };

struct world {
    struct exchange *exchange;
    struct notices notices;
    struct metrics metrics;
    struct notice_sink sink;
    struct notice *mail[ROOM];
    unsigned mail_count, wanted;
    struct buf heard;                   /* "rtc.online 2 2; rtc.gap 1; …" */
};

static int fake_post(void *argument, unsigned worker, const struct letter *letter)
{
    struct world *world = argument;
    assert_int_equal(worker, MAIN_MAILBOX);
    world->mail[world->mail_count++] = letter->notice;
    return 0;
}

static bool fake_has_room(void *argument, unsigned worker)
{
    return ((struct world *)argument)->mail_count < ROOM;
}

static uint64_t fake_wall(void *argument)
{
    return 1000;
}

static bool on_wants(const struct notice_sink *sink, enum notice_kind kind)
{
    return CONTAINER_OF(sink, struct world, sink)->wanted >> kind & 1;
}

static void on_notice(struct notice_sink *sink, const struct notice *notice)
{
    struct world *world = CONTAINER_OF(sink, struct world, sink);
    buf_add_bytes(&world->heard, notice->name);
    if (notice->kind == NOTICE_GAP)
        buf_add_format(&world->heard, " %llu; ", (unsigned long long)notice->lost);
    else
        buf_add_format(&world->heard, " %llu %llu; ", (unsigned long long)notice->sequence, (unsigned long long)notice->generation);
}

static int start(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct ports ports = {.post = fake_post, .has_room = fake_has_room, .wall_ms = fake_wall, .argument = world};
    world->exchange = exchange_new(1, &ports);
    assert_non_null(world->exchange);
    world->wanted = UINT32_MAX;
    world->sink = (struct notice_sink){.wants = on_wants, .take = on_notice};
    notices_init(&world->notices, world->exchange, &world->metrics);
    notices_add(&world->notices, &world->sink);
    *state = world;
    return 0;
}

static void take_letters(struct world *world)
{
    for (unsigned i = 0; i < world->mail_count; i++)
        notices_take(&world->notices, world->mail[i]);
    world->mail_count = 0;
    notices_settle(&world->notices);
}

static int stop(void **state)
{
    struct world *world = *state;
    take_letters(world);
    notices_remove(&world->notices, &world->sink);
    exchange_free(world->exchange);
    buf_done(&world->heard);
    free(world);
    return 0;
}

static void assert_heard(struct world *world, const char *expected)
{
    take_letters(world);
    assert_string_equal(buf_text(&world->heard), expected);
    buf_clear(&world->heard);
}

/* Comes online and goes again. */
static void pass_by(struct world *world, const char *name)
{
    struct directory *directory = world->exchange->directory;
    struct arrival arrival = {.worker = 0};
    uint64_t sequence;
    struct place *user = directory_enter(directory, SPACE_USER, bytes_text(name), &arrival, &sequence);
    directory_open_user(directory, user);
    directory_open_user(directory, user);
    directory_close_user(directory, user);
    directory_close_user(directory, user);
    directory_leave(directory, user, 0);
}

static void an_epoch_is_the_first_event(void **state)
{
    struct world *world = *state;
    notices_begin(&world->notices);
    pass_by(world, "ann");
    assert_heard(world, "rtc.epoch 1 0; rtc.online 2 2; rtc.offline 3 2; ");
}

static void a_full_mailbox_leaves_a_gap_that_shows_and_is_counted(void **state)
{
    struct world *world = *state;
    pass_by(world, "a");
    pass_by(world, "b");
    pass_by(world, "c");
    /* Nothing comes behind the gap: it is told all the same, once. */
    assert_heard(world, "rtc.online 2 2; rtc.offline 3 2; rtc.online 4 4; rtc.offline 5 4; rtc.gap 2; ");
    assert_int_equal(metrics_get(&world->metrics, METRIC_LIFECYCLE_LOST), 2);
    pass_by(world, "c");
    assert_heard(world, "rtc.online 8 8; rtc.offline 9 8; ");
    assert_int_equal(metrics_get(&world->metrics, METRIC_LIFECYCLE_LOST), 2);
}

static void a_gap_is_told_before_what_follows_it(void **state)
{
    struct world *world = *state;
    pass_by(world, "a");
    pass_by(world, "b");
    pass_by(world, "c");
    for (unsigned i = 0; i < world->mail_count; i++)
        notices_take(&world->notices, world->mail[i]);
    world->mail_count = 0;
    pass_by(world, "d");
    assert_heard(world, "rtc.online 2 2; rtc.offline 3 2; rtc.online 4 4; rtc.offline 5 4; rtc.gap 2; rtc.online 8 8; rtc.offline 9 8; ");
}

static void what_nobody_wants_is_not_sent_and_generations_grow(void **state)
{
    struct world *world = *state;
    world->wanted = 1u << NOTICE_OFFLINE;
    assert_int_equal(notices_refresh(&world->notices), 1);
    pass_by(world, "ann");
    assert_int_equal(world->mail_count, 1);
    assert_heard(world, "rtc.offline 3 2; ");
    world->wanted = 0;
    assert_int_equal(notices_refresh(&world->notices), 3);
    pass_by(world, "ann");
    assert_int_equal(world->mail_count, 0);
    world->wanted = UINT32_MAX;
    assert_int_equal(notices_refresh(&world->notices), 4);
    pass_by(world, "ann");
    assert_heard(world, "rtc.online 5 5; rtc.offline 6 5; ");
}

static void the_envelope_says_what_the_notice_says(void **state)
{
    struct world *world = *state;
    struct directory *directory = world->exchange->directory;
    struct arrival arrival = {.worker = 0};
    struct config *config = NULL;
    struct buf problems = {0};
    uint64_t sequence;
    assert_int_equal(config_load(NULL, NULL, 0, &config, &problems), 0);
    arrival.config = config;
    struct place *group = directory_enter(directory, SPACE_GROUP, BYTES("a\"b"), &arrival, &sequence);
    assert_int_equal(world->mail_count, 1);
    const struct notice *notice = world->mail[0];
    char expected[160];
    snprintf(expected, sizeof(expected), "{\"eventName\":\"rtc.occupied\",\"data\":{\"group\":\"a\\\"b\",\"epoch\":\"%s\",\"sequence\":2}}",
             world->exchange->lifecycle.epoch);
    assert_int_equal(notice->json.length, strlen(expected));
    assert_memory_equal(notice->json.data, expected, notice->json.length);
    assert_true(bytes_is(notice->group, "a\"b") && notice->user.length == 0 && notice->connection.length == 0);
    assert_int_equal(notice->time_ms, 1000);
    directory_leave(directory, group, 0);
    config_unref(config);
    buf_done(&problems);
    assert_heard(world, "rtc.occupied 2 0; rtc.vacated 3 0; ");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_epoch_is_the_first_event, start, stop),
        cmocka_unit_test_setup_teardown(a_full_mailbox_leaves_a_gap_that_shows_and_is_counted, start, stop),
        cmocka_unit_test_setup_teardown(a_gap_is_told_before_what_follows_it, start, stop),
        cmocka_unit_test_setup_teardown(what_nobody_wants_is_not_sent_and_generations_grow, start, stop),
        cmocka_unit_test_setup_teardown(the_envelope_says_what_the_notice_says, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

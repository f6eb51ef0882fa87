/*
 * Who comes and goes in groups that announce it: what is news, and two hubs that share a group under a fake clock: no sockets, no threads.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/config/groups.h"
#include "daemon/core/attendance.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/labels.h"
#include "daemon/core/message.h"

#include <stdio.h>
#include <sys/socket.h>

static const struct table_seed seed = {{1, 2}};

static struct attendee connection_named(const char *id)
{
    return (struct attendee){.events = PRESENCE_CONNECTIONS, .id = bytes_text(id), .text = bytes_text(id)};
}

static struct attendee user_named(const char *user)
{
    return (struct attendee){.events = PRESENCE_USERS, .id = BYTES("anything"), .user = bytes_text(user)};
}

static void comes(struct attendance *attendance, struct attendee who, uint64_t named_max)
{
    assert_int_equal(attendance_enter(attendance, &who, named_max, true), 0);
}

static void goes(struct attendance *attendance, struct attendee who, uint64_t named_max)
{
    attendance_leave(attendance, &who, named_max, true);
}

/* As "joined -left =count", or "+count", "-count" and "?count" where nobody is named. */
static const char *news_of(struct attendance *attendance, uint64_t named_max)
{
    static char text[512];
    struct attendance_news news;
    attendance_take_news(attendance, named_max, &news);
    if (news.is_named)
        snprintf(text, sizeof(text), "%.*s -%.*s =%u", (int)news.joined.length, (const char *)news.joined.data, (int)news.left.length,
                 (const char *)news.left.data, news.count);
    else if (news.has_changed)
        snprintf(text, sizeof(text), "%c%u", news.must_ask ? '?' : news.has_grown ? '+' : '-', news.count);
    else
        text[0] = '\0';
    attendance_news_done(&news);
    return text;
}

static void who_came_and_went_is_no_news(void **state)
{
    struct attendance *attendance = attendance_new(NULL, &seed);
    comes(attendance, connection_named("a"), 9);
    comes(attendance, connection_named("b"), 9);
    goes(attendance, connection_named("b"), 9);
    assert_true(attendance_has_news(attendance));
    assert_string_equal(news_of(attendance, 9), "a - =1");
    assert_false(attendance_has_news(attendance));
    goes(attendance, connection_named("a"), 9);
    comes(attendance, connection_named("c"), 9);
    comes(attendance, connection_named("a"), 9);
    assert_string_equal(news_of(attendance, 9), "c - =2");
    goes(attendance, connection_named("a"), 9);
    assert_string_equal(news_of(attendance, 9), " -a =1");
    assert_int_equal(table_count(&attendance->entries), 0);
    attendance_free(attendance);
}

static void a_question_in_between_makes_it_news(void **state)
{
    struct attendance *attendance = attendance_new(NULL, &seed);
    comes(attendance, connection_named("a"), 9);
    assert_string_equal(news_of(attendance, 9), "a - =1");
    goes(attendance, connection_named("a"), 9);
    attendance_begin_question(attendance);
    comes(attendance, connection_named("a"), 9);
    comes(attendance, connection_named("b"), 9);
    goes(attendance, connection_named("b"), 9);
    /* And once more behind the answer. */
    assert_string_equal(news_of(attendance, 9), "a -b =1");
    attendance_end_question(attendance);
    assert_true(attendance_has_news(attendance));
    assert_string_equal(news_of(attendance, 9), "a -b =1");
    assert_false(attendance_has_news(attendance));
    goes(attendance, connection_named("a"), 9);
    comes(attendance, connection_named("a"), 9);
    assert_false(attendance_has_news(attendance));
    assert_int_equal(table_count(&attendance->entries), 0);
    attendance_free(attendance);
}

static void users_come_with_their_first_connection_and_go_with_their_last(void **state)
{
    struct attendance *attendance = attendance_new(NULL, &seed);
    comes(attendance, user_named("ann"), 9);
    comes(attendance, user_named("ann"), 9);
    comes(attendance, user_named(""), 9);
    assert_string_equal(news_of(attendance, 9), "{\"userId\":\"ann\"} - =1");
    goes(attendance, user_named("ann"), 9);
    goes(attendance, user_named(""), 9);
    assert_false(attendance_has_news(attendance));
    goes(attendance, user_named("ann"), 9);
    comes(attendance, user_named("ann"), 9);
    assert_false(attendance_has_news(attendance));
    goes(attendance, user_named("ann"), 9);
    assert_string_equal(news_of(attendance, 9), " -{\"userId\":\"ann\"} =0");
    assert_int_equal(table_count(&attendance->entries), 0);
    assert_int_equal(attendance->connections, 0);
    /* One worker has seen neither of two connections of a user who was there all the time: he is announced behind the answer. */
    comes(attendance, user_named("bob"), 9);
    assert_string_equal(news_of(attendance, 9), "{\"userId\":\"bob\"} - =1");
    attendance_begin_question(attendance);
    comes(attendance, user_named("bob"), 9);
    goes(attendance, user_named("bob"), 9);
    attendance_end_question(attendance);
    assert_string_equal(news_of(attendance, 9), "{\"userId\":\"bob\"} - =1");
    attendance_free(attendance);
}

static void of_a_large_group_the_number_is_told(void **state)
{
    struct attendance *attendance = attendance_new(NULL, &seed);
    static const char *const ids[] = {"a", "b", "c", "d", "e", "f", "g", "h", "i"};
    for (unsigned i = 0; i < 8; i++)
        comes(attendance, connection_named(ids[i]), 8);
    assert_string_equal(news_of(attendance, 8), "a,b,c,d,e,f,g,h - =8");
    comes(attendance, connection_named("i"), 8);
    assert_string_equal(news_of(attendance, 8), "+9");
    assert_int_equal(table_count(&attendance->entries), 0);
    goes(attendance, connection_named("a"), 8);
    assert_string_equal(news_of(attendance, 8), "-8");
    comes(attendance, connection_named("a"), 8);
    goes(attendance, connection_named("b"), 8);
    assert_false(attendance_has_news(attendance));
    goes(attendance, connection_named("c"), 8);
    assert_string_equal(news_of(attendance, 8), "?7");
    goes(attendance, connection_named("d"), 8);
    assert_string_equal(news_of(attendance, 8), " -d =6");
    /* Above and below in one tick: names were lost. */
    for (unsigned i = 1; i < 4; i++)
        comes(attendance, connection_named(ids[i]), 8);
    for (unsigned i = 1; i < 4; i++)
        goes(attendance, connection_named(ids[i]), 8);
    assert_true(attendance_has_news(attendance));
    assert_string_equal(news_of(attendance, 8), "?6");
    attendance_free(attendance);
}

static void who_asked_in_a_large_group_does_not_stay_behind(void **state)
{
    struct attendance *attendance = attendance_new(NULL, &seed);
    uint64_t count = 0;
    for (unsigned i = 0; i < 9; i++)
        comes(attendance, connection_named((char[]){(char)('a' + i), 0}), 8);
    assert_string_equal(news_of(attendance, 8), "+9");
    /* The answer says 10, and then it is 9 again, as the others know it. */
    comes(attendance, connection_named("x"), 8);
    assert_false(attendance_answer(attendance, true, &count));
    assert_int_equal(count, 10);
    goes(attendance, connection_named("x"), 8);
    assert_true(attendance_has_news(attendance));
    assert_string_equal(news_of(attendance, 8), "+9");
    assert_false(attendance_answer(attendance, false, &count));
    assert_false(attendance_has_news(attendance));
    attendance_free(attendance);
}

static void who_was_answered_without_names_is_told_to_ask(void **state)
{
    struct attendance *attendance = attendance_new(NULL, &seed);
    uint64_t count = 7;
    comes(attendance, connection_named("a"), 8);
    assert_string_equal(news_of(attendance, 8), "a - =1");
    assert_true(attendance_answer(attendance, true, &count));
    assert_int_equal(count, 7);
    assert_false(attendance_has_news(attendance));
    assert_false(attendance_answer(attendance, false, &count));
    assert_string_equal(news_of(attendance, 8), "?1");
    attendance_free(attendance);
}

static void what_is_kept_is_bounded(void **state)
{
    struct attendance *attendance = attendance_new(NULL, &seed);
    char id[16];
    attendance_begin_question(attendance);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(id, sizeof(id), "c%u", i);
        comes(attendance, connection_named(id), 10);
        goes(attendance, connection_named(id), 10);
        assert_true(table_count(&attendance->entries) <= 100);
    }
    assert_string_equal(news_of(attendance, 10), "?0");
    attendance_end_question(attendance);
    assert_false(attendance_has_news(attendance));
    attendance_free(attendance);
}

/* ---- Two hubs */

struct world {
    struct config *config;
    struct exchange *exchange;
    struct hub *hubs[2];
    struct letter mail[64];
    unsigned to[64], mail_count, room;
};

static struct world the_world;

static int fake_post(void *argument, unsigned worker, const struct letter *letter)
{
    the_world.to[the_world.mail_count] = worker;
    the_world.mail[the_world.mail_count++] = *letter;
    return 0;
}

static bool fake_has_room(void *argument, unsigned worker)
{
    return the_world.mail_count < the_world.room;
}

static void fake_settle(void *argument, unsigned worker)
{
}

static uint64_t fake_now(void *argument)
{
    return the_world.hubs[0]->now_ms;
}

static const struct dialect dialect = {.name = "fake", .is_resumable = true};

static int start(void **state)
{
    struct buf problems = {0};
    static const char *const overrides[] = {"presence.interval=200ms", "presence.members=10"};
    the_world = (struct world){.room = COUNT_OF(the_world.mail)};
    assert_int_equal(config_load(NULL, overrides, COUNT_OF(overrides), &the_world.config, &problems), 0);
    struct group_rule *rule = rule_list_add(rule_lists[0], the_world.config, "here:1");
    rule->match = strdup("g");
    rule->presence_events = PRESENCE_CONNECTIONS;
    const char *option;
    assert_null(rule_list_finish(rule_lists[0], the_world.config, rule, &option));
    buf_done(&problems);
    struct ports ports = {.post = fake_post, .has_room = fake_has_room, .settle = fake_settle, .wall_ms = fake_now, .now_ms = fake_now};
    the_world.exchange = exchange_new(2, &ports);
    for (unsigned i = 0; i < 2; i++)
        the_world.hubs[i] = hub_new(i, the_world.exchange, the_world.config, 1000);
    return 0;
}

static void drop_mail(void)
{
    for (unsigned i = 0; i < the_world.mail_count; i++)
        assert_true(hub_handle(the_world.hubs[the_world.to[i]], &the_world.mail[i], 1));
    the_world.mail_count = 0;
}

static int stop(void **state)
{
    drop_mail();
    for (unsigned i = 0; i < 2; i++) {
        hub_close_all(the_world.hubs[i], FAULT_SHUTDOWN);
        hub_finish_turn(the_world.hubs[i]);
    }
    assert_int_equal(directory_count(the_world.exchange->directory, SPACE_GROUP), 0);
    for (unsigned i = 0; i < 2; i++)
        hub_free(the_world.hubs[i]);
    exchange_free(the_world.exchange);
    config_unref(the_world.config);
    return 0;
}

static struct connection *join_on(unsigned worker, const char *group)
{
    struct identity identity = {.user = BYTES("ann")};
    struct peer_address address = {.family = AF_UNIX};
    struct fault fault = {0};
    struct connection *connection = connection_new(the_world.hubs[worker], &dialect, CODEC_JSON, &identity, &address, &fault);
    assert_non_null(connection);
    assert_int_equal(connection_join(connection, bytes_text(group)), 0);
    return connection;
}

static void pass(uint64_t ms)
{
    for (unsigned i = 0; i < 2; i++) {
        the_world.hubs[i]->now_ms += ms;
        wheel_run(&the_world.hubs[i]->wheel, the_world.hubs[i]->now_ms);
    }
}

static void assert_mail(unsigned index, unsigned worker, const char *event, const char *start)
{
    assert_true(index < the_world.mail_count);
    const struct envelope *envelope = &the_world.mail[index].message->envelope;
    assert_int_equal(the_world.to[index], worker);
    assert_bytes(envelope->event_name, event);
    assert_true(envelope->data.length >= strlen(start));
    assert_memory_equal(envelope->data.data, start, strlen(start));
}

static void all_workers_share_one_envelope_a_tick(void **state)
{
    join_on(0, "g");
    pass(100);
    for (unsigned i = 0; i < 4; i++)
        join_on(i % 2, "g");
    join_on(0, "other");
    pass(50);
    assert_int_equal(the_world.mail_count, 0);
    pass(100);
    assert_int_equal(the_world.mail_count, 2);
    assert_mail(0, 0, "rtc.joined", "{\"group\":\"g\",\"count\":5,\"members\":[{\"connectionId\":\"");
    assert_mail(1, 1, "rtc.joined", "{\"group\":\"g\",\"count\":5,");
    assert_ptr_equal(the_world.mail[0].message, the_world.mail[1].message);
    drop_mail();
    pass(1000);
    assert_int_equal(the_world.mail_count, 0);
    assert_false(timer_is_set(&the_world.hubs[0]->announcer.timer) || timer_is_set(&the_world.hubs[1]->announcer.timer));
}

static void who_left_gets_nothing_and_the_others_one_of_each(void **state)
{
    join_on(0, "g");
    struct connection *second = join_on(0, "g");
    pass(250);
    drop_mail();
    assert_int_equal(outbox_last(&second->outbox), 1);
    struct fault why = {.id = FAULT_CLIENT_CLOSED};
    connection_close(second, &why, false);
    join_on(0, "g");
    pass(250);
    assert_int_equal(the_world.mail_count, 2);
    assert_mail(0, 0, "rtc.left", "{\"group\":\"g\",\"count\":2,\"members\":[");
    assert_mail(1, 0, "rtc.joined", "{\"group\":\"g\",\"count\":2,\"members\":[");
}

static void info_is_told_and_labels_are_not(void **state)
{
    struct connection *first = join_on(0, "other");
    assert_int_equal(labels_set(the_world.hubs[0], first, BYTES("{\"plan\":\"free\"}"), BYTES("[\"Ann\"]")), 0);
    assert_int_equal(connection_join(first, BYTES("g")), 0);
    pass(250);
    assert_int_equal(the_world.mail_count, 1);
    struct bytes data = the_world.mail[0].message->envelope.data;
    const char end[] = ",\"userId\":\"ann\",\"info\":[\"Ann\"]}]}";
    assert_memory_equal(data.data + data.length - strlen(end), end, strlen(end));
}

static void where_only_the_latest_is_kept_announcements_leave_a_gap(void **state)
{
    the_world.config->groups[0].slow = SLOW_LATEST;
    join_on(0, "g");
    pass(250);
    assert_int_equal(the_world.mail_count, 1);
    assert_int_equal(the_world.mail[0].message->slow, SLOW_DROP_OLDEST);
}

static void a_full_mailbox_puts_it_off_and_members_have_to_ask(void **state)
{
    join_on(0, "g");
    the_world.room = 0;
    pass(250);
    assert_int_equal(the_world.mail_count, 0);
    the_world.room = COUNT_OF(the_world.mail);
    pass(250);
    assert_int_equal(the_world.mail_count, 1);
    assert_mail(0, 0, "rtc.joined", "{\"group\":\"g\",\"count\":1,\"ask\":true}");
}

static void a_group_that_everybody_left_is_let_go(void **state)
{
    struct connection *only = join_on(1, "g");
    assert_int_equal(connection_leave(only, BYTES("g")), 0);
    assert_int_equal(directory_count(the_world.exchange->directory, SPACE_GROUP), 0);
    pass(250);
    assert_int_equal(the_world.mail_count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_came_and_went_is_no_news),
        cmocka_unit_test(a_question_in_between_makes_it_news),
        cmocka_unit_test(users_come_with_their_first_connection_and_go_with_their_last),
        cmocka_unit_test(of_a_large_group_the_number_is_told),
        cmocka_unit_test(who_asked_in_a_large_group_does_not_stay_behind),
        cmocka_unit_test(who_was_answered_without_names_is_told_to_ask),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test_setup_teardown(all_workers_share_one_envelope_a_tick, start, stop),
        cmocka_unit_test_setup_teardown(who_left_gets_nothing_and_the_others_one_of_each, start, stop),
        cmocka_unit_test_setup_teardown(info_is_told_and_labels_are_not, start, stop),
        cmocka_unit_test_setup_teardown(where_only_the_latest_is_kept_announcements_leave_a_gap, start, stop),
        cmocka_unit_test_setup_teardown(a_full_mailbox_puts_it_off_and_members_have_to_ask, start, stop),
        cmocka_unit_test_setup_teardown(a_group_that_everybody_left_is_let_go, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Handlers that come and go while they are called; groups that remember how far they have come. */
#include "tests/unit/test.h"

#include "lib/client/groups.h"
#include "lib/client/handlers.h"

static struct handlers handlers;
static char calls[100];

static void note(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
    strcat(calls, argument);
}

static void remove_all(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
    strcat(calls, "r");
    handlers_remove(&handlers, "a", NULL, NULL);
    handlers_add(&handlers, "a", note, "new");
}

static void call(const char *event_name, const char *expected)
{
    calls[0] = '\0';
    handlers_call(&handlers, NULL, &(struct rtc_message){.event_name = event_name});
    assert_string_equal(calls, expected);
}

static void test_handlers_are_called_in_order_and_the_rest_goes_elsewhere(void **state)
{
    handlers_init(&handlers);
    handlers_add(&handlers, "a", note, "1");
    handlers_add(&handlers, NULL, note, "*");
    handlers_add(&handlers, "a", note, "2");
    call("a", "12");
    call("b", "*");
    handlers_remove(&handlers, "a", note, "1");
    call("a", "2");
    handlers_remove(&handlers, "a", note, "1");
    handlers_remove(&handlers, "a", NULL, NULL);
    call("a", "*");
    handlers_remove(&handlers, NULL, NULL, NULL);
    call("a", "");
    handlers_done(&handlers);
}

static void test_a_handler_may_remove_all_and_add_another(void **state)
{
    handlers_init(&handlers);
    handlers_add(&handlers, "a", note, "1");
    handlers_add(&handlers, "a", remove_all, NULL);
    handlers_add(&handlers, "a", note, "3");
    call("a", "1r");
    call("a", "new");
    handlers_done(&handlers);
}

static void expect_join(const struct group *group, const char *json)
{
    struct buf text = {0};
    group_add_join(group, &text);
    assert_bytes(buf_bytes(&text), json);
    buf_done(&text);
}

static void test_a_group_is_joined_again_from_where_it_was(void **state)
{
    struct groups groups;
    groups_init(&groups);
    struct group *group = groups_add(&groups, "g", &(struct rtc_since){.last = 5});
    expect_join(group, "{\"group\":\"g\",\"last\":5}");
    group_note_joined(group, BYTES("{\"group\":\"g\",\"recovered\":false}"));
    expect_join(group, "{\"group\":\"g\"}");
    group_note_joined(group, BYTES("{\"group\":\"g\",\"epoch\":\"e1\",\"offset\":7,\"recovered\":false}"));
    group_note_joined(group, BYTES("{\"group\":\"g\",\"epoch\":\"e1\",\"offset\":7,\"first\":3,\"recovered\":false}"));
    expect_join(group, "{\"group\":\"g\",\"since\":{\"epoch\":\"e1\",\"offset\":2}}");      /* 3 to 7 are still to come */
    group_note_offset(group, 9);
    group_note_offset(group, 8);
    expect_join(group, "{\"group\":\"g\",\"since\":{\"epoch\":\"e1\",\"offset\":9}}");
    group_note_joined(group, BYTES("{\"group\":\"g\",\"epoch\":\"e1\",\"offset\":12,\"recovered\":true}"));
    expect_join(group, "{\"group\":\"g\",\"since\":{\"epoch\":\"e1\",\"offset\":9}}");      /* 10 to 12 are still to come */
    group_note_joined(group, BYTES("{\"group\":\"g\",\"epoch\":\"e2\",\"offset\":3,\"recovered\":false}"));
    expect_join(group, "{\"group\":\"g\",\"since\":{\"epoch\":\"e2\",\"offset\":3}}");
    assert_ptr_equal(groups_add(&groups, "g", NULL), group);
    assert_ptr_equal(groups_find(&groups, BYTES("g")), group);
    groups_remove(&groups, group);
    assert_null(groups_find(&groups, BYTES("g")));
    groups_add(&groups, "h", &(struct rtc_since){.epoch = "e", .offset = 1});
    groups_done(&groups);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_handlers_are_called_in_order_and_the_rest_goes_elsewhere),
        TEST(test_a_handler_may_remove_all_and_add_another),
        TEST(test_a_group_is_joined_again_from_where_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

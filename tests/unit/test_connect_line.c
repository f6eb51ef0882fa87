#include "tests/unit/test.h"

#include "cli/connect_line.h"

static char problem[CONNECT_PROBLEM_MAX];

static void a_typed_line_says_what_to_do(void **state)
{
    static const struct { const char *line; enum connect_verb verb; enum rtc_target_kind to; const char *name, *group, *event, *json; } rows[] = {
        {"join news", CONNECT_JOIN, RTC_TO_SERVER, NULL, "news", NULL, NULL},
        {"  leave  \"my room\"  ", CONNECT_LEAVE, RTC_TO_SERVER, NULL, "my room", NULL, NULL},
        {"group news chat.message { \"a\" : 1 }", CONNECT_SEND, RTC_TO_GROUP, "news", NULL, "chat.message", "{\"a\":1}"},
        {"group \"\\u00e9 x\" chat", CONNECT_SEND, RTC_TO_GROUP, "\xc3\xa9 x", NULL, "chat", NULL},
        {"user ann hello \"text with blanks\"", CONNECT_SEND, RTC_TO_USER, "ann", NULL, "hello", "\"text with blanks\""},
        {"connection 0-1 hello 7\r\n", CONNECT_SEND, RTC_TO_CONNECTION, "0-1", NULL, "hello", "7"},
        {"all\thello\tnull", CONNECT_SEND, RTC_TO_ALL, NULL, NULL, "hello", "null"},
        {"send order.new [1, 2]", CONNECT_SEND, RTC_TO_SERVER, NULL, NULL, "order.new", "[1,2]"},
        {"invoke order.new", CONNECT_INVOKE, RTC_TO_SERVER, NULL, NULL, "order.new", NULL},
        {"status", CONNECT_STATUS, RTC_TO_SERVER, NULL, NULL, NULL, NULL},
        {"help", CONNECT_HELP, RTC_TO_SERVER, NULL, NULL, NULL, NULL},
        {"quit ", CONNECT_QUIT, RTC_TO_SERVER, NULL, NULL, NULL, NULL},
        {"", CONNECT_NOTHING, RTC_TO_SERVER, NULL, NULL, NULL, NULL},
        {" \t", CONNECT_NOTHING, RTC_TO_SERVER, NULL, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct connect_action action;
        assert_int_equal(connect_line_read(rows[i].line, &action, problem), 0);
        assert_int_equal(action.verb, rows[i].verb);
        assert_int_equal(action.to.kind, rows[i].to);
        assert_bytes(bytes_text(action.to.name ? action.to.name : "-"), rows[i].name ? rows[i].name : "-");
        assert_bytes(bytes_text(action.group ? action.group : "-"), rows[i].group ? rows[i].group : "-");
        assert_bytes(bytes_text(action.event_name ? action.event_name : "-"), rows[i].event ? rows[i].event : "-");
        assert_bytes(bytes_text(action.json ? action.json : "-"), rows[i].json ? rows[i].json : "-");
        connect_action_done(&action);
    }
}

static void a_line_that_is_wrong_is_told_why(void **state)
{
    static const struct { const char *line, *part; } rows[] = {
        {"jion news", "no \"jion\" here"}, {"join", "say: join GROUP"}, {"join a b", "say: join GROUP"},
        {"group news", "say: group GROUP EVENT [DATA]"}, {"send chat hello", "A string needs its quotes"},
        {"send chat {\"a\":}", "DATA is not JSON: at byte"}, {"send chat 1 2", "DATA is not JSON"}, {"join \"x", "JSON string"},
        {"status now", "say: status"}, {"join \"a\\u0000b\"", "JSON string"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct connect_action action;
        assert_int_equal(connect_line_read(rows[i].line, &action, problem), -EBADMSG);
        assert_non_null(strstr(problem, rows[i].part));
        connect_action_done(&action);
    }
}

static void an_envelope_is_what_the_protocol_says(void **state)
{
    struct connect_action action;
    struct bytes line = bytes_text("{\"eventName\":\"chat\",\"data\":{\"a\":1},\"to\":{\"group\":\"news\",\"exceptSelf\":true},\"id\":7}");
    assert_int_equal(connect_envelope_read(line, &action, problem), 0);
    assert_int_equal(action.verb, CONNECT_INVOKE);
    assert_int_equal(action.id, 7);
    assert_int_equal(action.to.kind, RTC_TO_GROUP);
    assert_true(action.to.except_self);
    assert_string_equal(action.to.name, "news");
    assert_string_equal(action.event_name, "chat");
    assert_string_equal(action.json, "{\"a\":1}");
    connect_action_done(&action);

    line = bytes_text("{\"eventName\":\"rtc.join\",\"data\":{\"group\":\"news\",\"since\":{\"epoch\":\"e\",\"offset\":4}}}");
    assert_int_equal(connect_envelope_read(line, &action, problem), 0);
    assert_int_equal(action.verb, CONNECT_JOIN);
    assert_string_equal(action.group, "news");
    assert_string_equal(action.since.epoch, "e");
    assert_int_equal(action.since.offset, 4);
    connect_action_done(&action);

    line = bytes_text("{\"eventName\":\"rtc.leave\",\"data\":{\"group\":\"news\"},\"id\":2}");
    assert_int_equal(connect_envelope_read(line, &action, problem), 0);
    assert_int_equal(action.verb, CONNECT_LEAVE);
    assert_int_equal(action.id, 2);
    connect_action_done(&action);
}

static void what_is_no_envelope_is_refused(void **state)
{
    static const char *const lines[] = {"{", "7", "{\"data\":1}", "{\"eventName\":7}", "{\"eventName\":\"rtc.join\"}",
                                        "{\"eventName\":\"rtc.join\",\"data\":{\"group\":7}}", "{\"eventName\":\"a\",\"to\":{\"x\":1}}"};
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct connect_action action;
        assert_int_equal(connect_envelope_read(bytes_text(lines[i]), &action, problem), -EBADMSG);
        connect_action_done(&action);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_typed_line_says_what_to_do), TEST(a_line_that_is_wrong_is_told_why), TEST(an_envelope_is_what_the_protocol_says),
        TEST(what_is_no_envelope_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

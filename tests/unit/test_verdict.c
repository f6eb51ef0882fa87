/*
 * Verdicts: what goes in comes out, what is wrong or too much is refused and leaves the rest as it was.
 */
#include "tests/unit/test.h"

#include "daemon/core/verdict.h"

static void assert_labels(const struct verdict *verdict, const char *expected)
{
    struct buf out = {0};
    verdict_print_labels(verdict, &out);
    assert_bytes(buf_bytes(&out), expected);
    buf_done(&out);
}

static void a_label_takes_the_place_of_one_with_its_name(void **state)
{
    struct verdict verdict = {0};
    assert_labels(&verdict, "");
    assert_int_equal(verdict_add_label(&verdict, BYTES("net"), BYTES("lan"), NULL), 0);
    assert_int_equal(verdict_add_label(&verdict, BYTES("plan"), BYTES(""), NULL), 0);
    assert_int_equal(verdict_add_label(&verdict, BYTES("net"), BYTES("\"vpn\""), NULL), 0);
    assert_labels(&verdict, "{\"plan\":\"\",\"net\":\"\\\"vpn\\\"\"}");
    assert_int_equal(verdict.label_count, 2);
    verdict_done(&verdict);
}

static void labels_are_bounded(void **state)
{
    struct verdict verdict = {0};
    char name[VERDICT_LABEL_NAME + 2], value[300];
    const char *problem = NULL;
    memset(name, 'n', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    memset(value, 'v', sizeof(value));
    assert_int_equal(verdict_add_label(&verdict, bytes_text(name), BYTES("v"), &problem), -EINVAL);
    assert_non_null(problem);
    assert_int_equal(verdict_add_label(&verdict, BYTES(""), BYTES("v"), NULL), -EINVAL);
    assert_int_equal(verdict_add_label(&verdict, BYTES("n"), BYTES("a\nb"), NULL), -EINVAL);
    assert_int_equal(verdict_add_label(&verdict, BYTES("n"), bytes_of(value, 256), NULL), -EINVAL);
    for (unsigned i = 0; i < VERDICT_LABELS_MAX; i++) {
        snprintf(name, sizeof(name), "%u", i);
        assert_int_equal(verdict_add_label(&verdict, bytes_text(name), BYTES("v"), NULL), 0);
    }
    assert_int_equal(verdict_add_label(&verdict, BYTES("more"), BYTES("v"), NULL), -E2BIG);
    assert_int_equal(verdict_add_label(&verdict, BYTES("0"), bytes_of(value, 255), NULL), 0);
    assert_int_equal(verdict_add_label(&verdict, BYTES("1"), bytes_of(value, 255), NULL), 0);
    assert_int_equal(verdict_add_label(&verdict, BYTES("2"), bytes_of(value, 255), NULL), 0);
    assert_int_equal(verdict_add_label(&verdict, BYTES("3"), bytes_of(value, 255), NULL), -E2BIG);
    assert_int_equal(verdict.label_count, VERDICT_LABELS_MAX);
    verdict_done(&verdict);
}

static void groups_are_bounded_and_stand_once(void **state)
{
    struct verdict verdict = {0};
    struct bytes rest, group;
    char name[8];
    for (unsigned round = 0; round < 2; round++) {
        for (unsigned i = 0; i < VERDICT_GROUPS_MAX; i++) {
            snprintf(name, sizeof(name), "g%u", i);
            assert_int_equal(verdict_add_group(&verdict, bytes_text(name), NULL), 0);
        }
    }
    assert_int_equal(verdict_add_group(&verdict, BYTES("more"), NULL), -E2BIG);
    assert_int_equal(verdict_add_group(&verdict, BYTES(""), NULL), -EINVAL);
    assert_int_equal(verdict.group_count, VERDICT_GROUPS_MAX);
    rest = buf_bytes(&verdict.groups);
    for (unsigned i = 0; i < VERDICT_GROUPS_MAX; i++) {
        snprintf(name, sizeof(name), "g%u", i);
        assert_true(verdict_next_group(&rest, &group));
        assert_bytes(group, name);
    }
    assert_false(verdict_next_group(&rest, &group));
    verdict_done(&verdict);
}

static void the_first_refusal_stays_and_its_words_end_with_a_character(void **state)
{
    struct verdict verdict = {0};
    char words[400];
    assert_int_equal(verdict_refuse(&verdict, BYTES("slow-consumer"), BYTES("no"), NULL), -EINVAL);
    assert_int_equal(verdict_refuse(&verdict, BYTES("forbidden"), BYTES("\xff"), NULL), -EINVAL);
    assert_int_equal(verdict.refusal.id, FAULT_NONE);
    for (size_t i = 0; i + 1 < sizeof(words); i += 2)
        memcpy(words + i, "\xc3\xa4", 2);
    assert_int_equal(verdict_refuse(&verdict, BYTES("forbidden"), bytes_of(words, sizeof(words)), NULL), 0);
    assert_int_equal(strlen(verdict.refusal.detail), 158);
    assert_int_equal(verdict_refuse(&verdict, BYTES("rate-limited"), BYTES("no"), NULL), 0);
    assert_int_equal(verdict.refusal.id, FAULT_FORBIDDEN);
    verdict_done(&verdict);
}

static void json_is_taken_whole_or_named_wrong(void **state)
{
    static const char *const wrong_groups[] = {"", "null", "{}", "[1]", "[\"a\",\"\"]", "[\"a\\n\"]", "\"a\""};
    static const char *const wrong_labels[] = {"", "null", "[]", "{\"a\":1}", "{\"a\":null}", "{\"\":\"x\"}", "{\"a\":\"\\u0000\"}", "{\"a\":{}}"};
    struct verdict verdict = {0};
    for (size_t i = 0; i < COUNT_OF(wrong_groups); i++) {
        const char *problem = NULL;
        assert_int_equal(verdict_add_groups_json(&verdict, bytes_text(wrong_groups[i]), &problem), -EINVAL);
        assert_non_null(problem);
    }
    for (size_t i = 0; i < COUNT_OF(wrong_labels); i++) {
        const char *problem = NULL;
        assert_int_equal(verdict_add_labels_json(&verdict, bytes_text(wrong_labels[i]), &problem), -EINVAL);
        assert_non_null(problem);
    }
    assert_int_equal(verdict_add_groups_json(&verdict, BYTES("[\"b\\u0063\", \"d\"]"), NULL), 0);
    assert_int_equal(verdict_add_labels_json(&verdict, BYTES("{\"a\" : \"b\\u0063\"}"), NULL), 0);
    assert_labels(&verdict, "{\"a\":\"bc\"}");
    assert_int_equal(verdict.group_count, 3);
    verdict_done(&verdict);
}

static void what_is_withheld_and_where_else_to_go_are_texts(void **state)
{
    static const char *const wrong[] = {"", "https://", "ftp://a", "//a", "https://a\nb", "javascript:alert(1)"};
    struct verdict verdict = {0};
    char token[VERDICT_TOKEN_BYTES + 1];
    memset(token, 't', sizeof(token));
    assert_int_equal(verdict_withhold(&verdict, BYTES("sse"), NULL), 0);
    assert_int_equal(verdict_withhold(&verdict, BYTES("sse"), NULL), 0);
    assert_int_equal(verdict.withheld_count, 1);
    assert_true(verdict_withholds(&verdict, "sse"));
    assert_false(verdict_withholds(&verdict, "ss"));
    assert_int_equal(verdict_withhold(&verdict, BYTES(""), NULL), -EINVAL);
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        assert_int_equal(verdict_redirect(&verdict, bytes_text(wrong[i]), BYTES(""), NULL), -EINVAL);
    assert_int_equal(verdict_redirect(&verdict, BYTES("https://eu.example.org/rtc"), bytes_of(token, sizeof(token)), NULL), -EINVAL);
    assert_int_equal(verdict.redirect_url.length, 0);
    assert_int_equal(verdict_redirect(&verdict, BYTES("https://eu.example.org/rtc"), BYTES("t"), NULL), 0);
    assert_bytes(buf_bytes(&verdict.redirect_url), "https://eu.example.org/rtc");
    assert_bytes(buf_bytes(&verdict.redirect_token), "t");
    verdict_done(&verdict);
}

static void info_is_any_json_of_some_bytes(void **state)
{
    struct verdict verdict = {0};
    char text[VERDICT_INFO_BYTES + 1];
    assert_int_equal(verdict_set_info(&verdict, BYTES(" { \"a\" : [ 1 ] } "), NULL), 0);
    assert_bytes(buf_bytes(&verdict.info), "{\"a\":[1]}");
    assert_int_equal(verdict_set_info(&verdict, BYTES("{"), NULL), -EINVAL);
    memset(text, '1', sizeof(text));
    assert_int_equal(verdict_set_info(&verdict, bytes_of(text, sizeof(text)), NULL), -E2BIG);
    assert_bytes(buf_bytes(&verdict.info), "{\"a\":[1]}");
    assert_int_equal(verdict_set_info(&verdict, BYTES(""), NULL), 0);
    assert_int_equal(verdict.info.length, 0);
    assert_int_equal(verdict_set_user(&verdict, BYTES("a\x01"), NULL), -EINVAL);
    assert_int_equal(verdict_set_user(&verdict, BYTES("anna"), NULL), 0);
    assert_int_equal(verdict_set_user(&verdict, BYTES("bert"), NULL), -EINVAL);
    assert_bytes(buf_bytes(&verdict.user), "anna");
    verdict_done(&verdict);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_label_takes_the_place_of_one_with_its_name),
        TEST(labels_are_bounded),
        TEST(groups_are_bounded_and_stand_once),
        TEST(the_first_refusal_stays_and_its_words_end_with_a_character),
        TEST(json_is_taken_whole_or_named_wrong),
        TEST(what_is_withheld_and_where_else_to_go_are_texts),
        TEST(info_is_any_json_of_some_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

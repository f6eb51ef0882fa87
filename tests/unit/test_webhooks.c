#include "tests/unit/test.h"

#include "daemon/hook/breaker.h"
#include "daemon/hook/cloud_event.h"
#include "daemon/hook/signature.h"

static void a_signature_is_what_others_compute(void **state)
{
    const struct key_wish wish = {.has_algorithm = true, .algorithm = KEY_HS256};
    struct buf problem = {0}, out = {0};
    struct key *key;
    assert_int_equal(key_read_secret(BYTES("0123456789abcdef0123456789abcdef"), &wish, &key, &problem), 0);
    assert_int_equal(signature_add(&out, key, 1700000000, BYTES("{\"a\":1}")), 0);
    assert_bytes(buf_bytes(&out), "t=1700000000,v1=f05f2539e3ae1c49aec5f8cfdad75ef6b06480b133973ffbb7ec9e18827af177");
    key_free(key);
    buf_done(&out);
    buf_done(&problem);
}

static void a_cloud_event_has_the_data_of_both_objects(void **state)
{
    struct buf out = {0};
    struct cloud_event event = {.id = BYTES("e-7"), .source = BYTES("rtcd"), .type = BYTES("rtcd.online"), .subject = BYTES("a\"b"), .time_ms = 1700000000007,
                                .data = {BYTES("{\"a\":1}"), BYTES("{\"b\":{}}")}};
    cloud_event_add(&out, &event);
    assert_bytes(buf_bytes(&out), "{\"specversion\":\"1.0\",\"id\":\"e-7\",\"source\":\"rtcd\",\"type\":\"rtcd.online\",\"subject\":\"a\\\"b\","
                 "\"time\":\"2023-11-14T22:13:20.007Z\",\"datacontenttype\":\"application/json\",\"data\":{\"a\":1,\"b\":{}}}");
    static const struct { const char *first, *second, *both; } rows[] = {
        {"", "", "\"data\":{}}"}, {"{}", "{\"a\":1}", "\"data\":{\"a\":1}}"}, {"{\"a\":1}", "", "\"data\":{\"a\":1}}"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        event.data[0] = bytes_text(rows[i].first);
        event.data[1] = bytes_text(rows[i].second);
        buf_clear(&out);
        cloud_event_add(&out, &event);
        assert_non_null(strstr(buf_text(&out), rows[i].both));
    }
    buf_done(&out);
}

static void a_breaker_opens_after_failures_in_a_row_and_tries_one_at_a_time(void **state)
{
    struct breaker breaker = {0};
    for (unsigned i = 0; i < 2; i++) {
        assert_true(breaker_allows(&breaker, 0));
        assert_false(breaker_fail(&breaker, 0, 3, 100));
    }
    breaker_succeed(&breaker);
    for (unsigned i = 0; i < 2; i++)
        assert_false(breaker_fail(&breaker, 0, 3, 100));
    assert_true(breaker_fail(&breaker, 10, 3, 100));
    assert_false(breaker_allows(&breaker, 109));
    assert_false(breaker_fail(&breaker, 50, 3, 100));       /* begun before: says nothing new */
    assert_true(breaker_allows(&breaker, 110));
    breaker_begin(&breaker);
    assert_false(breaker_allows(&breaker, 1000));
    assert_false(breaker_fail(&breaker, 120, 3, 100));
    assert_false(breaker_allows(&breaker, 219));
    assert_true(breaker_allows(&breaker, 220));
    breaker_begin(&breaker);
    breaker_succeed(&breaker);
    assert_true(breaker_allows(&breaker, 220) && breaker.failures == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_signature_is_what_others_compute), TEST(a_cloud_event_has_the_data_of_both_objects),
        TEST(a_breaker_opens_after_failures_in_a_row_and_tries_one_at_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

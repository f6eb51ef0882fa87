/* The builder: every mistake has its sentence; and what a client does before it is connected. */
#include "tests/unit/test.h"

#include "lib/client/error.h"
#include "lib/client/policy.h"
#include "lib/rtc.h"


static void expect_refused(struct rtc_builder *builder, const char *words)
{
    struct rtc_error error;
    assert_null(rtc_builder_build(builder, &error));
    assert_int_equal(error.code, RTC_BAD_ARGUMENT);
    if (!strstr(error.message, words))
        fail_msg("\"%s\" is not in: %s", words, error.message);
    assert_null(rtc_builder_build(builder, NULL));
    rtc_builder_free(builder);
}

static struct rtc_builder *builder_for(const char *url)
{
    struct rtc_builder *builder = rtc_builder_new();
    rtc_builder_url(builder, url);
    return builder;
}

static void test_a_url_is_needed_and_checked(void **state)
{
    static const struct { const char *url, *words; } rows[] = {
        {NULL, "url: it is missing"}, {"", "must begin with http://"}, {"example.org", "must begin with http://"}, {"ftp://example.org", "must begin"},
        {"http://", "the host is no name"}, {"http://a b/", "port is no number"}, {"http://[::1/", "the host is no name"}, {"http://h:0/", "the port"},
        {"http://h:65536/", "the port"}, {"http://u:p@h/", "user and password"}, {"http://h/rtc?x=1", "a query does not belong"},
        {"http://h/rtc#x", "the path holds #"}, {"http://h/r\xc3\xbc", "the path holds #"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        expect_refused(builder_for(rows[i].url), rows[i].words);
}

static void test_every_property_is_checked(void **state)
{
    static const struct rtc_transport_kind nothing = {.name = "nothing"};
    static const struct rtc_codec half = {.name = "json"};
    struct rtc_builder *builder;
#define REFUSED(words, ...) do { builder = builder_for("http://h"); __VA_ARGS__; expect_refused(builder, words); } while (0)
    REFUSED("transports: there is no \"carrier-pigeon\"", rtc_builder_transports(builder, "websocket,carrier-pigeon"));
    REFUSED("transports: sse is named twice", rtc_builder_transports(builder, "sse, sse"));
    REFUSED("transports: none is named", rtc_builder_transports(builder, " , "));
    REFUSED("transport: it needs a name and the functions", rtc_builder_transport(builder, &nothing));
    REFUSED("transport: it needs a name", rtc_builder_transport(builder, NULL));
    REFUSED("protocols: there is no \"xml\"", rtc_builder_protocols(builder, "xml"));
    REFUSED("protocols: json is named twice", rtc_builder_protocols(builder, "json,json"));
    REFUSED("protocols: none is named", rtc_builder_protocols(builder, ""));
    REFUSED("codec: it needs the name json or msgpack", rtc_builder_codec(builder, &half));
    REFUSED("access_token: it may hold neither blanks", rtc_builder_access_token(builder, "a\r\nX: y"));
    REFUSED("user: a name is 1 to 255 bytes", rtc_builder_user(builder, ""));
    REFUSED("header: a name is a word", rtc_builder_header(builder, "X-A", "b\r\nX-C: d"));
    REFUSED("header: a name is a word", rtc_builder_header(builder, "Content-Length", "5"));
    REFUSED("header: a name is a word", rtc_builder_header(builder, "a b", "c"));
    REFUSED("reconnect_jitter", rtc_builder_reconnect_jitter(builder, 101));
    REFUSED("keep_alive_ms: it must be less", rtc_builder_keep_alive_ms(builder, 5); rtc_builder_timeout_ms(builder, 5));
    REFUSED("open_timeout_ms", rtc_builder_open_timeout_ms(builder, 0));
    REFUSED("queue: it must hold", rtc_builder_queue(builder, 0, 1));
    REFUSED("tls: a certificate_file needs its key_file", rtc_builder_tls(builder, &(struct rtc_tls){.certificate_file = "/dev/null"}));
    REFUSED("tls: ca_file /no/such/file cannot be used", rtc_builder_tls(builder, &(struct rtc_tls){.ca_file = "/no/such/file"}));
}

static void test_a_client_is_stopped_until_it_is_started(void **state)
{
    struct rtc_builder *builder = builder_for("wss://[::1]:8443/");
    struct rtc_error error;
    rtc_builder_header(builder, "X-Tenant", "one");
    struct rtc_client *client = rtc_builder_build(builder, &error);
    rtc_builder_free(builder);
    assert_non_null(client);
    assert_int_equal(rtc_state(client), RTC_STATE_STOPPED);
    assert_int_equal(rtc_events(client), 0);
    assert_int_equal(rtc_timeout_ms(client), -1);
    assert_int_equal(rtc_send(client, "a", "1"), RTC_NOT_STARTED);
    assert_string_equal(rtc_error(client)->message, "the client is stopped; rtc_start() it first");
    assert_null(rtc_connection_id(client));
    assert_null(rtc_transport_name(client));
    rtc_stop(client);
    rtc_process(client);
    rtc_free(client);
    rtc_free(NULL);
    rtc_builder_free(NULL);
}

static void note_state(struct rtc_client *client, enum rtc_state from, enum rtc_state to, void *argument)
{
    strcat(argument, rtc_state_name(to));
    strcat(argument, " ");
}

static void test_a_client_can_be_freed_in_any_state(void **state)
{
    char states[100] = "";
    struct rtc_builder *builder = builder_for("http://127.0.0.1:1/");
    struct rtc_client *client = rtc_builder_build(builder, NULL);
    const struct rtc_life life = {.on_state_change = note_state};
    rtc_builder_free(builder);
    rtc_set_life(client, &life, states);
    assert_int_equal(rtc_start(client), RTC_OK);
    assert_int_equal(rtc_start(client), RTC_BAD_ARGUMENT);
    assert_int_equal(rtc_send(client, "a", "{\"b\":1}"), RTC_OK);
    assert_int_equal(rtc_join(client, "g", NULL, NULL, NULL), RTC_OK);
    rtc_process(client);
    rtc_free(client);
    assert_string_equal(states, "connecting ");
}

static void test_codes_and_states_have_names(void **state)
{
    assert_string_equal(rtc_code_name(RTC_OK), "ok");
    assert_string_equal(rtc_code_name(RTC_NO_HANDLER), "no-handler");
    assert_string_equal(rtc_code_name(RTC_GAVE_UP), "gave-up");
    assert_string_equal(rtc_code_name((enum rtc_code)99), "unknown");
    assert_string_equal(rtc_state_name(RTC_STATE_RECONNECTING), "reconnecting");
    assert_string_equal(rtc_version(), "0.1.0");
}

static void test_a_code_of_a_handlers_own_keeps_its_word(void **state)
{
    struct rtc_error error = {0};
    char long_word[3 * RTC_OWN_CODE_MAX];
    memset(long_word, 'x', sizeof(long_word));
    error_set_named(&error, BYTES("sold-out"), BYTES("none is left"));
    assert_int_equal(error.code, RTC_OTHER);
    assert_string_equal(rtc_error_word(&error), "sold-out");
    assert_string_equal(error.message, "none is left");
    error_set_named(&error, BYTES("internal"), BYTES(""));
    assert_int_equal(error.code, RTC_INTERNAL);
    assert_string_equal(rtc_error_word(&error), "internal");
    error_set_named(&error, bytes_of(long_word, sizeof(long_word)), BYTES(""));
    assert_int_equal(strlen(rtc_error_word(&error)), RTC_OWN_CODE_MAX - 1);
    error_set(&error, RTC_NETWORK, "gone");
    assert_string_equal(rtc_error_word(&error), "network");
}

static void test_delays_grow_and_the_last_repeats(void **state)
{
    struct options options;
    options_init(&options);
    static const int64_t expected[] = {0, 2000, 10000, 30000, 30000, 30000};
    for (unsigned attempt = 0; attempt < COUNT_OF(expected); attempt++) {
        struct rtc_retry retry = {.attempt = attempt};
        assert_int_equal(policy_delay_ms(&options, &retry, 0), expected[attempt]);
        int64_t least = policy_delay_ms(&options, &retry, UINT32_MAX);
        assert_in_range(least, expected[attempt] * 3 / 4, expected[attempt]);
        assert_true(attempt == 0 || least < expected[attempt]);
    }
    options_set_delays(&options, NULL, 0);
    assert_int_equal(policy_delay_ms(&options, &(struct rtc_retry){0}, 0), -1);
    options_done(&options);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_a_url_is_needed_and_checked),
        TEST(test_every_property_is_checked),
        TEST(test_a_client_is_stopped_until_it_is_started),
        TEST(test_a_client_can_be_freed_in_any_state),
        TEST(test_codes_and_states_have_names), TEST(test_a_code_of_a_handlers_own_keeps_its_word),
        TEST(test_delays_grow_and_the_last_repeats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

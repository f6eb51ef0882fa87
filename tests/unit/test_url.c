#include "tests/unit/test.h"

#include "lib/client/url.h"
#include "lib/text.h"

static void what_is_written_is_what_is_meant(void **state)
{
    static const struct { const char *text, *host, *path, *authority, *whole; uint16_t port; bool is_tls; } rows[] = {
        {"http://example.org", "example.org", "/rtc", "example.org", "http://example.org/rtc", 80, false},
        {"https://example.org/", "example.org", "/rtc", "example.org", "https://example.org/rtc", 443, true},
        {"ws://example.org/events", "example.org", "/events", "example.org", "http://example.org/events", 80, false},
        {"WSS://Example.org:8443/a/b?c=d", "Example.org", "/a/b?c=d", "Example.org:8443", "https://Example.org:8443/a/b?c=d", 8443, true},
        {"http://127.0.0.1:8000?x=1", "127.0.0.1", "/rtc?x=1", "127.0.0.1:8000", "http://127.0.0.1:8000/rtc?x=1", 8000, false},
        {"http://[::1]:80/x", "::1", "/x", "[::1]", "http://[::1]/x", 80, false},
        {"https://[2001:db8::1]:80/", "2001:db8::1", "/rtc", "[2001:db8::1]:80", "https://[2001:db8::1]:80/rtc", 80, true},
        {"http://a/%20", "a", "/%20", "a", "http://a/%20", 80, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url url;
        struct rtc_error error = {0};
        struct buf out = {0};
        if (url_parse(rows[i].text, &url, &error) != RTC_OK)
            fail_msg("%s: %s", rows[i].text, error.message);
        assert_string_equal(url.host, rows[i].host);
        assert_string_equal(url.path, rows[i].path);
        assert_int_equal(url.port, rows[i].port);
        assert_int_equal(url.is_tls, rows[i].is_tls);
        url_add_authority(&url, &out);
        assert_bytes(buf_bytes(&out), rows[i].authority);
        buf_clear(&out);
        url_add_text(&url, &out);
        assert_bytes(buf_bytes(&out), rows[i].whole);
        buf_done(&out);
    }
}

static void what_makes_no_sense_is_refused_and_shown(void **state)
{
    static const struct { const char *text, *problem; } rows[] = {
        {"", "http://"}, {"example.org", "http://"}, {"ftp://example.org", "http://"}, {"//example.org/rtc", "http://"},
        {"http:/example.org", "http://"}, {"http://", "host"}, {"http:///rtc", "host"}, {"http://:80/", "host"}, {"http://[::1/", "host"},
        {"http://[]/", "host"}, {"http://[::1%eth0]/", "host"}, {"http://ex ample/", "port"}, {"http://a:b/", "port"}, {"http://a:/", "port"},
        {"http://a:0/", "port"}, {"http://a:65536/", "port"}, {"http://a:-1/", "port"}, {"http://a:99999999999999999999/", "port"},
        {"http://[::1]x/", "port"}, {"http://user:secret@example.org/", "password"}, {"http://a/b#c", "#"}, {"http://a/b c", "%XX"},
        {"http://a/b\r\nX: y", "%XX"}, {"http://a/\xc3\xa9", "%XX"}, {"http://a#c", "port"}, {"http://\xc3\xa9/", "host"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url url;
        struct rtc_error error = {0};
        if (url_parse(rows[i].text, &url, &error) != RTC_BAD_ARGUMENT || !strstr(error.message, rows[i].problem))
            fail_msg("%s: %s", rows[i].text, error.message);
        for (const char *at = error.message; *at; at++)
            assert_true((unsigned char)*at >= ' ');
    }
}

static void long_ones_fit_or_are_refused(void **state)
{
    struct url url;
    struct rtc_error error;
    char text[URL_PATH_MAX + 100] = "http://";
    memset(text + 7, 'a', URL_HOST_MAX);
    assert_int_equal(url_parse(text, &url, &error), RTC_OK);
    assert_int_equal(strlen(url.host), URL_HOST_MAX);
    text[7 + URL_HOST_MAX] = 'a';
    assert_int_equal(url_parse(text, &url, &error), RTC_BAD_ARGUMENT);
    for (int length = URL_PATH_MAX - 10; length < URL_PATH_MAX + 10; length++) {
        static const char *const starts[] = {"http://a/", "http://a?", "http://a/?"};
        for (size_t i = 0; i < COUNT_OF(starts); i++) {
            int start = sprintf(text, "%s", starts[i]);
            memset(text + start, 'b', (size_t)length);
            text[start + length] = '\0';
            enum rtc_code code = url_parse(text, &url, &error);
            assert_true(code == RTC_OK ? strlen(url.path) <= URL_PATH_MAX : code == RTC_BAD_ARGUMENT);
            /* As a path of its own, too. */
            code = url_resolve("http://a/", strchr(text + 7, '/') ? strchr(text + 7, '/') : "/", &url, &error);
            assert_true(code == RTC_OK ? strlen(url.path) <= URL_PATH_MAX : code == RTC_BAD_ARGUMENT);
        }
    }
}

static void paths_are_found_on_the_same_server(void **state)
{
    static const struct { const char *base, *reference, *whole; } rows[] = {
        {"https://a:8443/rtc", "/rtc/ws?x=y", "https://a:8443/rtc/ws?x=y"}, {"http://a/deep/path", "/", "http://a/"},
        {"http://a/rtc", "https://b/rtc", "https://b/rtc"}, {"http://a/rtc", "ws://b", "http://b/rtc"},
        {"http://a/rtc", "//b/rtc", NULL}, {"http://a/rtc", "ws", NULL}, {"http://a/rtc", "", NULL}, {"http://a/rtc", "/a b", NULL},
        {"http://a/rtc", "/a\r\nHost: b", NULL}, {"nonsense", "/rtc", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url url;
        struct rtc_error error;
        struct buf out = {0};
        enum rtc_code code = url_resolve(rows[i].base, rows[i].reference, &url, &error);
        if (code != (rows[i].whole ? RTC_OK : RTC_BAD_ARGUMENT))
            fail_msg("row %zu: %d %s", i, code, error.message);
        if (code == RTC_OK) {
            url_add_text(&url, &out);
            assert_bytes(buf_bytes(&out), rows[i].whole);
        }
        buf_done(&out);
    }
}

static void a_server_is_its_scheme_host_and_port(void **state)
{
    static const struct { const char *a, *b; bool is_same; } rows[] = {
        {"http://a/x", "ws://A:80/y", true}, {"http://a/", "https://a/", false}, {"http://a/", "http://a:81/", false}, {"http://a/", "http://b/", false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url a, b;
        assert_int_equal(url_parse(rows[i].a, &a, NULL), RTC_OK);
        assert_int_equal(url_parse(rows[i].b, &b, NULL), RTC_OK);
        assert_int_equal(url_is_same_server(&a, &b), rows[i].is_same);
    }
}

static void values_of_a_query_are_written_safely(void **state)
{
    struct buf out = {0};
    text_add_url_encoded(&out, BYTES("aZ09-._~ &=+%/?#\0\xc3\xa9"));
    assert_bytes(buf_bytes(&out), "aZ09-._~%20%26%3D%2B%25%2F%3F%23%00%C3%A9");
    buf_done(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_what_is_meant), TEST(what_makes_no_sense_is_refused_and_shown), TEST(long_ones_fit_or_are_refused),
        TEST(paths_are_found_on_the_same_server), TEST(a_server_is_its_scheme_host_and_port), TEST(values_of_a_query_are_written_safely),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

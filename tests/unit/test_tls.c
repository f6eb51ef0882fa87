#include "tests/unit/tls_peer.h"

#include "lib/client/tls.h"

#include <openssl/err.h>

/* Both sides of one connection, with memory between them. */
struct pair {
    struct tls_context *context;
    struct tls *client;
    SSL_CTX *server_context;
    SSL *server;
    BIO *to_server, *from_server;
    struct rtc_error error;
};

static struct tls_peer peer;

static void pair_init(struct pair *pair, const struct rtc_tls *options, const char *host, const char *certificate)
{
    struct url url = {.is_tls = true, .port = 443};
    *pair = (struct pair){.server_context = tls_peer_context(&peer, certificate)};
    strcpy(url.host, host);
    if (tls_context_new(options, &pair->context, &pair->error) != RTC_OK || !(pair->client = tls_new(pair->context, &url, &pair->error)))
        fail_msg("%s", pair->error.message);
    pair->server = SSL_new(pair->server_context);
    pair->to_server = BIO_new(BIO_s_mem());
    pair->from_server = BIO_new(BIO_s_mem());
    SSL_set_bio(pair->server, pair->to_server, pair->from_server);
    SSL_set_accept_state(pair->server);
}

static void pair_done(struct pair *pair)
{
    tls_free(pair->client);
    tls_context_unref(pair->context);
    SSL_free(pair->server);
    SSL_CTX_free(pair->server_context);
    ERR_clear_error();
}

/* What either has said reaches the other. */
static void carry(struct pair *pair)
{
    struct buf out = {0};
    char *data;
    assert_int_equal(tls_give(pair->client, &out), 0);
    if (out.length)
        assert_int_equal(BIO_write(pair->to_server, out.data, (int)out.length), out.length);
    long length = BIO_get_mem_data(pair->from_server, &data);
    if (length > 0)
        assert_int_equal(tls_take(pair->client, bytes_of(data, (size_t)length)), 0);
    (void)BIO_reset(pair->from_server);
    buf_done(&out);
}

static enum decode shake_hands(struct pair *pair)
{
    enum decode result = DECODE_MORE;
    for (int i = 0; i < 10 && result == DECODE_MORE; i++) {
        result = tls_handshake(pair->client, &pair->error);
        carry(pair);
        SSL_do_handshake(pair->server);
        carry(pair);
    }
    ERR_clear_error();
    return result;
}

static struct rtc_tls trusting(void)
{
    static char path[128];
    strcpy(path, tls_peer_path(&peer, "ca"));
    return (struct rtc_tls){.ca_file = path};
}

static void expect_read(struct pair *pair, const char *text)
{
    unsigned char data[100];
    size_t length = 0;
    assert_int_equal(tls_read(pair->client, data, sizeof(data), &length, &pair->error), DECODE_DONE);
    assert_bytes(bytes_of(data, length), text);
}

static void what_one_side_writes_the_other_reads(void **state)
{
    struct pair pair;
    struct rtc_tls options = trusting();
    unsigned char data[100];
    size_t length;
    pair_init(&pair, &options, "example.org", "good");
    assert_int_equal(shake_hands(&pair), DECODE_DONE);
    assert_int_equal(tls_read(pair.client, data, sizeof(data), &length, &pair.error), DECODE_MORE);
    assert_int_equal(tls_write(pair.client, BYTES(""), &pair.error), RTC_OK);
    assert_int_equal(tls_write(pair.client, BYTES("ping"), &pair.error), RTC_OK);
    carry(&pair);
    assert_int_equal(SSL_read(pair.server, data, sizeof(data)), 4);
    assert_memory_equal(data, "ping", 4);
    assert_int_equal(SSL_write(pair.server, "pong", 4), 4);
    carry(&pair);
    expect_read(&pair, "pong");
    const unsigned char *protocol;
    unsigned protocol_length;
    SSL_get0_alpn_selected(pair.server, &protocol, &protocol_length);
    assert_bytes(bytes_of(protocol, protocol_length), "http/1.1");
    assert_string_equal(SSL_get_servername(pair.server, TLSEXT_NAMETYPE_host_name), "example.org");
    assert_int_equal(SSL_version(pair.server), TLS1_3_VERSION);
    pair_done(&pair);
}

static void an_orderly_end_is_read_as_one_and_told(void **state)
{
    struct pair pair;
    struct rtc_tls options = trusting();
    char byte;
    pair_init(&pair, &options, "example.org", "good");
    assert_int_equal(shake_hands(&pair), DECODE_DONE);
    SSL_shutdown(pair.server);
    carry(&pair);
    expect_read(&pair, "");
    tls_close(pair.client);
    carry(&pair);
    assert_int_equal(SSL_read(pair.server, &byte, 1), 0);
    assert_int_equal(SSL_get_error(pair.server, 0), SSL_ERROR_ZERO_RETURN);
    pair_done(&pair);
    pair_init(&pair, &options, "example.org", "good");
    tls_close(pair.client);             /* in the middle of the handshake: harmless */
    pair_done(&pair);
}

static void what_a_certificate_is_for_is_who_is_trusted(void **state)
{
    static const struct { const char *certificate, *host, *server_name, *problem; bool is_unverified; } rows[] = {
        {"good", "example.org", NULL, NULL, false}, {"good", "EXAMPLE.org", NULL, NULL, false}, {"good", "example.org.", NULL, NULL, false},
        {"good", "127.0.0.1", NULL, NULL, false}, {"good", "::1", NULL, NULL, false}, {"good", "a.wild.example.org", NULL, NULL, false},
        {"good", "a.b.wild.example.org", NULL, "for other names", false}, {"good", "wild.example.org", NULL, "for other names", false},
        {"good", "www.example.org", NULL, "for other names", false}, {"good", "127.0.0.2", NULL, "for other names", false},
        {"good", "localhost", "example.org", NULL, false}, {"good", "example.org", "other.example", "certificate of other.example is for other names", false},
        {"other", "example.org", NULL, "certificate of example.org is for other names", false}, {"other", "example.org", "other.example", NULL, false},
        {"expired", "example.org", NULL, "has expired", false}, {"early", "example.org", NULL, "not valid yet", false},
        {"alone", "example.org", NULL, "is not trusted: self", false}, {"alone", "example.org", NULL, NULL, true},
        {"other", "example.org", NULL, NULL, true}, {"expired", "10.0.0.1", NULL, NULL, true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pair pair;
        struct rtc_tls options = trusting();
        options.server_name = rows[i].server_name;
        options.is_unverified = rows[i].is_unverified;
        pair_init(&pair, &options, rows[i].host, rows[i].certificate);
        enum decode result = shake_hands(&pair);
        if (result != (rows[i].problem ? DECODE_BAD : DECODE_DONE))
            fail_msg("%s for %s: %d %s", rows[i].certificate, rows[i].host, result, pair.error.message);
        if (rows[i].problem && (pair.error.code != RTC_TLS || !strstr(pair.error.message, rows[i].problem)))
            fail_msg("%s for %s: %s", rows[i].certificate, rows[i].host, pair.error.message);
        assert_int_equal(ERR_peek_error(), 0);
        pair_done(&pair);
    }
}

static void without_a_file_the_systems_authorities_are_trusted_and_no_others(void **state)
{
    struct pair pair;
    struct rtc_tls options = {0};
    setenv("SSL_CERT_FILE", tls_peer_path(&peer, "ca"), 1);
    setenv("SSL_CERT_DIR", peer.folder, 1);
    pair_init(&pair, &options, "example.org", "good");
    assert_int_equal(shake_hands(&pair), DECODE_DONE);
    pair_done(&pair);
    setenv("SSL_CERT_FILE", tls_peer_path(&peer, "missing"), 1);
    pair_init(&pair, &options, "example.org", "good");
    assert_int_equal(shake_hands(&pair), DECODE_BAD);
    assert_int_equal(pair.error.code, RTC_TLS);
    assert_non_null(strstr(pair.error.message, "is not trusted: "));
    pair_done(&pair);
    /* A file of the caller's is instead of the system's. */
    char own[128];
    strcpy(own, tls_peer_path(&peer, "other"));
    options.ca_file = own;
    setenv("SSL_CERT_FILE", tls_peer_path(&peer, "ca"), 1);
    pair_init(&pair, &options, "example.org", "good");
    assert_int_equal(shake_hands(&pair), DECODE_BAD);
    pair_done(&pair);
    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
}

static void an_old_version_is_not_spoken(void **state)
{
    struct pair pair;
    struct rtc_tls options = trusting();
    pair_init(&pair, &options, "example.org", "good");
    SSL_set_security_level(pair.server, 0);
    SSL_set_min_proto_version(pair.server, TLS1_VERSION);
    SSL_set_max_proto_version(pair.server, TLS1_1_VERSION);
    assert_int_equal(shake_hands(&pair), DECODE_BAD);
    assert_int_equal(pair.error.code, RTC_TLS);
    assert_non_null(strstr(pair.error.message, "example.org"));
    pair_done(&pair);
}

static void a_server_that_speaks_no_tls_is_named(void **state)
{
    struct pair pair;
    struct rtc_tls options = trusting();
    pair_init(&pair, &options, "example.org", "good");
    assert_int_equal(tls_handshake(pair.client, &pair.error), DECODE_MORE);
    assert_int_equal(tls_take(pair.client, BYTES("HTTP/1.1 400 Bad Request\r\n\r\n")), 0);
    assert_int_equal(tls_handshake(pair.client, &pair.error), DECODE_BAD);
    assert_int_equal(pair.error.code, RTC_TLS);
    assert_non_null(strstr(pair.error.message, "example.org"));
    pair_done(&pair);
}

static void bytes_that_were_changed_on_the_way_are_refused(void **state)
{
    struct pair pair;
    struct rtc_tls options = trusting();
    unsigned char data[100];
    size_t length;
    char *record;
    pair_init(&pair, &options, "example.org", "good");
    assert_int_equal(shake_hands(&pair), DECODE_DONE);
    carry(&pair);
    SSL_write(pair.server, "pong", 4);
    long size = BIO_get_mem_data(pair.from_server, &record);
    record[size - 1] ^= 1;
    carry(&pair);
    assert_int_equal(tls_read(pair.client, data, sizeof(data), &length, &pair.error), DECODE_BAD);
    assert_int_equal(pair.error.code, RTC_TLS);
    assert_int_equal(length, 0);
    pair_done(&pair);
}

static void a_client_shows_its_certificate_where_it_is_asked_for(void **state)
{
    for (int has_one = 0; has_one <= 1; has_one++) {
        struct pair pair;
        struct rtc_tls options = trusting();
        char own[128];
        unsigned char data[10];
        size_t length;
        strcpy(own, tls_peer_path(&peer, "other"));
        if (has_one)
            options.certificate_file = options.key_file = own;
        pair_init(&pair, &options, "example.org", "good");
        SSL_set_verify(pair.server, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        assert_int_equal(SSL_CTX_load_verify_file(pair.server_context, options.ca_file), 1);
        /* The client is done before the server has seen what it shows (RFC 8446 section 4.4.2). */
        assert_int_equal(shake_hands(&pair), DECODE_DONE);
        SSL_do_handshake(pair.server);
        carry(&pair);
        enum decode result = tls_read(pair.client, data, sizeof(data), &length, &pair.error);
        assert_int_equal(result, has_one ? DECODE_MORE : DECODE_BAD);
        if (!has_one)
            assert_non_null(strstr(pair.error.message, "certificate required"));
        pair_done(&pair);
    }
}

static void files_that_cannot_be_used_are_named(void **state)
{
    char ca[128], good[128], other[128], locked[128], missing[128];
    strcpy(ca, tls_peer_path(&peer, "ca"));
    strcpy(good, tls_peer_path(&peer, "good"));
    strcpy(other, tls_peer_path(&peer, "other"));
    strcpy(locked, tls_peer_path(&peer, "locked"));
    strcpy(missing, tls_peer_path(&peer, "missing"));
    const struct { struct rtc_tls options; const char *property, *path; } rows[] = {
        {{.ca_file = missing}, "ca_file", missing}, {{.ca_file = "/dev/null"}, "ca_file", "/dev/null"},
        {{.certificate_file = missing, .key_file = good}, "certificate_file", missing}, {{.certificate_file = good, .key_file = missing}, "key_file", missing},
        {{.certificate_file = good, .key_file = ca}, "key_file", ca}, {{.certificate_file = good, .key_file = other}, "key_file", other},
        {{.certificate_file = locked, .key_file = locked}, "key_file", locked},
        {{.certificate_file = good}, "key_file is missing", ""}, {{.key_file = good}, "certificate_file is missing", ""},
        {{.server_name = ""}, "server_name is empty", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct tls_context *context = NULL;
        struct rtc_error error = {0};
        if (tls_context_new(&rows[i].options, &context, &error) != RTC_BAD_ARGUMENT)
            fail_msg("row %zu: no error", i);
        if (!strstr(error.message, rows[i].property) || !strstr(error.message, rows[i].path))
            fail_msg("row %zu: %s", i, error.message);
        assert_null(context);
        assert_int_equal(ERR_peek_error(), 0);
    }
}

static void a_host_that_no_certificate_can_name_is_refused(void **state)
{
    static const char *const hosts[] = {"1.2.3", ".", "1234"};
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct rtc_tls options = trusting();
        struct tls_context *context;
        struct rtc_error error;
        struct url url = {.is_tls = true};
        strcpy(url.host, hosts[i]);
        assert_int_equal(tls_context_new(&options, &context, &error), RTC_OK);
        assert_null(tls_new(context, &url, &error));
        assert_int_equal(error.code, RTC_TLS);
        tls_context_unref(context);
    }
}

static int make_files(void **state)
{
    tls_peer_init(&peer);
    return 0;
}

static int remove_files(void **state)
{
    tls_peer_done(&peer);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_one_side_writes_the_other_reads), TEST(an_orderly_end_is_read_as_one_and_told), TEST(what_a_certificate_is_for_is_who_is_trusted),
        TEST(without_a_file_the_systems_authorities_are_trusted_and_no_others), TEST(an_old_version_is_not_spoken),
        TEST(a_server_that_speaks_no_tls_is_named), TEST(bytes_that_were_changed_on_the_way_are_refused),
        TEST(a_client_shows_its_certificate_where_it_is_asked_for), TEST(files_that_cannot_be_used_are_named),
        TEST(a_host_that_no_certificate_can_name_is_refused),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}

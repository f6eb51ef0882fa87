#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/net/tls.h"
#include "daemon/net/tls_certificate.h"
#include "daemon/net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

/* Certificates */

static void add_name(X509 *certificate, const char *name, int length)
{
    X509_NAME *subject = X509_get_subject_name(certificate);
    assert_int_equal(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)name, length, -1, 0), 1);
}

static X509 *certificate_new(EVP_PKEY *key, const char *name, int length)
{
    X509 *certificate = X509_new();
    X509_set_version(certificate, X509_VERSION_3);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_pubkey(certificate, key);
    if (length)
        add_name(certificate, name, length);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    return certificate;
}

static void expect_user(X509 *certificate, enum config_certificate_user which, const char *expected)
{
    char *user = tls_certificate_user(certificate, which);
    assert_string_equal(user, expected);
    free(user);
}

static void a_user_is_one_name_without_controls(void **state)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    static const struct { const char *name; int length; const char *user; } cases[] = {
        {"ada", 3, "ada"}, {"Zo\xc3\xab", 4, "Zo\xc3\xab"}, {"", 0, ""}, {"ada\0.evil", 9, ""}, {"a\nb", 3, ""},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        X509 *certificate = certificate_new(key, cases[i].name, cases[i].length);
        expect_user(certificate, CERTIFICATE_USER_COMMON_NAME, cases[i].user);
        expect_user(certificate, CERTIFICATE_USER_DNS, "");
        add_name(certificate, "ada", 3);
        expect_user(certificate, CERTIFICATE_USER_COMMON_NAME, cases[i].length ? "" : "ada");
        X509_free(certificate);
    }
    EVP_PKEY_free(key);
}

/* A server with one certificate, and a client beside it */

struct pair {
    char path[40];
    struct config *config;
    struct tls_tickets *tickets;
    struct tls *tls;
    struct tls_desk desk;
    struct tls_session session;
    SSL_CTX *context;
    SSL *client;
    BIO *in, *out;                      /* the client's */
};

static void pair_open(struct pair *pair)
{
    *pair = (struct pair){.path = "/tmp/rtcd-test-tls-XXXXXX"};
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = certificate_new(key, "server", 6);
    FILE *file = fdopen(mkstemp(pair->path), "w");
    PEM_write_X509(file, certificate);
    PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);

    char option[80];
    struct buf problems = {0};
    snprintf(option, sizeof(option), "tls.certificates=%s", pair->path);
    assert_int_equal(config_load(NULL, (const char *[]){option}, 1, &pair->config, &problems), 0);
    pair->tickets = tls_tickets_new();
    assert_int_equal(tls_new(pair->config, pair->tickets, &pair->tls, &problems), 0);
    buf_done(&problems);
    assert_int_equal(tls_desk_init(&pair->desk), 0);
    assert_int_equal(tls_session_init(&pair->session, tls_ref(pair->tls), &pair->desk), 0);
    pair->context = SSL_CTX_new(TLS_client_method());
    pair->client = SSL_new(pair->context);
    pair->in = BIO_new(BIO_s_mem());
    pair->out = BIO_new(BIO_s_mem());
    SSL_set_bio(pair->client, pair->in, pair->out);
    SSL_set_connect_state(pair->client);
}

static void pair_close(struct pair *pair)
{
    SSL_free(pair->client);
    SSL_CTX_free(pair->context);
    tls_session_done(&pair->session);
    tls_desk_done(&pair->desk);
    tls_unref(pair->tls);
    tls_tickets_unref(pair->tickets);
    config_unref(pair->config);
    unlink(pair->path);
}

/* What the server has said goes to the client. */
static void pair_answer(struct pair *pair)
{
    if (pair->desk.out.length)
        BIO_write(pair->in, pair->desk.out.data, (int)pair->desk.out.length);
    buf_clear(&pair->desk.out);
}

static size_t pair_said(struct pair *pair, unsigned char **ret)
{
    return (size_t)BIO_get_mem_data(pair->out, (char **)ret);
}

static void pair_shake_hands(struct pair *pair, unsigned way)
{
    enum tls_progress progress = TLS_MORE;
    uint32_t seed = way;
    for (unsigned i = 0; progress == TLS_MORE && i < 10; i++) {
        unsigned char *said;
        SSL_do_handshake(pair->client);
        size_t length = pair_said(pair, &said);
        for (size_t at = 0, piece; at < length && progress == TLS_MORE; at += piece) {
            piece = test_piece(way, length - at, &seed);
            pair->desk.in = bytes_of(said + at, piece);
            progress = tls_session_accept(&pair->session, &pair->desk);
            assert_int_equal(pair->desk.in.length, 0);
        }
        BIO_reset(pair->out);
        pair_answer(pair);
    }
    assert_int_equal(progress, TLS_DONE);
    assert_int_equal(SSL_do_handshake(pair->client), 1);
}

static void handshakes_may_come_in_pieces(void **state)
{
    static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
    for (size_t v = 0; v < COUNT_OF(versions); v++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct pair pair;
            pair_open(&pair);
            SSL_set_max_proto_version(pair.client, versions[v]);
            pair_shake_hands(&pair, way);
            pair_close(&pair);
        }
    }
}

static void everything_that_came_is_read_at_once(void **state)
{
    for (unsigned way = 0; way < TEST_WAYS; way++) {
        struct pair pair;
        static unsigned char room[2 * TLS_RECORD_MAX + 64 * 1024], sent[20000];
        unsigned char *said;
        size_t got = 0;
        bool is_over = false;
        uint32_t seed = way;
        pair_open(&pair);
        pair_shake_hands(&pair, 0);
        /* Two records and a small one, and then the client's last word. */
        for (size_t i = 0; i < sizeof(sent); i++)
            sent[i] = (unsigned char)(i * 7);
        assert_int_equal(SSL_write(pair.client, sent, 20000), 20000);
        assert_int_equal(SSL_write(pair.client, "end", 3), 3);
        SSL_shutdown(pair.client);
        size_t length = pair_said(&pair, &said);
        for (size_t at = 0, piece; at < length; at += piece) {
            piece = test_piece(way, length - at, &seed);
            assert_false(is_over);
            pair.desk.in = bytes_of(said + at, piece);
            got += tls_session_read(&pair.session, &pair.desk, room + got, sizeof(room) - got, &is_over);
            assert_int_equal(pair.desk.in.length, 0);
        }
        assert_true(is_over);
        assert_int_equal(got, sizeof(sent) + 3);
        assert_memory_equal(room, sent, sizeof(sent));
        assert_memory_equal(room + sizeof(sent), "end", 3);
        pair_close(&pair);
    }
}

static void a_write_is_one_record_and_the_end_is_said(void **state)
{
    struct pair pair;
    static char data[TLS_RECORD_MAX], room[TLS_RECORD_MAX];
    pair_open(&pair);
    pair_shake_hands(&pair, 0);
    memset(data, 'x', sizeof(data));
    assert_int_equal(tls_session_write(&pair.session, &pair.desk, data, sizeof(data)), 0);
    assert_int_equal(pair.desk.out.data[3] << 8 | pair.desk.out.data[4], pair.desk.out.length - 5);
    pair_answer(&pair);
    assert_int_equal(SSL_read(pair.client, room, sizeof(room)), sizeof(room));
    assert_memory_equal(room, data, sizeof(data));
    tls_session_end(&pair.session, &pair.desk);
    pair_answer(&pair);
    assert_int_equal(SSL_read(pair.client, room, sizeof(room)), 0);
    assert_int_equal(SSL_get_error(pair.client, 0), SSL_ERROR_ZERO_RETURN);
    pair_close(&pair);
}

static void what_is_altered_ends_the_session(void **state)
{
    struct pair pair;
    unsigned char *said;
    static unsigned char room[TLS_RECORD_MAX + 100];
    bool is_over;
    pair_open(&pair);
    pair_shake_hands(&pair, 0);
    SSL_write(pair.client, "hello", 5);
    size_t length = pair_said(&pair, &said);
    said[length - 1] ^= 1;
    pair.desk.in = bytes_of(said, length);
    assert_int_equal(tls_session_read(&pair.session, &pair.desk, room, sizeof(room), &is_over), 0);
    assert_true(is_over);
    assert_true(pair.desk.out.length > 0);
    assert_int_equal(tls_session_write(&pair.session, &pair.desk, "x", 1), -ECONNRESET);
    pair_close(&pair);
}

/* Tickets */

struct ticket {
    unsigned char name[TICKET_NAME_BYTES], iv[EVP_MAX_IV_LENGTH];
};

static int ticket_use(struct tls_tickets *tickets, uint64_t now_s, struct ticket *ticket, bool is_new)
{
    EVP_CIPHER_CTX *cipher = EVP_CIPHER_CTX_new();
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    EVP_MAC_CTX *context = EVP_MAC_CTX_new(mac);
    int r = is_new ? tls_tickets_seal(tickets, now_s * 1000, ticket->name, ticket->iv, cipher, context)
        : tls_tickets_open(tickets, now_s * 1000, ticket->name, ticket->iv, cipher, context);
    EVP_MAC_CTX_free(context);
    EVP_MAC_free(mac);
    EVP_CIPHER_CTX_free(cipher);
    return r;
}

static void keys_of_tickets_are_replaced_and_forgotten(void **state)
{
    struct tls_tickets *tickets = tls_tickets_new(), *others = tls_tickets_new();
    struct ticket first = {{0}}, second, third;
    assert_int_equal(ticket_use(tickets, 5, &first, false), 0);
    assert_int_equal(ticket_use(tickets, 5, &first, true), 1);
    assert_int_equal(ticket_use(tickets, 5, &first, false), 1);
    assert_int_equal(ticket_use(others, 5, &first, false), 0);
    /* As long as the key is young enough the next ticket has the same, and another initialization vector. */
    assert_int_equal(ticket_use(tickets, TICKET_LIFE_S, &second, true), 1);
    assert_memory_equal(first.name, second.name, sizeof(first.name));
    assert_memory_not_equal(first.iv, second.iv, 16);
    /* Then there is a new one; what the old one sealed is good for as long as a ticket lives, and to be replaced. */
    assert_int_equal(ticket_use(tickets, TICKET_LIFE_S + 6, &third, true), 1);
    assert_memory_not_equal(first.name, third.name, sizeof(first.name));
    assert_int_equal(ticket_use(tickets, TICKET_LIFE_S + 6, &second, false), 2);
    assert_int_equal(ticket_use(tickets, TICKET_LIFE_S + 6, &third, false), 1);
    /* Forgotten by time, though nobody wanted a new ticket meanwhile. */
    assert_int_equal(ticket_use(tickets, 2 * TICKET_LIFE_S + 5, &second, false), 0);
    assert_int_equal(ticket_use(tickets, 3 * TICKET_LIFE_S + 6, &third, false), 0);
    tls_tickets_unref(tickets);
    tls_tickets_unref(others);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_user_is_one_name_without_controls),
        TEST(handshakes_may_come_in_pieces),
        TEST(everything_that_came_is_read_at_once),
        TEST(a_write_is_one_record_and_the_end_is_said),
        TEST(what_is_altered_ends_the_session),
        TEST(keys_of_tickets_are_replaced_and_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

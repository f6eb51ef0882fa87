#include "tests/unit/loopback.h"
#include "tests/unit/tls_peer.h"

#include "lib/client/stream.h"

#include <openssl/err.h>
#include <signal.h>

/* A stream to a server that the test plays. */
struct session {
    struct loopback loopback;
    struct tls_context *context;
    struct stream *stream;
    SSL_CTX *server_context;
    SSL *server;
    int peer;
    struct buf data;
    unsigned open_count, end_count;
    struct rtc_error why;
};

static struct tls_peer peer;

static void on_open(void *owner)
{
    struct session *session = owner;
    session->open_count++;
}

static void on_data(void *owner, unsigned char *data, size_t length)
{
    struct session *session = owner;
    assert_true(session->open_count && length);
    buf_add(&session->data, data, length);
}

static void on_end(void *owner, const struct rtc_error *why)
{
    struct session *session = owner;
    session->end_count++;
    session->why = *why;
}

static const struct stream_handler handler = {.on_open = on_open, .on_data = on_data, .on_end = on_end};

static void session_init(struct session *session, const char *server_name)
{
    struct rtc_error error;
    struct rtc_tls options = {.ca_file = tls_peer_path(&peer, "ca"), .server_name = server_name};
    *session = (struct session){0};
    loopback_init(&session->loopback);
    session->loopback.url.is_tls = true;
    assert_int_equal(tls_context_new(&options, &session->context, &error), RTC_OK);
    session->stream = stream_open(&session->loopback.io, &session->loopback.url, session->context, &handler, session, &error);
    assert_non_null(session->stream);
    session->peer = loopback_accept(&session->loopback);
    session->server_context = tls_peer_context(&peer, "good");
    session->server = SSL_new(session->server_context);
    SSL_set_fd(session->server, session->peer);
    SSL_set_accept_state(session->server);
}

static void session_done(struct session *session)
{
    stream_close(session->stream);
    assert_int_equal(io_timeout_ms(&session->loopback.io), -1);
    tls_context_unref(session->context);
    SSL_free(session->server);
    SSL_CTX_free(session->server_context);
    close(session->peer);
    buf_done(&session->data);
    ERR_clear_error();
    loopback_done(&session->loopback);
}

/* What the server's last call waits for, while the client goes on. false: it has failed. */
static bool wait_for_server(struct session *session, int r)
{
    int problem = SSL_get_error(session->server, r);
    if (problem != SSL_ERROR_WANT_READ && problem != SSL_ERROR_WANT_WRITE)
        return false;
    loopback_turn(&session->loopback, session->peer, problem == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT);
    return true;
}

static void server_shakes_hands(struct session *session)
{
    int r;
    while ((r = SSL_do_handshake(session->server)) != 1)
        assert_true(wait_for_server(session, r));
}

static void server_reads(struct session *session, size_t length, struct buf *ret)
{
    while (ret->length < length) {
        int r = SSL_read(session->server, buf_room(ret, length - ret->length), (int)(length - ret->length));
        if (r > 0)
            ret->length += (size_t)r;
        else
            assert_true(wait_for_server(session, r));
    }
}

static void server_writes(struct session *session, struct bytes bytes)
{
    size_t written = 0;
    int r;
    SSL_set_mode(session->server, SSL_MODE_ENABLE_PARTIAL_WRITE);
    while (written < bytes.length) {
        if ((r = SSL_write(session->server, bytes.data + written, (int)(bytes.length - written))) > 0)
            written += (size_t)r;
        else
            assert_true(wait_for_server(session, r));
    }
}

static struct buf pattern(size_t length)
{
    struct buf buf = {0};
    unsigned char *data = buf_room(&buf, length);
    for (size_t i = 0; i < length; i++)
        data[i] = (unsigned char)(i * 31 + i / 1000);
    buf.length = length;
    return buf;
}

static void large_messages_go_both_ways_whole(void **state)
{
    struct session session;
    struct buf much = pattern(5000000), got = {0};
    session_init(&session, NULL);
    stream_send(session.stream, BYTES("before it is open; "));
    server_shakes_hands(&session);
    server_reads(&session, 19, &got);
    assert_bytes(buf_bytes(&got), "before it is open; ");
    buf_clear(&got);
    stream_send(session.stream, buf_bytes(&much));
    assert_true(stream_queued_bytes(session.stream) > 0);
    server_reads(&session, much.length, &got);
    assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&much)));
    server_writes(&session, buf_bytes(&much));
    UNTIL(&session.loopback, session.data.length == much.length);
    assert_true(bytes_equal(buf_bytes(&session.data), buf_bytes(&much)));
    assert_int_equal(SSL_key_update(session.server, SSL_KEY_UPDATE_REQUESTED), 1);      /* new keys for both, in between */
    server_writes(&session, BYTES("more"));
    UNTIL(&session.loopback, session.data.length == much.length + 4);
    stream_send(session.stream, BYTES("and more"));
    buf_clear(&got);
    server_reads(&session, 8, &got);
    assert_bytes(buf_bytes(&got), "and more");
    assert_int_equal(session.end_count, 0);
    buf_done(&much);
    buf_done(&got);
    session_done(&session);
}

static void an_end_without_a_word_of_tls_is_a_cut(void **state)
{
    for (int is_cut = 0; is_cut <= 1; is_cut++) {
        struct session session;
        session_init(&session, NULL);
        server_shakes_hands(&session);
        server_writes(&session, BYTES("last"));
        if (!is_cut)
            SSL_shutdown(session.server);
        shutdown(session.peer, SHUT_WR);
        UNTIL(&session.loopback, session.end_count);
        assert_bytes(buf_bytes(&session.data), "last");
        assert_int_equal(session.why.code, is_cut ? RTC_NETWORK : RTC_OK);
        session_done(&session);
    }
}

static void a_wrong_certificate_ends_it_before_a_byte_is_sent(void **state)
{
    struct session session;
    struct buf heard = {0};
    session_init(&session, "other.example");
    stream_send(session.stream, BYTES("Authorization: Bearer secret"));
    int r;
    while ((r = SSL_do_handshake(session.server)) != 1 && wait_for_server(&session, r))
        ;
    UNTIL(&session.loopback, session.end_count);
    assert_int_equal(session.why.code, RTC_TLS);
    assert_non_null(strstr(session.why.message, "other.example is for other names"));
    assert_int_equal(session.open_count, 0);
    assert_true(SSL_read(session.server, buf_room(&heard, 100), 100) <= 0);
    assert_int_equal(session.end_count, 1);
    buf_done(&heard);
    session_done(&session);
}

static void a_server_that_hangs_up_in_the_handshake_is_named(void **state)
{
    struct session session;
    session_init(&session, NULL);
    shutdown(session.peer, SHUT_RDWR);
    UNTIL(&session.loopback, session.end_count);
    assert_int_equal(session.why.code, RTC_NETWORK);
    assert_non_null(strstr(session.why.message, "127.0.0.1:"));
    assert_int_equal(session.open_count, 0);
    session_done(&session);
}

static void what_is_finished_says_goodbye(void **state)
{
    struct session session;
    struct buf much = pattern(3000000), got = {0};
    char byte;
    int r;
    session_init(&session, NULL);
    server_shakes_hands(&session);
    UNTIL(&session.loopback, session.open_count);
    stream_send(session.stream, buf_bytes(&much));
    stream_finish(STEAL(session.stream), PATIENCE_MS);
    server_reads(&session, much.length, &got);
    assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&much)));
    while ((r = SSL_read(session.server, &byte, 1)) <= 0 && SSL_get_error(session.server, r) != SSL_ERROR_ZERO_RETURN)
        assert_true(wait_for_server(&session, r));
    shutdown(session.peer, SHUT_RDWR);
    UNTIL(&session.loopback, list_is_empty(&session.loopback.io.finishing));
    assert_int_equal(session.end_count, 0);
    buf_done(&much);
    buf_done(&got);
    session_done(&session);
}

static int make_files(void **state)
{
    tls_peer_init(&peer);
    signal(SIGPIPE, SIG_IGN);           /* of the server's side: OpenSSL writes to the socket by itself there */
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
        TEST(large_messages_go_both_ways_whole), TEST(an_end_without_a_word_of_tls_is_a_cut), TEST(a_wrong_certificate_ends_it_before_a_byte_is_sent),
        TEST(a_server_that_hangs_up_in_the_handshake_is_named), TEST(what_is_finished_says_goodbye),
    };
    return cmocka_run_group_tests(tests, make_files, remove_files);
}

#include "tests/unit/loopback.h"

#include "lib/client/stream.h"

/* What the owner of a stream saw, and what it does then. */
struct owner {
    struct loopback loopback;
    struct stream *stream;
    struct buf data;
    unsigned open_count, writable_count, end_count;
    struct rtc_error why;
    const char *say_on_open;
    enum { CLOSE_NEVER, CLOSE_ON_OPEN, CLOSE_ON_DATA, CLOSE_ON_WRITABLE, CLOSE_ON_END } closes;
};

static void owner_close(struct owner *owner)
{
    stream_close(STEAL(owner->stream));
}

static void on_open(void *argument)
{
    struct owner *owner = argument;
    owner->open_count++;
    if (owner->say_on_open)
        stream_send(owner->stream, bytes_text(owner->say_on_open));
    if (owner->closes == CLOSE_ON_OPEN)
        owner_close(owner);
}

static void on_data(void *argument, unsigned char *data, size_t length)
{
    struct owner *owner = argument;
    assert_true(owner->open_count && length);
    buf_add(&owner->data, data, length);
    if (owner->closes == CLOSE_ON_DATA)
        owner_close(owner);
}

static void on_writable(void *argument)
{
    struct owner *owner = argument;
    owner->writable_count++;
    if (owner->closes == CLOSE_ON_WRITABLE)
        owner_close(owner);
}

static void on_end(void *argument, const struct rtc_error *why)
{
    struct owner *owner = argument;
    owner->end_count++;
    owner->why = *why;
    if (owner->closes == CLOSE_ON_END)
        owner_close(owner);
}

static const struct stream_handler handler = {.on_open = on_open, .on_data = on_data, .on_writable = on_writable, .on_end = on_end};

static void owner_init(struct owner *owner)
{
    struct rtc_error error;
    *owner = (struct owner){0};
    loopback_init(&owner->loopback);
    owner->stream = stream_open(&owner->loopback.io, &owner->loopback.url, NULL, &handler, owner, &error);
    assert_non_null(owner->stream);
}

static void owner_done(struct owner *owner)
{
    owner_close(owner);
    stream_close_finishing(&owner->loopback.io);
    assert_int_equal(io_timeout_ms(&owner->loopback.io), -1);
    buf_done(&owner->data);
    loopback_done(&owner->loopback);
}

static struct buf pattern(size_t length)
{
    struct buf buf = {0};
    unsigned char *data = buf_room(&buf, length);
    assert_non_null(data);
    for (size_t i = 0; i < length; i++)
        data[i] = (unsigned char)(i * 31 + i / 1000);
    buf.length = length;
    return buf;
}

static void bytes_go_both_ways(void **state)
{
    struct owner owner;
    owner_init(&owner);
    assert_int_equal(owner.open_count, 0);
    UNTIL(&owner.loopback, owner.open_count);
    int peer = loopback_accept(&owner.loopback);
    stream_send(owner.stream, BYTES("ping"));
    assert_int_equal(stream_queued_bytes(owner.stream), 0);
    loopback_expect(&owner.loopback, peer, "ping");
    loopback_say(&owner.loopback, peer, BYTES("pong"));
    UNTIL(&owner.loopback, owner.data.length == 4);
    assert_bytes(buf_bytes(&owner.data), "pong");
    close(peer);
    UNTIL(&owner.loopback, owner.end_count);
    assert_int_equal(owner.why.code, RTC_OK);
    stream_send(owner.stream, BYTES("too late"));       /* harmless */
    UNTIL(&owner.loopback, io_timeout_ms(&owner.loopback.io) < 0);
    assert_int_equal(owner.end_count, 1);
    assert_int_equal(owner.open_count, 1);
    owner_done(&owner);
}

static void what_is_sent_before_it_is_open_goes_before_what_is_sent_then(void **state)
{
    struct owner owner;
    owner_init(&owner);
    owner.say_on_open = "then";
    stream_send(owner.stream, BYTES("first, "));
    assert_int_equal(stream_queued_bytes(owner.stream), 7);
    int peer = loopback_accept(&owner.loopback);
    loopback_expect(&owner.loopback, peer, "first, then");
    close(peer);
    owner_done(&owner);
}

static void a_slow_peer_gets_all_and_the_owner_is_told_once_it_has_gone(void **state)
{
    struct owner owner;
    struct buf sent = pattern(STREAM_QUEUE_MAX), got = {0};
    owner_init(&owner);
    int peer = loopback_accept(&owner.loopback);
    UNTIL(&owner.loopback, owner.open_count);
    stream_send(owner.stream, buf_bytes(&sent));
    assert_true(stream_queued_bytes(owner.stream) > 0);
    assert_int_equal(owner.writable_count, 0);
    loopback_read(&owner.loopback, peer, sent.length, &got);
    assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&sent)));
    UNTIL(&owner.loopback, owner.writable_count);
    assert_int_equal(stream_queued_bytes(owner.stream), 0);
    assert_int_equal(owner.end_count, 0);
    assert_int_equal(owner.writable_count, 1);
    buf_done(&sent);
    buf_done(&got);
    close(peer);
    owner_done(&owner);
}

static void a_large_answer_comes_whole(void **state)
{
    struct owner owner;
    struct buf said = pattern(3000000);
    owner_init(&owner);
    int peer = loopback_accept(&owner.loopback);
    loopback_say(&owner.loopback, peer, buf_bytes(&said));
    close(peer);
    UNTIL(&owner.loopback, owner.end_count);
    assert_int_equal(owner.why.code, RTC_OK);
    assert_true(bytes_equal(buf_bytes(&owner.data), buf_bytes(&said)));
    buf_done(&said);
    owner_done(&owner);
}

static void more_than_may_wait_fails_it_later(void **state)
{
    for (int is_open = 0; is_open <= 1; is_open++) {
        struct owner owner;
        struct buf much = pattern(STREAM_QUEUE_MAX);
        owner_init(&owner);
        int peer = loopback_accept(&owner.loopback);
        if (is_open)
            UNTIL(&owner.loopback, owner.open_count);
        stream_send(owner.stream, buf_bytes(&much));
        stream_send(owner.stream, buf_bytes(&much));
        assert_int_equal(owner.end_count, 0);           /* never within a call of the owner's */
        UNTIL(&owner.loopback, owner.end_count);
        assert_int_equal(owner.why.code, RTC_NETWORK);
        assert_non_null(strstr(owner.why.message, "16777216"));
        buf_done(&much);
        close(peer);
        owner_done(&owner);
    }
}

static void a_connection_that_is_reset_ends_with_the_reason(void **state)
{
    struct owner owner;
    owner_init(&owner);
    int peer = loopback_accept(&owner.loopback);
    UNTIL(&owner.loopback, owner.open_count);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(peer);
    UNTIL(&owner.loopback, owner.end_count);
    assert_int_equal(owner.why.code, RTC_NETWORK);
    assert_non_null(strstr(owner.why.message, "127.0.0.1:"));
    owner_done(&owner);
}

static void a_peer_that_is_gone_kills_nobody_who_sends(void **state)
{
    struct owner owner;
    owner_init(&owner);
    int peer = loopback_accept(&owner.loopback);
    UNTIL(&owner.loopback, owner.open_count);
    setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
    close(peer);
    for (int i = 0; i < 3; i++)
        stream_send(owner.stream, BYTES("SIGPIPE would end this test"));
    assert_int_equal(owner.end_count, 0);
    UNTIL(&owner.loopback, owner.end_count);
    assert_int_equal(owner.why.code, RTC_NETWORK);
    owner_done(&owner);
}

static void a_closed_port_is_named(void **state)
{
    struct owner owner;
    char where[32];
    owner_init(&owner);
    owner_close(&owner);
    close(owner.loopback.listener);
    owner.loopback.listener = -1;
    snprintf(where, sizeof(where), "127.0.0.1:%u", owner.loopback.url.port);
    owner.stream = stream_open(&owner.loopback.io, &owner.loopback.url, NULL, &handler, &owner, NULL);
    stream_send(owner.stream, BYTES("never sent"));
    UNTIL(&owner.loopback, owner.end_count);
    assert_int_equal(owner.why.code, RTC_NETWORK);
    assert_non_null(strstr(owner.why.message, where));
    assert_non_null(strstr(owner.why.message, strerror(ECONNREFUSED)));
    assert_int_equal(owner.open_count, 0);
    owner_done(&owner);
}

static void it_may_be_closed_in_any_callback(void **state)
{
    unsigned before = open_descriptors();
    for (int closes = CLOSE_ON_OPEN; closes <= CLOSE_ON_END; closes++) {
        struct owner owner;
        struct buf much = pattern(6000000), got = {0};
        owner_init(&owner);
        owner.closes = closes;
        int peer = loopback_accept(&owner.loopback);
        stream_send(owner.stream, closes == CLOSE_ON_OPEN ? BYTES("x") : buf_bytes(&much));
        if (closes == CLOSE_ON_DATA)
            loopback_say(&owner.loopback, peer, BYTES("x"));
        loopback_read(&owner.loopback, peer, closes == CLOSE_ON_WRITABLE ? much.length : 1, &got);
        if (closes == CLOSE_ON_END)
            shutdown(peer, SHUT_RDWR);
        UNTIL(&owner.loopback, !owner.stream);
        close(peer);
        io_process(&owner.loopback.io);
        assert_int_equal(owner.end_count, closes == CLOSE_ON_END);
        buf_done(&much);
        buf_done(&got);
        owner_done(&owner);
        assert_int_equal(open_descriptors(), before);
    }
}

static void it_may_be_closed_at_any_time_before_it_is_open(void **state)
{
    unsigned before = open_descriptors();
    for (int turns = 0; turns < 4; turns++) {
        struct owner owner;
        owner_init(&owner);
        for (int i = 0; i < turns && !owner.open_count; i++)
            loopback_turn(&owner.loopback, -1, 0);
        owner_done(&owner);
        assert_int_equal(open_descriptors(), before);
        assert_int_equal(owner.end_count, 0);
    }
}

static void what_is_finished_is_sent_to_the_end_and_frees_itself(void **state)
{
    struct owner owner;
    struct buf much = pattern(6000000), got = {0};
    unsigned before = open_descriptors();
    owner_init(&owner);
    int peer = loopback_accept(&owner.loopback);
    UNTIL(&owner.loopback, owner.open_count);
    stream_send(owner.stream, buf_bytes(&much));
    stream_finish(STEAL(owner.stream), PATIENCE_MS);
    loopback_say(&owner.loopback, peer, BYTES("nobody reads this"));
    loopback_read(&owner.loopback, peer, much.length + 1, &got);
    assert_true(bytes_equal(buf_bytes(&got), buf_bytes(&much)));
    assert_false(list_is_empty(&owner.loopback.io.finishing));
    close(peer);
    UNTIL(&owner.loopback, list_is_empty(&owner.loopback.io.finishing));
    assert_int_equal(owner.end_count + owner.data.length, 0);
    buf_done(&much);
    buf_done(&got);
    owner_done(&owner);
    assert_int_equal(open_descriptors(), before);
}

static void a_peer_that_does_not_close_is_not_waited_for_longer_than_said(void **state)
{
    struct owner owner;
    owner_init(&owner);
    int peer = loopback_accept(&owner.loopback);
    UNTIL(&owner.loopback, owner.open_count);
    stream_finish(STEAL(owner.stream), 20);
    UNTIL(&owner.loopback, list_is_empty(&owner.loopback.io.finishing));
    loopback_expect_end(&owner.loopback, peer);
    close(peer);
    owner_done(&owner);
}

static void a_connected_stream_holds_one_descriptor(void **state)
{
    struct owner owner;
    unsigned before = open_descriptors();
    owner_init(&owner);
    int peer = loopback_accept(&owner.loopback);
    UNTIL(&owner.loopback, owner.open_count);
    assert_int_equal(open_descriptors(), before + 4);   /* epoll, this stream; the test's listener and peer */
    close(peer);
    owner_done(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bytes_go_both_ways), TEST(what_is_sent_before_it_is_open_goes_before_what_is_sent_then),
        TEST(a_slow_peer_gets_all_and_the_owner_is_told_once_it_has_gone), TEST(a_large_answer_comes_whole),
        TEST(more_than_may_wait_fails_it_later), TEST(a_connection_that_is_reset_ends_with_the_reason),
        TEST(a_peer_that_is_gone_kills_nobody_who_sends), TEST(a_closed_port_is_named), TEST(it_may_be_closed_in_any_callback),
        TEST(it_may_be_closed_at_any_time_before_it_is_open), TEST(what_is_finished_is_sent_to_the_end_and_frees_itself),
        TEST(a_peer_that_does_not_close_is_not_waited_for_longer_than_said), TEST(a_connected_stream_holds_one_descriptor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

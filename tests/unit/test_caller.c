#include "tests/unit/loopback.h"

#include "lib/client/caller.h"

struct asker {
    struct loopback loopback;
    struct caller caller;
    struct buf body, pieces;
    unsigned done_count, failed_count, status;
    struct rtc_error why;
    bool wants_pieces;
    bool cancels_in_head, cancels_in_body, asks_anew;   /* in these callbacks */
    bool frees;                                         /* in the last one */
};

static void ask(struct asker *asker, const char *method, const char *body, bool is_repeatable)
{
    asker->done_count = asker->failed_count = asker->status = 0;
    buf_done(&asker->body);
    buf_done(&asker->pieces);
    caller_ask(&asker->caller, &(struct caller_request){
        .method = method, .url = &asker->loopback.url, .fields = BYTES("X-A: b\r\n"), .has_body = body != NULL,
        .body = bytes_text(body ? body : ""), .is_repeatable = is_repeatable});
}

static void cancel(struct asker *asker)
{
    caller_cancel(&asker->caller);
    if (!asker->asks_anew)
        return;
    asker->asks_anew = asker->cancels_in_head = asker->cancels_in_body = asker->wants_pieces = false;
    ask(asker, "GET", NULL, true);
}

static bool on_head(void *owner, const struct http_reader *reader)
{
    struct asker *asker = owner;
    bool wants_pieces = asker->wants_pieces;
    asker->status = reader->status;
    if (asker->cancels_in_head)
        cancel(asker);
    return wants_pieces;
}

static void on_body(void *owner, struct bytes piece)
{
    struct asker *asker = owner;
    assert_true(asker->wants_pieces && piece.length);
    buf_add_bytes(&asker->pieces, piece);
    if (asker->cancels_in_body)
        cancel(asker);
}

static void on_done(void *owner, unsigned status, struct bytes body)
{
    struct asker *asker = owner;
    asker->done_count++;
    asker->status = status;
    buf_add_bytes(&asker->body, body);
    if (asker->frees)
        caller_done(&asker->caller);
}

static void on_failed(void *owner, const struct rtc_error *why)
{
    struct asker *asker = owner;
    asker->failed_count++;
    asker->why = *why;
    if (asker->frees)
        caller_done(&asker->caller);
}

static const struct caller_handler handler = {.on_head = on_head, .on_body = on_body, .on_done = on_done, .on_failed = on_failed};

static void asker_init(struct asker *asker)
{
    *asker = (struct asker){0};
    loopback_init(&asker->loopback);
    caller_init(&asker->caller, &asker->loopback.io, NULL, &handler, asker);
}

static void asker_done(struct asker *asker)
{
    caller_done(&asker->caller);
    assert_int_equal(io_timeout_ms(&asker->loopback.io), -1);
    buf_done(&asker->body);
    buf_done(&asker->pieces);
    loopback_done(&asker->loopback);
}

static void expect_request(struct asker *asker, int peer, const char *start, const char *end)
{
    struct buf text = {0};
    buf_add_format(&text, "%s /rtc HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nX-A: b\r\n%s", start, asker->loopback.url.port, end);
    loopback_expect(&asker->loopback, peer, buf_text(&text));
    buf_done(&text);
}

static void expect_get(struct asker *asker, int peer)
{
    expect_request(asker, peer, "GET", "\r\n");
}

/* An answer with a length. */
static void answer(struct asker *asker, int peer, const char *body)
{
    struct buf text = {0};
    buf_add_format(&text, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
    loopback_say(&asker->loopback, peer, buf_bytes(&text));
    buf_done(&text);
}

static void expect_answer(struct asker *asker, const char *body)
{
    UNTIL(&asker->loopback, asker->done_count || asker->failed_count);
    if (asker->failed_count)
        fail_msg("%s", asker->why.message);
    assert_int_equal(asker->done_count, 1);
    assert_int_equal(asker->status, 200);
    assert_bytes(buf_bytes(&asker->body), body);
}

static void expect_failure(struct asker *asker, enum rtc_code code, const char *problem)
{
    UNTIL(&asker->loopback, asker->done_count || asker->failed_count);
    assert_int_equal(asker->failed_count, 1);
    assert_int_equal(asker->done_count, 0);
    if (asker->why.code != code || !strstr(asker->why.message, problem))
        fail_msg("%d: %s", asker->why.code, asker->why.message);
}

static void one_connection_carries_one_request_after_the_other(void **state)
{
    struct asker asker;
    asker_init(&asker);
    ask(&asker, "POST", "{}", false);
    int peer = loopback_accept(&asker.loopback);
    expect_request(&asker, peer, "POST", "Content-Length: 2\r\n\r\n{}");
    answer(&asker, peer, "one");
    expect_answer(&asker, "one");
    ask(&asker, "GET", NULL, true);
    expect_get(&asker, peer);
    loopback_say(&asker.loopback, peer, BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nt\r\n"));
    loopback_say(&asker.loopback, peer, BYTES("2\r\nwo\r\n0\r\n\r\n"));
    expect_answer(&asker, "two");
    ask(&asker, "POST", "", false);
    expect_request(&asker, peer, "POST", "Content-Length: 0\r\n\r\n");
    answer(&asker, peer, "");
    expect_answer(&asker, "");
    assert_false(loopback_has_caller(&asker.loopback));
    close(peer);
    asker_done(&asker);
}

static void a_connection_that_is_to_close_is_not_used_again(void **state)
{
    static const char *const answers[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx", "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\nsmuggled",
    };
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        struct asker asker;
        asker_init(&asker);
        ask(&asker, "GET", NULL, true);
        int peer = loopback_accept(&asker.loopback);
        expect_get(&asker, peer);
        loopback_say(&asker.loopback, peer, bytes_text(answers[i]));
        expect_answer(&asker, "x");
        loopback_expect_end(&asker.loopback, peer);
        ask(&asker, "GET", NULL, true);
        int second = loopback_accept(&asker.loopback);
        expect_get(&asker, second);
        answer(&asker, second, "y");
        expect_answer(&asker, "y");
        close(peer);
        close(second);
        asker_done(&asker);
    }
}

static void what_nobody_asked_for_ends_the_idle_connection(void **state)
{
    struct asker asker;
    asker_init(&asker);
    ask(&asker, "GET", NULL, true);
    int peer = loopback_accept(&asker.loopback);
    expect_get(&asker, peer);
    answer(&asker, peer, "x");
    expect_answer(&asker, "x");
    loopback_say(&asker.loopback, peer, BYTES("HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"));
    loopback_expect_end(&asker.loopback, peer);
    assert_int_equal(asker.done_count, 1);
    close(peer);
    asker_done(&asker);
}

/* As servers do that close idle connections: just when the next request is on its way. */
static int kept_connection_breaks(struct asker *asker, bool is_repeatable)
{
    ask(asker, "GET", NULL, true);
    int peer = loopback_accept(&asker->loopback);
    expect_get(asker, peer);
    answer(asker, peer, "x");
    expect_answer(asker, "x");
    ask(asker, "GET", NULL, is_repeatable);
    expect_get(asker, peer);
    return peer;
}

static void a_kept_connection_that_breaks_is_made_anew_where_that_is_safe(void **state)
{
    for (int is_reset = 0; is_reset <= 1; is_reset++) {
        struct asker asker;
        asker_init(&asker);
        int peer = kept_connection_breaks(&asker, true);
        if (is_reset)
            setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        close(peer);
        peer = loopback_accept(&asker.loopback);
        expect_get(&asker, peer);
        close(peer);                    /* the second try is the last one */
        expect_failure(&asker, RTC_NETWORK, "without an answer");
        assert_false(loopback_has_caller(&asker.loopback));
        asker_done(&asker);
    }
}

static void what_must_not_be_done_twice_is_not_asked_twice(void **state)
{
    struct asker asker;
    asker_init(&asker);
    close(kept_connection_breaks(&asker, false));
    expect_failure(&asker, RTC_NETWORK, "without an answer");
    assert_false(loopback_has_caller(&asker.loopback));
    asker_done(&asker);
}

static void a_broken_answer_is_not_asked_for_again(void **state)
{
    struct asker asker;
    asker_init(&asker);
    int peer = kept_connection_breaks(&asker, true);
    loopback_say(&asker.loopback, peer, BYTES("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell"));
    close(peer);
    expect_failure(&asker, RTC_NETWORK, "in the middle");
    assert_false(loopback_has_caller(&asker.loopback));
    asker_done(&asker);
}

static void an_answer_may_end_with_the_connection_but_not_by_breaking_it(void **state)
{
    for (int is_reset = 0; is_reset <= 1; is_reset++) {
        struct asker asker;
        asker_init(&asker);
        ask(&asker, "GET", NULL, true);
        int peer = loopback_accept(&asker.loopback);
        expect_get(&asker, peer);
        loopback_say(&asker.loopback, peer, BYTES("HTTP/1.1 200 OK\r\n\r\nuntil the end"));
        UNTIL(&asker.loopback, asker.status);
        if (is_reset)
            setsockopt(peer, SOL_SOCKET, SO_LINGER, &(struct linger){.l_onoff = 1}, sizeof(struct linger));
        close(peer);
        if (is_reset)
            expect_failure(&asker, RTC_NETWORK, "127.0.0.1");
        else
            expect_answer(&asker, "until the end");
        asker_done(&asker);
    }
}

static void what_is_no_answer_fails(void **state)
{
    static const char *const texts[] = {"SSH-2.0-OpenSSH_9.2\r\n", "HTTP/1.1 200 OK\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct asker asker;
        asker_init(&asker);
        ask(&asker, "GET", NULL, true);
        int peer = loopback_accept(&asker.loopback);
        loopback_say(&asker.loopback, peer, bytes_text(texts[i]));
        expect_failure(&asker, RTC_BAD_ANSWER, "no proper HTTP");
        close(peer);
        asker_done(&asker);
    }
}

static void an_answer_without_end_is_cut(void **state)
{
    struct asker asker;
    struct buf much = {0};
    memset(buf_room(&much, 65536), 'x', 65536);
    much.length = 65536;
    asker_init(&asker);
    ask(&asker, "GET", NULL, true);
    int peer = loopback_accept(&asker.loopback);
    loopback_say(&asker.loopback, peer, BYTES("HTTP/1.1 200 OK\r\n\r\n"));
    for (size_t said = 0; said < CALLER_BODY_MAX; said += much.length)
        loopback_say(&asker.loopback, peer, buf_bytes(&much));
    UNTIL(&asker.loopback, asker.caller.body.length == CALLER_BODY_MAX);
    assert_int_equal(asker.failed_count, 0);
    loopback_say(&asker.loopback, peer, BYTES("x"));
    expect_failure(&asker, RTC_BAD_ANSWER, "16777216");
    buf_done(&much);
    close(peer);
    asker_done(&asker);
}

static void a_body_comes_in_pieces_to_who_wants_it_so(void **state)
{
    struct asker asker;
    asker_init(&asker);
    asker.wants_pieces = true;
    ask(&asker, "GET", NULL, true);
    int peer = loopback_accept(&asker.loopback);
    loopback_say(&asker.loopback, peer, BYTES("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n"));
    UNTIL(&asker.loopback, asker.pieces.length == 3);
    loopback_say(&asker.loopback, peer, BYTES("4\r\n two\r\n0\r\n\r\n"));
    expect_answer(&asker, "");
    assert_bytes(buf_bytes(&asker.pieces), "one two");
    close(peer);
    asker_done(&asker);
}

#define WRONG "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong"

static void who_cancels_in_a_callback_and_asks_anew_gets_the_new_answer(void **state)
{
    for (int in_body = 0; in_body <= 1; in_body++) {
        struct asker asker;
        asker_init(&asker);
        asker.wants_pieces = asker.asks_anew = true;
        asker.cancels_in_body = in_body;
        asker.cancels_in_head = !in_body;
        ask(&asker, "GET", NULL, true);
        int peer = loopback_accept(&asker.loopback);
        expect_get(&asker, peer);
        loopback_say(&asker.loopback, peer, in_body ? BYTES("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nold" WRONG)
                                                    : BYTES("HTTP/1.1 200 OK\r\n\r\n" WRONG));
        int second = loopback_accept(&asker.loopback);
        expect_get(&asker, second);
        loopback_expect_end(&asker.loopback, peer);
        answer(&asker, second, "new");
        expect_answer(&asker, "new");
        close(peer);
        close(second);
        asker_done(&asker);
    }
}

static void who_cancels_hears_nothing_more(void **state)
{
    unsigned before = open_descriptors();
    for (unsigned turns = 0; turns < 4; turns++) {
        struct asker asker;
        asker_init(&asker);
        ask(&asker, "GET", NULL, true);
        for (unsigned i = 0; i < turns && io_timeout_ms(&asker.loopback.io); i++)
            loopback_turn(&asker.loopback, asker.loopback.listener, POLLIN);
        caller_cancel(&asker.caller);
        io_process(&asker.loopback.io);
        assert_int_equal(asker.done_count + asker.failed_count, 0);
        asker_done(&asker);
        assert_int_equal(open_descriptors(), before);
    }
}

static void the_owner_may_be_gone_after_the_last_callback(void **state)
{
    for (int fails = 0; fails <= 1; fails++) {
        struct asker asker;
        asker_init(&asker);
        asker.frees = true;
        ask(&asker, "GET", NULL, true);
        int peer = loopback_accept(&asker.loopback);
        loopback_say(&asker.loopback, peer, fails ? BYTES("nonsense") : BYTES("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx and more"));
        UNTIL(&asker.loopback, asker.done_count || asker.failed_count);
        close(peer);
        asker_done(&asker);
    }
}

static void another_server_gets_a_connection_of_its_own(void **state)
{
    struct asker asker;
    uint16_t port = 0, first_port;
    asker_init(&asker);
    first_port = asker.loopback.url.port;
    int other = loopback_listen("127.0.0.1", &port, 8);
    ask(&asker, "GET", NULL, true);
    int peer = loopback_accept(&asker.loopback);
    expect_get(&asker, peer);
    answer(&asker, peer, "x");
    expect_answer(&asker, "x");
    asker.loopback.url.port = port;
    ask(&asker, "GET", NULL, true);
    int second = loopback_accept_at(&asker.loopback, other);
    expect_get(&asker, second);
    answer(&asker, second, "y");
    expect_answer(&asker, "y");
    loopback_expect_end(&asker.loopback, peer);
    asker.loopback.url.port = first_port;
    close(other);
    close(peer);
    close(second);
    asker_done(&asker);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(one_connection_carries_one_request_after_the_other), TEST(a_connection_that_is_to_close_is_not_used_again),
        TEST(what_nobody_asked_for_ends_the_idle_connection), TEST(a_kept_connection_that_breaks_is_made_anew_where_that_is_safe),
        TEST(what_must_not_be_done_twice_is_not_asked_twice), TEST(a_broken_answer_is_not_asked_for_again),
        TEST(an_answer_may_end_with_the_connection_but_not_by_breaking_it), TEST(what_is_no_answer_fails), TEST(an_answer_without_end_is_cut),
        TEST(a_body_comes_in_pieces_to_who_wants_it_so), TEST(who_cancels_in_a_callback_and_asks_anew_gets_the_new_answer),
        TEST(who_cancels_hears_nothing_more), TEST(the_owner_may_be_gone_after_the_last_callback), TEST(another_server_gets_a_connection_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

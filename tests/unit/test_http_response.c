#include "tests/unit/test.h"

#include "lib/client/http_response.h"

struct answer {
    enum decode result;
    struct http_reader reader;
    struct buf body;
    size_t used;
    bool is_complete;
    struct rtc_error error;
};

/* Reads it in pieces; then, if `closes`, the server hangs up. */
static void read_answer(struct answer *answer, struct bytes input, unsigned way, bool closes)
{
    uint32_t random = way;
    *answer = (struct answer){.result = DECODE_MORE};
    http_reader_init(&answer->reader);
    do {
        struct bytes piece = bytes_of(input.data + answer->used, test_piece(way, input.length - answer->used, &random)), body;
        enum http_event event = HTTP_EVENT_HEAD;
        size_t used;
        answer->result = http_read(&answer->reader, piece, &used, &event, &body, &answer->error);
        if (answer->result == DECODE_BAD)
            return;
        assert_true(used <= piece.length);
        assert_true(answer->result == DECODE_DONE || used == piece.length);
        buf_add_bytes(&answer->body, body);
        answer->used += used;
        answer->is_complete = answer->result == DECODE_DONE && event == HTTP_EVENT_END;
    } while (!answer->is_complete && (answer->used < input.length || answer->result == DECODE_DONE));
    answer->is_complete |= closes && http_reader_ends_at_close(&answer->reader);
}

static void answer_done(struct answer *answer)
{
    http_reader_done(&answer->reader);
    buf_done(&answer->body);
}

static void an_answer_is_taken_apart_in_any_pieces(void **state)
{
    static const struct { const char *text; unsigned status; const char *type, *body; size_t left; bool keeps_alive, closes; } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\nhelloNEXT", 200, "a/b", "hello", 4, true, false},
        {"HTTP/1.1 200\r\ncontent-type:a/b \t\r\nContent-Length: 0\r\n\r\nNEXT", 200, "a/b", "", 4, true, false},
        {"HTTP/1.1 204 No Content\r\nX: y\r\n\r\nNEXT", 204, "", "", 4, true, false},
        {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nLink: x\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 1\r\n\r\nx", 404, "", "x", 0, true, false},
        {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n\x81\x01x", 101, "", "", 3, true, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=y\r\nlo\r\n0\r\n\r\nNEXT", 200, "", "hello", 4, true, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", 200, "", "", 0, false, false},
        {"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: x\n\n", 200, "text/event-stream", "data: x\n\n", 0, false, true},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", 200, "", "hi", 0, false, false},
        {"HTTP/1.0 200 OK\r\nContent-Length: 2\r\nConnection: x, Keep-Alive\r\n\r\nhi", 200, "", "hi", 0, true, false},
        {"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: keep-alive\r\n\r\n0\r\n\r\n", 200, "", "", 0, false, false},
        {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: foo , close\r\n\r\nhi", 200, "", "hi", 0, false, false},
        {"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\nNEXT", 304, "", "", 4, true, false},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\nA: b\r\nC: d\r\n\r\nNEXT", 200, "", "body", 4, true, false},
        {"HTTP/1.1 500 \r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nbad", 500, "", "bad", 0, true, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct answer answer;
            struct bytes input = bytes_text(rows[i].text);
            read_answer(&answer, input, way, rows[i].closes);
            if (answer.result == DECODE_BAD || !answer.is_complete)
                fail_msg("row %zu, way %u: %s", i, way, answer.error.message);
            assert_int_equal(answer.reader.status, rows[i].status);
            assert_bytes(http_reader_field(&answer.reader, "Content-Type"), rows[i].type);
            assert_bytes(buf_bytes(&answer.body), rows[i].body);
            assert_int_equal(input.length - answer.used, rows[i].left);
            assert_int_equal(answer.reader.can_stay, rows[i].keeps_alive);
            answer_done(&answer);
        }
    }
}

static void what_could_be_read_in_two_ways_is_refused(void **state)
{
    static const char *const texts[] = {
        "SSH-2.0-OpenSSH\r\n", "HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 2000\r\n\r\n", "HTTP/1.1 099 X\r\n\r\n", "HTTP/1.1 +20 X\r\n\r\n", "http/1.1 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\nX: y\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\n\r\n\r\n", "HTTP/1.1 200 OK\r\nX : y\r\n\r\n",
        "HTTP/1.1 200 OK\r\n folded\r\n\r\n", "HTTP/1.1 200 OK\r\nX: y\r\n z\r\n\r\n", "HTTP/1.1 200 OK\r\nX: a\rb\r\n\r\n",
        "HTTP/1.1 200 OK\r\nX: a\x01\r\n\r\n", "HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "HTTP/1.1 200 OK\r\n: y\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 5,5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n",
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct answer answer;
            read_answer(&answer, bytes_text(texts[i]), way, false);
            if (answer.result != DECODE_BAD || answer.error.code != RTC_BAD_ANSWER || !answer.error.message[0])
                fail_msg("row %zu, way %u", i, way);
            answer_done(&answer);
        }
    }
}

static void a_server_that_hangs_up_early_is_no_answer(void **state)
{
    static const char *const texts[] = {"", "HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
                                        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"};
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct answer answer;
        read_answer(&answer, bytes_text(texts[i]), 0, true);
        assert_true(answer.result == DECODE_MORE && !answer.is_complete);
        answer_done(&answer);
    }
}

static void a_head_without_an_end_is_cut_at_64_kib(void **state)
{
    struct http_reader reader;
    struct rtc_error error;
    struct bytes start = BYTES("HTTP/1.1 200 OK\r\nX: "), body;
    unsigned char text[1000];
    size_t used, total = start.length;
    enum http_event event;
    enum decode result;
    memset(text, 'x', sizeof(text));
    http_reader_init(&reader);
    assert_int_equal(http_read(&reader, start, &used, &event, &body, &error), DECODE_MORE);
    while ((result = http_read(&reader, bytes_of(text, sizeof(text)), &used, &event, &body, &error)) == DECODE_MORE)
        total += used;
    assert_int_equal(result, DECODE_BAD);
    assert_in_range(total, HTTP_HEAD_MAX - sizeof(text), HTTP_HEAD_MAX);
    assert_non_null(strstr(error.message, "64 KiB"));
    http_reader_done(&reader);
}

static void what_is_no_http_is_known_by_its_first_bytes(void **state)
{
    struct answer answer;
    read_answer(&answer, BYTES("220 mail.example.org ESMTP\r\n"), 1, false);
    assert_int_equal(answer.result, DECODE_BAD);
    assert_int_equal(answer.used, 0);
    answer_done(&answer);
    read_answer(&answer, BYTES("HTTPS"), 1, false);
    assert_int_equal(answer.result, DECODE_BAD);
    assert_int_equal(answer.used, 4);
    answer_done(&answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_answer_is_taken_apart_in_any_pieces), TEST(what_could_be_read_in_two_ways_is_refused),
        TEST(a_server_that_hangs_up_early_is_no_answer), TEST(a_head_without_an_end_is_cut_at_64_kib),
        TEST(what_is_no_http_is_known_by_its_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

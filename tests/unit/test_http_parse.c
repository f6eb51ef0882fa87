#include "tests/unit/test.h"

#include "daemon/net/http_parse.h"
#include "tests/unit/http_oracle.h"

static const struct http_limits limits = {.head_bytes_max = 2048, .target_bytes_max = 256, .header_count_max = 16,
                                          .body_bytes_max = 4096};

static enum decode parse(struct bytes input, struct http_head *ret, struct fault *fault)
{
    size_t resume = 0;
    *fault = (struct fault){0};
    return http_parse_head(input, &limits, &resume, ret, fault);
}

static void a_request_is_taken_apart(void **state)
{
    struct http_head head;
    struct fault fault;
    const char *text = "POST /rtc/send?token=a%20b&first=3&flag HTTP/1.1\r\nHost: example.org:8000\r\nAccept: a;q=1 , application/msgpack\r\n"
                       "accept: x\r\nConnection: Upgrade, keep-alive\r\nContent-Length: 5\r\n\r\nhello";
    assert_int_equal(parse(bytes_text(text), &head, &fault), DECODE_DONE);
    assert_int_equal(head.method, HTTP_POST);
    assert_bytes(head.path, "/rtc/send");
    assert_bytes(head.query, "token=a%20b&first=3&flag");
    assert_int_equal(head.content_length, 5);
    assert_true(head.keeps_alive && head.is_upgrade && head.has_length && !head.is_chunked);
    assert_int_equal(head.head_bytes, strlen(text) - 5);
    assert_true(http_header_has_token(&head, "Accept", "APPLICATION/MSGPACK"));
    assert_true(http_header_has_token(&head, "accept", "x"));
    assert_false(http_header_has_token(&head, "accept", "q=1"));
    assert_null(http_header(&head, "x-none").data);
    struct bytes rest = head.query, name, value;
    assert_true(http_next_parameter(&rest, &name, &value));
    assert_bytes(value, "a%20b");
    assert_true(http_next_parameter(&rest, &name, &value) && http_next_parameter(&rest, &name, &value));
    assert_bytes(name, "flag");
    assert_false(http_next_parameter(&rest, &name, &value));
}

static void a_head_may_come_in_any_pieces(void **state)
{
    struct bytes text = BYTES("\r\nGET http://h/a?b HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nTransfer-Encoding: Chunked\r\n\r\nrest");
    for (unsigned way = 0; way < TEST_WAYS; way++) {
        struct http_head head;
        struct fault fault;
        size_t resume = 0, length = 0;
        uint32_t random = way;
        enum decode result = DECODE_MORE;
        while (result == DECODE_MORE && length < text.length) {
            length += test_piece(way, text.length - length, &random);
            result = http_parse_head(bytes_of(text.data, length), &limits, &resume, &head, &fault);
        }
        assert_int_equal(result, DECODE_DONE);
        assert_int_equal(head.head_bytes, text.length - 4);
        assert_bytes(head.path, "/a");
        assert_true(head.is_chunked && head.expects_continue);
    }
}

static void incomplete_heads_meet_the_limits_too(void **state)
{
    struct http_head head;
    struct fault fault;
    char text[4096];
    memset(text, 'a', sizeof(text));
    memcpy(text, "GET /", 5);
    assert_int_equal(parse(bytes_of(text, 200), &head, &fault), DECODE_MORE);
    assert_int_equal(parse(bytes_of(text, 400), &head, &fault), DECODE_BAD);
    assert_int_equal(fault.id, FAULT_TARGET_TOO_LONG);
    memcpy(text, "GET / HTTP/1.1\r\n", 16);
    assert_int_equal(parse(bytes_of(text, 2000), &head, &fault), DECODE_MORE);
    assert_int_equal(parse(bytes_of(text, 2049), &head, &fault), DECODE_BAD);
    assert_int_equal(fault.id, FAULT_HEAD_TOO_LARGE);
}

static enum decode chunked(struct bytes input, unsigned way, struct buf *body, size_t *ret_used, struct fault *fault)
{
    struct http_chunked reader;
    enum decode result = DECODE_MORE;
    uint32_t random = way;
    http_chunked_init(&reader, 100);
    *ret_used = 0;
    while (result == DECODE_MORE && *ret_used < input.length) {
        size_t used, length = test_piece(way, input.length - *ret_used, &random);
        result = http_chunked_read(&reader, bytes_of(input.data + *ret_used, length), &used, body, fault);
        *ret_used += used;
    }
    return result;
}

static void chunked_bodies_in_any_pieces(void **state)
{
    struct bytes input = BYTES("5\r\nhello\r\n00a;name=\"v\"\r\n, chunked!\r\n0\r\nTrailer: x\r\nOther: y\r\n\r\nGET");
    for (unsigned way = 0; way < TEST_WAYS; way++) {
        struct buf body = {0};
        struct fault fault;
        size_t used;
        assert_int_equal(chunked(input, way, &body, &used, &fault), DECODE_DONE);
        assert_bytes(buf_bytes(&body), "hello, chunked!");
        assert_int_equal(used, input.length - 3);
        buf_done(&body);
    }
}

static void malformed_chunks_are_refused(void **state)
{
    static const struct { const char *text; enum fault_id fault; } rows[] = {
        {"\r\n", FAULT_BAD_REQUEST}, {"x\r\n", FAULT_BAD_REQUEST}, {"+5\r\nhello", FAULT_BAD_REQUEST}, {"5\nhello", FAULT_BAD_REQUEST},
        {"5\rhello", FAULT_BAD_REQUEST}, {"5\r\nhelloX", FAULT_BAD_REQUEST}, {"5\r\nhello\n", FAULT_BAD_REQUEST},
        {"0\r\n\n", FAULT_BAD_REQUEST}, {"65\r\n", FAULT_TOO_LARGE}, {"fffffffffffffffff\r\n", FAULT_BAD_REQUEST},
        {"ffffffffffffffff\r\n", FAULT_TOO_LARGE}, {"5;\x01\r\n", FAULT_BAD_REQUEST}, {"0x5\r\nhello", FAULT_BAD_REQUEST},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct buf body = {0};
            struct fault fault = {0};
            size_t used;
            if (chunked(bytes_text(rows[i].text), way, &body, &used, &fault) != DECODE_BAD || fault.id != rows[i].fault)
                fail_msg("row %zu, way %u: %s", i, way, fault_rows[fault.id].name);
            buf_done(&body);
        }
    }
}

static void whatever_is_accepted_another_parser_accepts_with_the_same_meaning(void **state)
{
    static const char *const seeds[] = {
        "GET /a?b=c HTTP/1.1\r\nHost: h\r\nX: y\r\n\r\n", "POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 12\r\nConnection: close\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: h:1\r\n\r\n", "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
        "DELETE http://h/q HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n",
    };
    /* No tab: the RFC allows one around a value, which http-parser does not. */
    static const char bytes[] = "\r\n :;,\0\x7f\xff/?#%+019aZ*";
    uint32_t random = 1;
    unsigned accepted = 0;
    for (unsigned round = 0; round < 200000; round++) {
        char text[256];
        size_t length = strlen(seeds[round % COUNT_OF(seeds)]);
        memcpy(text, seeds[round % COUNT_OF(seeds)], length);
        for (unsigned change = 0; change < test_random(&random) % 3; change++) {
            size_t at = test_random(&random) % length;
            text[at] = test_random(&random) % 4 ? bytes[test_random(&random) % (sizeof(bytes) - 1)] : text[test_random(&random) % length];
        }
        struct http_head head;
        struct fault fault;
        if (parse(bytes_of(text, length), &head, &fault) != DECODE_DONE)
            continue;
        struct oracle oracle;
        bool is_same = oracle_read(text, head.head_bytes, &oracle) && bytes_is(head.method_text, oracle.method)
            && oracle.minor_version == head.minor_version && (!head.has_length || oracle.content_length == head.content_length)
            && head.is_chunked == oracle.is_chunked;
        /* Methods that it does not know are no difference of meaning. */
        if (!is_same && !oracle.is_unknown_method)
            fail_msg("%.*s: %s", (int)length, text, oracle.problem);
        accepted++;
    }
    assert_true(accepted > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_request_is_taken_apart), TEST(a_head_may_come_in_any_pieces), TEST(incomplete_heads_meet_the_limits_too),
        TEST(chunked_bodies_in_any_pieces), TEST(malformed_chunks_are_refused),
        TEST(whatever_is_accepted_another_parser_accepts_with_the_same_meaning),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

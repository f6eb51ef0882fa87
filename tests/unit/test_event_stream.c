#include "tests/unit/test.h"

#include "lib/client/event_stream.h"

static void add_event(void *argument, struct bytes data, struct bytes id)
{
    struct buf *seen = argument;
    buf_add_format(seen, "%.*s=", (int)id.length, (const char *)id.data);
    buf_add_bytes(seen, data);
    buf_add_byte(seen, ';');
}

static int feed(struct bytes input, unsigned way, size_t max, struct buf *seen)
{
    struct event_stream stream;
    uint32_t random = way;
    int r = 0;
    event_stream_init(&stream, max);
    while (r == 0 && input.length) {
        size_t length = test_piece(way, input.length, &random);
        r = event_stream_read(&stream, bytes_of(input.data, length), add_event, seen);
        input = bytes_of(input.data + length, input.length - length);
    }
    event_stream_done(&stream);
    return r;
}

static void events_come_out_as_the_standard_says_in_any_pieces(void **state)
{
    static const struct { const char *text, *seen; } rows[] = {
        {"id: 1\ndata: one\n\nid: 2\ndata: two\n\n", "1=one;2=two;"},
        {"id: 1\r\ndata: one\r\n\r\ndata: two\r\n\r\n", "1=one;=two;"},
        {"id: 1\rdata: one\r\rdata: two\r\r", "1=one;=two;"},
        {"\xef\xbb\xbf" "data: x\n\n", "=x;"}, {"\xef\xbb" "data: x\n\ndata: y\n\n", "=y;"},
        {"data: a\ndata: b\ndata:\n\n", "=a\nb\n;"}, {"data:  two blanks\n\n", "= two blanks;"}, {"data\n\n", "=;"},
        {": comment\n\nevent: x\nretry: 5\n\ndata: x\n\n", "=x;"}, {"id\ndata: x\n\n", "=x;"}, {"id: 7\nid:\ndata: x\n\n", "=x;"},
        {"data: never ended\n", ""}, {"\n\n\n", ""}, {"id: 4\n\ndata: x\n\n", "=x;"}, {"dat: a\nDATA: b\n\n", ""},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct buf seen = {0};
            assert_int_equal(feed(bytes_text(rows[i].text), way, 1000, &seen), 0);
            if (!bytes_is(buf_bytes(&seen), rows[i].seen))
                fail_msg("row %zu, way %u: %s", i, way, buf_text(&seen));
            buf_done(&seen);
        }
    }
}

static void an_id_with_a_nul_byte_is_passed_over(void **state)
{
    struct buf seen = {0};
    assert_int_equal(feed(BYTES("id: 3\nid: 4\0\ndata: x\n\n"), 0, 100, &seen), 0);
    assert_bytes(buf_bytes(&seen), "3=x;");
    buf_done(&seen);
}

static void an_event_that_is_too_large_is_refused_however_it_is_cut(void **state)
{
    for (unsigned way = 0; way < TEST_WAYS; way++) {
        struct buf seen = {0};
        assert_int_equal(feed(BYTES("data: 0123456789\n\ndata: 0123456789\ndata: 0123456789\n\n"), way, 20, &seen), -EMSGSIZE);
        assert_bytes(buf_bytes(&seen), "=0123456789;");
        buf_done(&seen);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_come_out_as_the_standard_says_in_any_pieces), TEST(an_id_with_a_nul_byte_is_passed_over),
        TEST(an_event_that_is_too_large_is_refused_however_it_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

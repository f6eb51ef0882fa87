#include "tests/unit/test.h"

#include "lib/ws_frame.h"

struct result {
    enum decode last;
    struct fault fault;
    struct buf text;            /* payloads, with marks: "T:hello;" for a message, "P:x;" for a ping */
};

/* Feeds the bytes in pieces, as a link does: what is not used up is shown again with more. */
static struct result feed_as(struct bytes bytes, unsigned way, bool expects_mask, bool takes_packed)
{
    struct ws_reader reader;
    struct ws_piece piece;
    struct result result = {.last = DECODE_MORE};
    struct buf in = {0}, message = {0};
    uint32_t random = way;
    ws_reader_init(&reader, expects_mask, 1000, 5);
    reader.takes_packed = takes_packed;
    for (size_t at = 0; at < bytes.length && result.last != DECODE_BAD;) {
        size_t length = test_piece(way, bytes.length - at, &random), used;
        buf_add(&in, bytes.data + at, length);
        at += length;
        while (in.length && (result.last = ws_read(&reader, in.data, in.length, &used, &piece, &result.fault)) == DECODE_DONE) {
            struct buf *to = piece.event == WS_EVENT_CONTROL ? &result.text : &message;
            if (piece.event == WS_EVENT_CONTROL)
                buf_add_text(to, piece.opcode == WS_PING ? "P:" : piece.opcode == WS_PONG ? "O:" : "C:");
            buf_add(to, piece.data, piece.length);
            if (piece.event == WS_EVENT_CONTROL)
                buf_add_text(to, ";");
            if (piece.event == WS_EVENT_DATA && piece.is_last) {
                buf_add_text(&result.text, piece.is_packed ? "packed " : "");
                buf_add_text(&result.text, piece.opcode == WS_TEXT ? "T:" : "B:");
                buf_add_bytes(&result.text, buf_bytes(&message));
                buf_add_text(&result.text, ";");
                buf_clear(&message);
            }
            buf_consume(&in, used);
        }
    }
    buf_done(&in);
    buf_done(&message);
    return result;
}

static struct result feed(struct bytes bytes, unsigned way, bool expects_mask)
{
    return feed_as(bytes, way, expects_mask, false);
}

static const unsigned char mask[4] = {1, 2, 3, 250};

static void add(struct buf *out, unsigned first, const char *payload)
{
    size_t before = out->length;
    ws_add_masked_frame(out, first & 15, bytes_text(payload), mask);
    out->data[before] = (unsigned char)first;
}

static void messages_fragments_and_controls_in_any_pieces(void **state)
{
    struct buf in = {0};
    char large[301];
    memset(large, 'x', 300);
    large[300] = '\0';
    add(&in, 0x81, "hello");
    add(&in, 0x01, "h\xc3");
    add(&in, 0x89, "ping");
    add(&in, 0x00, "\xa9");
    add(&in, 0x8a, "");
    add(&in, 0x80, "!");
    add(&in, 0x82, large);
    add(&in, 0x81, "");
    add(&in, 0x88, "\x03\xe8" "bye");
    for (unsigned way = 0; way < TEST_WAYS; way++) {
        struct result result = feed(buf_bytes(&in), way, true);
        struct buf expected = {0};
        buf_add_format(&expected, "T:hello;P:ping;O:;T:h\xc3\xa9!;B:%s;T:;C:\x03\xe8" "bye;", large);
        assert_int_not_equal(result.last, DECODE_BAD);
        assert_bytes(buf_bytes(&result.text), buf_text(&expected));
        buf_done(&expected);
        buf_done(&result.text);
    }
    buf_done(&in);
}

static void what_the_rfc_forbids_is_refused_with_its_fault(void **state)
{
    static const struct { const char *bytes; size_t length; enum fault_id fault; } rows[] = {
        {"\x81\x00", 2, FAULT_BAD_FRAME}, {"\xc1\x80", 2, FAULT_BAD_FRAME}, {"\x83\x80", 2, FAULT_BAD_FRAME},
        {"\x8b\x80", 2, FAULT_BAD_FRAME}, {"\x09\x80", 2, FAULT_BAD_FRAME}, {"\x89\xfe", 2, FAULT_BAD_FRAME},
        {"\x80\x80\0\0\0\0", 6, FAULT_BAD_FRAME}, {"\x81\xfe\0\x7d", 4, FAULT_BAD_FRAME},
        {"\x81\xff\0\0\0\0\0\0\xff\xff", 10, FAULT_BAD_FRAME}, {"\x81\xff\x80\0\0\0\0\0\0\0", 10, FAULT_BAD_FRAME},
        {"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14, FAULT_TOO_LARGE}, {"\x82\xfe\x03\xe9\0\0\0\0", 8, FAULT_TOO_LARGE},
        {"\x81\x81\0\0\0\0\xff", 7, FAULT_BAD_UTF8}, {"\x88\x81\0\0\0\0\x03", 7, FAULT_BAD_FRAME},
        {"\x88\x82\0\0\0\0\x03\xed", 8, FAULT_BAD_FRAME}, {"\x88\x83\0\0\0\0\x03\xe8\xff", 9, FAULT_BAD_UTF8},
        {"\x01\x80\0\0\0\0\x01\x80\0\0\0\0", 12, FAULT_BAD_FRAME},
        {"\x02\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0\0\x80\0\0\0\0", 36, FAULT_TOO_MANY_FRAGMENTS},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct result result = feed(bytes_of(rows[i].bytes, rows[i].length), way, true);
            if (result.last != DECODE_BAD || result.fault.id != rows[i].fault)
                fail_msg("row %zu, way %u: %d, %s", i, way, result.last, fault_rows[result.fault.id].name);
            buf_done(&result.text);
        }
    }
}

static void only_a_message_begins_compressed_and_only_where_that_was_agreed_on(void **state)
{
    static const unsigned firsts[] = {0xc0, 0xc8, 0xc9, 0xca, 0xa1, 0x91, 0xe1, 0xd2};
    struct buf in = {0};
    add(&in, 0xc1, "\xff");             /* what is in it is not text yet */
    add(&in, 0x42, "a");
    add(&in, 0x89, "p");
    add(&in, 0x80, "b");
    add(&in, 0x81, "plain");
    for (unsigned way = 0; way < TEST_WAYS; way++) {
        struct result result = feed_as(buf_bytes(&in), way, true, true);
        assert_int_not_equal(result.last, DECODE_BAD);
        assert_bytes(buf_bytes(&result.text), "packed T:\xff;P:p;packed B:ab;T:plain;");
        buf_done(&result.text);
        result = feed(buf_bytes(&in), way, true);
        assert_int_equal(result.fault.id, FAULT_BAD_FRAME);
        buf_done(&result.text);
    }
    for (size_t i = 0; i < COUNT_OF(firsts); i++) {
        buf_clear(&in);
        add(&in, 0x42, "begun");        /* so that a continuation has something to continue */
        add(&in, firsts[i], "");
        struct result result = feed_as(buf_bytes(&in), 0, true, true);
        assert_int_equal(result.fault.id, FAULT_BAD_FRAME);
        buf_done(&result.text);
    }
    buf_done(&in);
}

static void a_compressed_message_may_be_a_little_larger_than_what_it_stands_for(void **state)
{
    static const struct { const char *bytes; size_t length; bool is_large; } rows[] = {
        {"\xc1\xfe\x04\xa5\0\0\0\0", 8, false}, {"\xc1\xfe\x04\xa6\0\0\0\0", 8, true}, {"\x81\xfe\x03\xe9\0\0\0\0", 8, true},
    };
    assert_int_equal(ws_packed_max(1000), 0x4a5);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct result result = feed_as(bytes_of(rows[i].bytes, rows[i].length), 0, true, true);
        assert_int_equal(result.fault.id, rows[i].is_large ? FAULT_TOO_LARGE : FAULT_NONE);
        buf_done(&result.text);
    }
}

static void fragments_that_sum_past_the_limit_are_refused_on_the_header(void **state)
{
    struct buf in = {0};
    char part[601];
    memset(part, 'y', 600);
    part[600] = '\0';
    add(&in, 0x01, part);
    add(&in, 0x80, part);
    struct result result = feed(bytes_of(in.data, 608 + 8), 0, true);
    assert_int_equal(result.fault.id, FAULT_TOO_LARGE);
    buf_done(&result.text);
    buf_done(&in);
}

static void a_servers_frames_are_read_by_a_client(void **state)
{
    struct buf out = {0};
    ws_add_frame(&out, WS_TEXT, BYTES("hi"));
    ws_add_close(&out, 4413, "slow");
    struct result result = feed(buf_bytes(&out), 1, false);
    assert_bytes(buf_bytes(&result.text), "T:hi;C:\x11\x3dslow;");
    buf_done(&result.text);
    buf_done(&out);
}

static void headers_stand_right_before_the_payload(void **state)
{
    unsigned char room[WS_SERVER_HEADER_MAX + 1];
    unsigned char *payload = room + WS_SERVER_HEADER_MAX;
    assert_int_equal(ws_header_before(payload, WS_TEXT, 125), 2);
    assert_memory_equal(payload - 2, "\x81\x7d", 2);
    assert_int_equal(ws_header_before(payload, WS_BINARY, 126), 4);
    assert_memory_equal(payload - 4, "\x82\x7e\x00\x7e", 4);
    assert_int_equal(ws_header_before(payload, WS_TEXT, 65536), 10);
    assert_memory_equal(payload - 10, "\x81\x7f\0\0\0\0\0\1\0\0", 10);
}

static void a_long_close_reason_is_cut_on_a_character(void **state)
{
    struct buf out = {0};
    char reason[200] = "";
    while (strlen(reason) < 150)
        strcat(reason, "\xc3\xa9");
    ws_add_close(&out, 1000, reason);
    assert_int_equal(out.data[1], 2 + 122);
    buf_done(&out);
}

static void the_accept_key_of_the_rfc(void **state)
{
    char text[WS_ACCEPT_TEXT + 1];
    assert_int_equal(ws_accept(BYTES("dGhlIHNhbXBsZSBub25jZQ=="), text), 0);
    assert_string_equal(text, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    assert_int_equal(ws_accept(BYTES("dGhlIHNhbXBsZSBub25jZQ"), text), -EBADMSG);
    assert_int_equal(ws_accept(BYTES(""), text), -EBADMSG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_fragments_and_controls_in_any_pieces), TEST(what_the_rfc_forbids_is_refused_with_its_fault),
        TEST(only_a_message_begins_compressed_and_only_where_that_was_agreed_on),
        TEST(a_compressed_message_may_be_a_little_larger_than_what_it_stands_for),
        TEST(fragments_that_sum_past_the_limit_are_refused_on_the_header), TEST(a_servers_frames_are_read_by_a_client),
        TEST(headers_stand_right_before_the_payload), TEST(a_long_close_reason_is_cut_on_a_character), TEST(the_accept_key_of_the_rfc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

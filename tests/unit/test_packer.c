#include "tests/unit/test.h"

#include "lib/packer.h"

#include <zlib.h>

enum { LARGE = 300000 };

/* Text that shrinks, noise that does not, and the two in turn. */
static void fill(unsigned char *data, size_t length, unsigned way, uint32_t *state)
{
    for (size_t i = 0; i < length; i++)
        data[i] = (unsigned char)(way == 0 || (way == 2 && i / 500 % 2) ? (uint32_t)"{\"name\":\"value\"}, "[i % 18] : test_random(state));
}

/* By zlib itself in another way: fed byte by byte, with a small window, at another level, in blocks of every kind. */
static struct buf pack_otherwise(struct bytes text, int level, int window, int strategy, size_t piece, int last)
{
    struct buf out = {0};
    z_stream stream = {0};
    assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, window, 3, strategy), Z_OK);
    for (size_t at = 0; at < text.length || at == 0; at += piece) {
        stream.next_in = (unsigned char *)text.data + MIN(at, text.length);
        stream.avail_in = (uInt)MIN(piece, text.length - MIN(at, text.length));
        int r;
        do {
            stream.next_out = buf_room(&out, 64);
            stream.avail_out = 64;
            r = deflate(&stream, at + piece >= text.length ? last : Z_NO_FLUSH);
            out.length += 64 - stream.avail_out;
        } while (stream.avail_out == 0 && r == Z_OK);
    }
    deflateEnd(&stream);
    return out;
}

static struct bytes without_flush(const struct buf *packed)
{
    assert_memory_equal(packed->data + packed->length - 4, "\0\0\xff\xff", 4);
    return bytes_of(packed->data, packed->length - 4);
}

static void assert_reads(struct packer *packer, struct bytes packed, struct bytes text)
{
    struct fault fault = {0};
    struct buf out = {0};
    buf_add_text(&out, "before");
    if (packer_read_message(packer, packed, text.length, &out, &fault) != DECODE_DONE)
        fail_msg("%zu bytes, %zu packed: %s", text.length, packed.length, fault.detail);
    assert_int_equal(out.length, 6 + text.length);
    assert_true(bytes_equal(bytes_of(out.data + 6, text.length), text));
    buf_done(&out);
}

static void messages_of_other_compressors_are_read(void **state)
{
    static const size_t lengths[] = {0, 1, 2, 100, 4095, 4096, 4097, 32768, 65536, 100000};
    static const int strategies[] = {Z_DEFAULT_STRATEGY, Z_HUFFMAN_ONLY, Z_RLE, Z_FIXED};
    struct packer *packer = packer_new();
    unsigned char *data = malloc(LARGE);
    uint32_t random = 1;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        for (unsigned way = 0; way < 12; way++) {
            fill(data, lengths[i], way % 3, &random);
            struct bytes text = bytes_of(data, lengths[i]);
            struct buf packed = pack_otherwise(text, (int)way % 10, -9 - (int)way % 7, strategies[way % 4], way % 2 ? 77 : LARGE, Z_SYNC_FLUSH);
            assert_reads(packer, without_flush(&packed), text);
            /* One that leaves the flush in, and blocks that say that they are the last ones. */
            assert_reads(packer, buf_bytes(&packed), text);
            buf_done(&packed);
            packed = pack_otherwise(text, (int)way % 10, -15, strategies[way % 4], LARGE, Z_FINISH);
            assert_reads(packer, buf_bytes(&packed), text);
            buf_add_byte(&packed, 0);
            assert_reads(packer, buf_bytes(&packed), text);
            buf_done(&packed);
        }
    }
    free(data);
    packer_free(packer);
}

static void the_examples_of_the_rfc_are_read(void **state)
{
    static const struct { const char *packed; size_t length; const char *text; } rows[] = {
        {"\xf2\x48\xcd\xc9\xc9\x07\x00", 7, "Hello"}, {"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", 8, "Hello"},
        {"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00", 11, "Hello"},
        {"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00", 13, "Hello"}, {"\x00", 1, ""}, {"", 0, ""},
    };
    struct packer *packer = packer_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_reads(packer, bytes_of(rows[i].packed, rows[i].length), bytes_text(rows[i].text));
    packer_free(packer);
}

/* With a window of its own and little room at a time. */
static void assert_unpacks_otherwise(struct bytes packed, int form, struct bytes text)
{
    struct buf in = {0}, out = {0};
    z_stream stream = {0};
    buf_add_bytes(&in, packed);
    if (form < 0)
        buf_add_bytes(&in, BYTES("\0\0\xff\xff"));
    assert_int_equal(inflateInit2(&stream, form), Z_OK);
    stream.next_in = in.data;
    stream.avail_in = (uInt)in.length;
    int r = Z_OK;
    while (r == Z_OK && (stream.avail_in || stream.avail_out == 0)) {
        stream.next_out = buf_room(&out, 100);
        stream.avail_out = 100;
        r = inflate(&stream, Z_NO_FLUSH);
        out.length += 100 - stream.avail_out;
    }
    assert_int_equal(stream.avail_in, 0);
    assert_true(bytes_equal(buf_bytes(&out), text));
    inflateEnd(&stream);
    buf_done(&in);
    buf_done(&out);
}

static void what_is_compressed_here_is_read_by_others(void **state)
{
    static const size_t lengths[] = {0, 1, 100, 5000, 32768, 32769, LARGE};
    struct packer *packer = packer_new();
    unsigned char *data = malloc(LARGE);
    uint32_t random = 1;
    for (size_t i = 0; i < COUNT_OF(lengths); i++) {
        for (unsigned way = 0; way < 27; way++) {
            fill(data, lengths[i], way % 3, &random);
            struct bytes text = bytes_of(data, lengths[i]);
            struct buf out = {0};
            assert_int_equal(packer_add_message(packer, 1 + way / 3, text, text.length + text.length / 100 + 20, &out), 0);
            assert_unpacks_otherwise(buf_bytes(&out), -15, text);
            assert_reads(packer, buf_bytes(&out), text);
            buf_clear(&out);
            assert_int_equal(packer_add_gzip(packer, 1 + way / 3, text, text.length + text.length / 100 + 40, &out), 0);
            assert_unpacks_otherwise(buf_bytes(&out), 31, text);
            buf_done(&out);
        }
    }
    free(data);
    packer_free(packer);
}

static void a_short_message_needs_no_more_window_than_it_is_long(void **state)
{
    struct packer *packer = packer_new();
    unsigned char data[1 << 10];
    uint32_t random = 5;
    for (int bits = 8; bits <= 10; bits++) {
        for (unsigned way = 0; way < 100; way++) {
            struct bytes text = bytes_of(data, (size_t)1 << bits);
            struct buf out = {0};
            fill(data, text.length / 2, 1, &random);
            memcpy(data + text.length / 2, data, text.length / 2);      /* refers back as far as it can */
            assert_int_equal(packer_add_message(packer, 6, text, text.length, &out), 0);
            assert_unpacks_otherwise(buf_bytes(&out), -bits, text);
            buf_done(&out);
        }
    }
    packer_free(packer);
}

static void what_does_not_shrink_is_not_added(void **state)
{
    struct packer *packer = packer_new();
    unsigned char noise[1000];
    uint32_t random = 3;
    struct buf out = {0};
    fill(noise, sizeof(noise), 1, &random);
    buf_add_text(&out, "kept");
    assert_int_equal(packer_add_message(packer, 6, bytes_of(noise, sizeof(noise)), sizeof(noise) - 1, &out), -E2BIG);
    assert_int_equal(packer_add_gzip(packer, 6, bytes_of(noise, sizeof(noise)), sizeof(noise) - 1, &out), -E2BIG);
    assert_int_equal(packer_add_gzip(packer, 6, BYTES("x"), 17, &out), -E2BIG);
    assert_bytes(buf_bytes(&out), "kept");
    buf_done(&out);
    packer_free(packer);
}

static void a_bound_is_kept_to_the_byte(void **state)
{
    struct packer *packer = packer_new();
    unsigned char *data = calloc(1, LARGE);
    for (size_t length = 1; length <= LARGE; length = length * 3 + 1) {
        struct buf packed = {0}, out = {0};
        struct fault fault = {0};
        assert_int_equal(packer_add_message(packer, 6, bytes_of(data, length), LARGE, &packed), 0);
        assert_int_equal(packer_read_message(packer, buf_bytes(&packed), length - 1, &out, &fault), DECODE_BAD);
        assert_int_equal(fault.id, FAULT_TOO_LARGE);
        assert_true(out.length <= length - 1);
        buf_clear(&out);
        assert_int_equal(packer_read_message(packer, buf_bytes(&packed), length, &out, &fault), DECODE_DONE);
        buf_done(&packed);
        buf_done(&out);
    }
    free(data);
    packer_free(packer);
}

static void every_prefix_of_a_message_is_refused_or_was_whole(void **state)
{
    struct packer *packer = packer_new();
    unsigned char data[600];
    uint32_t random = 9;
    struct buf packed = {0}, gzip = {0};
    fill(data, sizeof(data), 2, &random);
    assert_int_equal(packer_add_message(packer, 6, bytes_of(data, sizeof(data)), 700, &packed), 0);
    assert_int_equal(packer_add_gzip(packer, 6, bytes_of(data, sizeof(data)), 700, &gzip), 0);
    for (size_t length = 1; length < packed.length; length++) {
        struct buf out = {0};
        struct fault fault = {0};
        if (packer_read_message(packer, bytes_of(packed.data, length), 600, &out, &fault) == DECODE_DONE)
            assert_int_equal(length, packed.length - 1);    /* all but the header of the empty block */
        else
            assert_int_equal(fault.id, FAULT_BAD_COMPRESSION);
        buf_done(&out);
    }
    for (size_t length = 0; length < gzip.length; length++) {
        struct buf out = {0};
        struct fault fault = {0};
        assert_int_equal(packer_read_gzip(packer, bytes_of(gzip.data, length), 600, &out, &fault), DECODE_BAD);
        assert_int_equal(fault.id, FAULT_BAD_COMPRESSION);
        buf_done(&out);
    }
    buf_done(&packed);
    buf_done(&gzip);
    packer_free(packer);
}

static void malformed_data_is_refused(void **state)
{
    static const struct { const char *packed; size_t length; } rows[] = {
        {"\x07", 1},                                        /* a kind of block that there is not */
        {"\x00\x05\x00\xfb\xff" "Hello\x00", 11},           /* a stored block whose lengths disagree */
        {"\x03\x02", 2}, {"\x4b\x04\xa1\x00\x00", 5},       /* refers back to before its beginning */
        {"\xff\xff\xff\xff", 4}, {"\xed\xbd\x07\x60", 4},
    };
    struct packer *packer = packer_new();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buf out = {0};
        struct fault fault = {0};
        enum decode result = packer_read_message(packer, bytes_of(rows[i].packed, rows[i].length), 1000, &out, &fault);
        if (result != DECODE_BAD || fault.id != FAULT_BAD_COMPRESSION)
            fail_msg("row %zu: %d", i, result);
        buf_done(&out);
    }
    /* And the next one is read as if nothing had been. */
    assert_reads(packer, bytes_of("\xf2\x48\xcd\xc9\xc9\x07\x00", 7), BYTES("Hello"));
    packer_free(packer);
}

static void gzip_members_follow_each_other_and_are_checked(void **state)
{
    struct packer *packer = packer_new();
    struct buf gzip = {0}, out = {0};
    struct fault fault = {0};
    assert_int_equal(packer_add_gzip(packer, 6, BYTES("one "), 100, &gzip), 0);
    assert_int_equal(packer_add_gzip(packer, 6, BYTES("two"), 100, &gzip), 0);
    assert_int_equal(packer_read_gzip(packer, buf_bytes(&gzip), 100, &out, &fault), DECODE_DONE);
    assert_bytes(buf_bytes(&out), "one two");
    buf_add_byte(&gzip, 'x');
    assert_int_equal(packer_read_gzip(packer, buf_bytes(&gzip), 100, &out, &fault), DECODE_BAD);
    gzip.length--;
    gzip.data[gzip.length - 5] ^= 1;                        /* its checksum */
    assert_int_equal(packer_read_gzip(packer, buf_bytes(&gzip), 100, &out, &fault), DECODE_BAD);
    assert_int_equal(fault.id, FAULT_BAD_COMPRESSION);
    buf_done(&gzip);
    buf_done(&out);
    packer_free(packer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_of_other_compressors_are_read), TEST(the_examples_of_the_rfc_are_read), TEST(what_is_compressed_here_is_read_by_others),
        TEST(a_short_message_needs_no_more_window_than_it_is_long), TEST(what_does_not_shrink_is_not_added), TEST(a_bound_is_kept_to_the_byte),
        TEST(every_prefix_of_a_message_is_refused_or_was_whole), TEST(malformed_data_is_refused),
        TEST(gzip_members_follow_each_other_and_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/test.h"

#include "daemon/net/proxy_header.h"

#include <string.h>
#include <sys/socket.h>

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"
#define HEADER(rest) {SIGNATURE rest, sizeof(SIGNATURE rest) - 1}
#define IP4 "\xc0\0\2\1" "\x7f\0\0\1" "\x30\x39\x1f\x40"
#define IP6 "\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\7" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\x30\x39\x1f\x40"

struct text { const char *data; size_t length; };

/* As a proxy link reads it: in pieces, and never more than is wanted. */
static enum decode feed(struct text input, unsigned way, struct proxy_header *ret, size_t *ret_used, struct fault *fault)
{
    size_t wanted, length = 0;
    uint32_t random = way;
    for (;;) {
        enum decode result = proxy_header_read(bytes_of(input.data, length), ret, &wanted, fault);
        assert_true(wanted >= length || result == DECODE_BAD);
        *ret_used = length;
        if (result != DECODE_MORE || length == input.length)
            return result;
        length += test_piece(way, MIN(wanted, input.length) - length, &random);
    }
}

static void a_header_says_whose_the_connection_is_and_takes_no_byte_behind_it(void **state)
{
    static const struct { struct text text; size_t bytes; const char *address; } rows[] = {
        {HEADER("\x21\x11\0\x0c" IP4 "GET /"), 28, "192.0.2.1:12345"},
        {HEADER("\x21\x11\0\x13" IP4 "\x03\0\4\1\2\3\4" "GET /"), 35, "192.0.2.1:12345"},
        {HEADER("\x21\x21\0\x24" IP6 "\x16\3\1"), 52, "[2001:db8::7]:12345"},
        {HEADER("\x20\0\0\0" "GET /"), 16, NULL},
        {HEADER("\x20\x11\0\x0c" IP4 "GET /"), 28, NULL},
        {HEADER("\x20\xff\0\2" "ab" "GET /"), 18, NULL},
        {HEADER("\x21\0\0\3" "abc" "GET /"), 19, NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct proxy_header header;
            struct fault fault;
            size_t used;
            char text[PEER_TEXT_MAX];
            assert_int_equal(feed(rows[i].text, way, &header, &used, &fault), DECODE_DONE);
            assert_int_equal(used, rows[i].bytes);
            assert_int_equal(header.bytes, used);
            assert_int_equal(header.has_address, rows[i].address != NULL);
            if (!rows[i].address)
                continue;
            peer_address_print(&header.address, text);
            assert_string_equal(text, rows[i].address);
        }
    }
}

static void a_mapped_address_is_ip4(void **state)
{
    static const char text[] = SIGNATURE "\x21\x21\0\x24" "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1" "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1" "\0\1\0\2";
    struct proxy_header header;
    struct fault fault;
    size_t used;
    assert_int_equal(feed((struct text){text, sizeof(text) - 1}, 0, &header, &used, &fault), DECODE_DONE);
    assert_int_equal(header.address.family, AF_INET);
}

static void who_came_to_the_proxy_by_a_unix_socket_has_no_address(void **state)
{
    char text[16 + 216] = SIGNATURE "\x21\x31\0\xd8/run/x";
    for (unsigned way = 0; way < TEST_WAYS; way++) {
        struct proxy_header header;
        struct fault fault;
        size_t used;
        assert_int_equal(feed((struct text){text, sizeof(text)}, way, &header, &used, &fault), DECODE_DONE);
        assert_true(header.has_address && header.address.family == AF_UNIX);
    }
}

static void what_is_no_header_is_refused_at_its_first_wrong_byte(void **state)
{
    static const struct { struct text text; size_t used; } rows[] = {
        {{"GET / HTTP/1.1\r\n", 16}, 1}, {{"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n", 32}, 1}, {{"\r\n\r\nGET /", 9}, 5},
        {HEADER("\x11\x11\0\x0c" IP4), 13}, {HEADER("\x22\x11\0\x0c" IP4), 13}, {HEADER("\x31\x11\0\x0c" IP4), 13},
        {HEADER("\x21\x12\0\x0c" IP4), 14}, {HEADER("\x21\x41\0\x0c" IP4), 14}, {HEADER("\x21\x10\0\x0c" IP4), 14},
        {HEADER("\x21\x11\0\x0b" IP4), 16}, {HEADER("\x21\x21\0\x23" IP6), 16}, {HEADER("\x21\x31\0\xd7"), 16},
        {HEADER("\x21\x11\x0f\xf1" IP4), 16}, {HEADER("\x20\0\xff\xff"), 16},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        for (unsigned way = 0; way < TEST_WAYS; way++) {
            struct proxy_header header;
            struct fault fault = {0};
            size_t used;
            assert_int_equal(feed(rows[i].text, way, &header, &used, &fault), DECODE_BAD);
            assert_int_equal(fault.id, FAULT_BAD_REQUEST);
            if (way == 1)
                assert_int_equal(used, rows[i].used);
        }
    }
}

static void a_part_of_a_header_is_not_taken_for_one(void **state)
{
    static const char text[] = SIGNATURE "\x21\x11\0\x13" IP4 "\x03\0\4\1\2\3\4";
    for (size_t length = 0; length < sizeof(text) - 1; length++) {
        struct proxy_header header;
        struct fault fault;
        size_t wanted;
        assert_int_equal(proxy_header_read(bytes_of(text, length), &header, &wanted, &fault), DECODE_MORE);
        assert_int_equal(wanted, length < PROXY_HEADER_FIXED ? PROXY_HEADER_FIXED : sizeof(text) - 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_header_says_whose_the_connection_is_and_takes_no_byte_behind_it), TEST(a_mapped_address_is_ip4),
        TEST(who_came_to_the_proxy_by_a_unix_socket_has_no_address), TEST(what_is_no_header_is_refused_at_its_first_wrong_byte),
        TEST(a_part_of_a_header_is_not_taken_for_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

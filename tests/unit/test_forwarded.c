#include "tests/unit/test.h"

#include "daemon/config/network.h"
#include "daemon/net/forwarded.h"

#include <string.h>
#include <sys/socket.h>

static void addresses_are_read_with_and_without_ports(void **state)
{
    static const struct { const char *text, *printed; } rows[] = {
        {"192.0.2.1", "192.0.2.1"}, {"192.0.2.1:80", "192.0.2.1:80"}, {"2001:db8::1", "2001:db8::1"}, {"[2001:db8::1]", "2001:db8::1"},
        {"[2001:db8::1]:80", "[2001:db8::1]:80"}, {"::ffff:192.0.2.1", "192.0.2.1"}, {"[::ffff:192.0.2.1]:9", "192.0.2.1:9"}, {"::", "::"},
        {"192.0.2.1:", NULL}, {"", NULL}, {"[", NULL}, {"[]", NULL}, {"[]:1", NULL}, {"]", NULL}, {":", NULL}, {"::g", NULL}, {"unknown", NULL},
        {"_hidden", NULL}, {"192.0.2.256", NULL}, {"192.0.2.1:65536", NULL}, {"192.0.2.1:-1", NULL}, {"192.0.2.1:+1", NULL}, {"[192.0.2.1]", NULL},
        {"[192.0.2.1]:1", NULL}, {"[2001:db8::1", NULL}, {"2001:db8::1]", NULL}, {"[2001:db8::1]80", NULL}, {"[2001:db8::1]x:80", NULL},
        {"192.0.2.1 ", NULL}, {"192.0.2.01x", NULL}, {"x[::1]", NULL}, {"fe80::1%eth0", NULL}, {"http://192.0.2.1", NULL},
        {"1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd", NULL},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct peer_address address;
        char printed[PEER_TEXT_MAX];
        /* Just as long as the text, so that a sanitizer sees one byte too many. */
        size_t length = strlen(rows[i].text);
        char *text = malloc(length + !length);
        memcpy(text, rows[i].text, length);
        int r = peer_address_parse(bytes_of(text, length), &address);
        free(text);
        if ((r == 0) != (rows[i].printed != NULL))
            fail_msg("%s: %d", rows[i].text, r);
        if (r < 0)
            continue;
        peer_address_print(&address, printed);
        assert_string_equal(printed, rows[i].printed);
    }
}

static bool holds(const char *item, const char *address)
{
    struct peer_address peer = {.family = AF_UNIX};
    char *items[] = {(char *)item};
    if (strcmp(address, "unix") != 0)
        assert_int_equal(peer_address_parse(bytes_text(address), &peer), 0);
    return networks_hold(&(struct text_list){items, 1}, peer.family, &peer.ip);
}

static void a_network_holds_what_is_in_it_and_nothing_else(void **state)
{
    static const struct { const char *item, *in, *out; } rows[] = {
        {"192.0.2.1", "192.0.2.1", "192.0.2.2"}, {"10.0.0.0/8", "10.255.255.255", "11.0.0.0"}, {"10.0.0.0/9", "10.127.0.1", "10.128.0.1"},
        {"192.0.2.128/25", "192.0.2.200", "192.0.2.100"}, {"192.0.2.4/31", "192.0.2.5", "192.0.2.6"}, {"0.0.0.0/0", "8.8.8.8", "::1"},
        {"::/0", "2001:db8::", "192.0.2.1"}, {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"}, {"::1", "::1", "::2"},
        {"fe80::/10", "febf::1", "fec0::1"}, {"unix", "unix", "127.0.0.1"}, {"0.0.0.0/0", "1.2.3.4", "unix"}, {"10.0.0.0/8", "::ffff:10.1.1.1", "::1"},
    };
    static const char *const wrong[] = {
        "", "x", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/8x", "10.0.0.1/8", "::1/127", "2001:db8::/129", "10.0.0/8", "Unix", "unix/1",
        "[::1]", "127.0.0.1:80", "localhost", "10.0.0.0 /8", "/8",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd",
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (!holds(rows[i].item, rows[i].in) || holds(rows[i].item, rows[i].out))
            fail_msg("%s", rows[i].item);
    for (size_t i = 0; i < COUNT_OF(wrong); i++) {
        struct network network;
        if (network_parse(wrong[i], &network) == 0)
            fail_msg("%s", wrong[i]);
    }
}

static void the_last_address_that_is_no_proxys_is_the_clients(void **state)
{
    static const struct { const char *lines, *client; } rows[] = {
        {"", NULL},
        {"X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1"},
        {"x-forwarded-for:\t192.0.2.1:99 \r\n", "192.0.2.1:99"},
        {"X-Forwarded-For: 198.51.100.9, 192.0.2.1\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 198.51.100.9,192.0.2.1 ,\t10.0.0.7\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 198.51.100.9\r\nX-Other: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.1, 10.0.0.7\r\nX-Forwarded-For: 10.0.0.8\r\n", "192.0.2.1"},
        {"X-Forwarded-For: 10.0.0.9, 10.0.0.8\r\n", "10.0.0.9"},
        {"X-Forwarded-For: 192.0.2.1, unknown, 10.0.0.7\r\n", "10.0.0.7"},
        {"X-Forwarded-For: 192.0.2.1, \r\n", NULL},
        {"X-Forwarded-For: 192.0.2.1, , 10.0.0.7\r\n", "10.0.0.7"},
        {"X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For:\r\n", NULL},
        {"X-Forwarded-For: 192.0.2.1, <script>\r\n", NULL},
        {"X-Forwarded-For: 2001:db8::7, [::1]:4\r\n", "[::1]:4"},
        {"X-Forwarded-For: 192.0.2.1, ::ffff:10.0.0.7\r\n", "192.0.2.1"},
        {"X-Forwarded-Forx: 192.0.2.1\r\n", NULL},
    };
    static const struct http_limits limits = {.head_bytes_max = 4096, .target_bytes_max = 512, .header_count_max = 32};
    char *items[] = {"10.0.0.0/8", "unix"};
    struct text_list trusted = {items, COUNT_OF(items)};
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        static struct http_head head;
        struct fault fault;
        struct peer_address address;
        size_t resume = 0;
        char text[512], printed[PEER_TEXT_MAX] = "none";
        snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", rows[i].lines);
        assert_int_equal(http_parse_head(bytes_text(text), &limits, &resume, &head, &fault), DECODE_DONE);
        if (forwarded_find_client(&head, &trusted, &address))
            peer_address_print(&address, printed);
        assert_string_equal(printed, rows[i].client ? rows[i].client : "none");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(addresses_are_read_with_and_without_ports), TEST(a_network_holds_what_is_in_it_and_nothing_else),
        TEST(the_last_address_that_is_no_proxys_is_the_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

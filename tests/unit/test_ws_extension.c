#include "tests/unit/test.h"

#include "lib/ws_extension.h"

static void offers_that_can_be_kept_are_taken(void **state)
{
    static const struct { const char *line; unsigned bits; bool is_named; } rows[] = {
        {"permessage-deflate", 15, false},
        {"permessage-deflate; client_max_window_bits", 15, false},
        {"permessage-deflate;client_max_window_bits=8;server_no_context_takeover;client_no_context_takeover", 15, false},
        {"permessage-deflate ; server_max_window_bits = 10", 10, true},
        {"permessage-deflate; server_max_window_bits=\"15\"", 15, true},
        {"permessage-deflate; server_max_window_bits=8; client_max_window_bits=\"9\"", 8, true},
        {"x-webkit-deflate-frame, permessage-deflate", 15, false},
        {",, \t,permessage-deflate,", 15, false},
        {"permessage-deflate; server_max_window_bits=9; unknown, permessage-deflate; server_max_window_bits=11, permessage-deflate", 11, true},
        {"other; a=\"b\"; c, permessage-deflate; client_no_context_takeover", 15, false},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct ws_deflate agreed = {0};
        if (!ws_deflate_choose(bytes_text(rows[i].line), &agreed) || agreed.window_bits != rows[i].bits || agreed.names_window != rows[i].is_named)
            fail_msg("%s: %u", rows[i].line, agreed.window_bits);
    }
}

static void malformed_and_unknown_offers_are_declined(void **state)
{
    static const char *const lines[] = {
        "", " ", ",", "permessage-deflat", "permessage-deflate-x", "PERMESSAGE-DEFLATE; x", "permessage-deflate=1", "permessage-deflate;",
        "permessage-deflate; ", "permessage-deflate; ;", "permessage-deflate; unknown", "permessage-deflate; =15",
        "permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=", "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16", "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=0x9", "permessage-deflate; server_max_window_bits=+9", "permessage-deflate; server_max_window_bits=-1",
        "permessage-deflate; server_max_window_bits=99999999999999999999", "permessage-deflate; server_max_window_bits=\"\"",
        "permessage-deflate; server_max_window_bits=\"10", "permessage-deflate; server_max_window_bits=1\\0",
        "permessage-deflate; client_max_window_bits=7", "permessage-deflate; client_max_window_bits=16", "permessage-deflate; client_max_window_bits=",
        "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=\"\"",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=15", "permessage-deflate server_no_context_takeover",
        "permessage-deflate; a=\"b, permessage-deflate", "bad(, permessage-deflate", "\xff, permessage-deflate",
    };
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct ws_deflate agreed;
        if (ws_deflate_choose(bytes_text(lines[i]), &agreed))
            fail_msg("taken: %s", lines[i]);
    }
}

static void no_prefix_of_an_offer_reads_past_its_end(void **state)
{
    static const char line[] = "x; a=\"b\", permessage-deflate; server_max_window_bits=\"10\"; client_max_window_bits";
    for (size_t length = 0; length < sizeof(line); length++) {
        /* As large as that, so that a sanitizer sees one byte too many. */
        unsigned char *copy = malloc(length + 1);
        struct ws_deflate agreed;
        assert_non_null(copy);
        memcpy(copy + 1, line, length);
        ws_deflate_choose(bytes_of(copy + 1, length), &agreed);
        free(copy);
    }
}

static void the_answer_names_a_window_only_where_it_was_asked_for(void **state)
{
    char text[WS_EXTENSION_ANSWER];
    ws_deflate_print(&(struct ws_deflate){.window_bits = 15}, text);
    assert_string_equal(text, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    ws_deflate_print(&(struct ws_deflate){.window_bits = 9, .names_window = true}, text);
    assert_string_equal(text, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(offers_that_can_be_kept_are_taken), TEST(malformed_and_unknown_offers_are_declined),
        TEST(no_prefix_of_an_offer_reads_past_its_end), TEST(the_answer_names_a_window_only_where_it_was_asked_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

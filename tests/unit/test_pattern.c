#include "tests/unit/test.h"

#include "lib/pattern.h"

#include <string.h>

static bool matches(const char *pattern, const char *name)
{
    return pattern_matches(bytes_text(pattern), bytes_text(name));
}

static void a_star_stays_in_its_segment_and_two_cross_them(void **state)
{
    static const struct { const char *pattern, *name; bool matches; } cases[] = {
        {"room.*", "room.7", true}, {"room.*", "room.", true}, {"room.*", "room", false}, {"room.*", "room.7.x", false},
        {"room.*", "room.7:x", false}, {"room.*", "room.7/x", false}, {"room.*", "xroom.7", false}, {"room.*", "Room.7", false},
        {"room.**", "room.7.x:y/z", true}, {"room.**", "room.", true}, {"room.**", "room", false}, {"**", "", true}, {"**", "a.b", true},
        {"*", "", true}, {"*", "a", true}, {"*", "a.b", false}, {"*.*", "a.b", true}, {"*.*", "a.b.c", false}, {"*.*", ".", true},
        {"**.*", "a.b.c", true}, {"**.c", "a.b.c", true}, {"**.c", "c", false}, {"a*c", "abbc", true}, {"a*c", "ab.c", false},
        {"a**c", "ab.c", true}, {"*x.*", "axx.b", true}, {"*x.*", "ax.x.b", false}, {"**x.*", "ax.x.b", true}, {"a", "a", true}, {"a", "ab", false},
        {"ab", "a", false}, {"a:*/b", "a:x/b", true}, {"a:*/b", "a:x.y/b", false}, {"*a*b*c*", "xxaxxbxxcxx", true}, {"*a*b*c*", "xxaxxcxxbxx", false},
        {"**a*b", "a.axb", true}, {"**a*b", "a.a.xb", false}, {"**a*b", "axb.c", false}, {"*\xc3\xa9", "caf\xc3\xa9", true}, {"a*", "a*", true}, {"?", "a", false},
        {"room.*.**", "room.7", false}, {"room.*.**", "room.7.", true}, {"room.*.**", "room.7.a.b", true}, {"", "", true}, {"", "a", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (matches(cases[i].pattern, cases[i].name) != cases[i].matches)
            fail_msg("%s %s %s", cases[i].pattern, cases[i].matches ? "does not match" : "matches", cases[i].name);
}

/* By trying everything: slow, and obviously right. */
static bool matches_slowly(const char *pattern, const char *name)
{
    if (pattern[0] == '\0')
        return name[0] == '\0';
    if (pattern[0] != '*')
        return name[0] == pattern[0] && matches_slowly(pattern + 1, name + 1);
    bool is_wide = pattern[1] == '*';
    if (matches_slowly(pattern + (is_wide ? 2 : 1), name))
        return true;
    return name[0] && (is_wide || !strchr(".:/", name[0])) && matches_slowly(pattern, name + 1);
}

static void random_patterns_match_as_by_trying_everything(void **state)
{
    static const char letters[] = "ab.*";
    unsigned seed = 7, hits = 0;
    for (unsigned round = 0; round < 200000; round++) {
        char pattern[10] = "", name[12] = "";
        for (unsigned i = 0, length = (seed = seed * 1103515245 + 12345) >> 16 & 7; i < length; i++)
            pattern[i] = letters[(seed = seed * 1103515245 + 12345) >> 16 & 3];
        for (unsigned i = 0, length = (seed = seed * 1103515245 + 12345) >> 16 & 7; i < length; i++)
            name[i] = letters[((seed = seed * 1103515245 + 12345) >> 16) % 3];
        if (matches(pattern, name) != matches_slowly(pattern, name))
            fail_msg("pattern \"%s\", name \"%s\"", pattern, name);
        hits += matches(pattern, name);
    }
    assert_true(hits > 1000);
}

/* Where a matcher that tries again would take longer than anybody waits. */
static void patterns_made_to_be_slow_are_not(void **state)
{
    char pattern[PATTERN_MAX_BYTES + 1], name[256];
    static const char *const repeated[] = {"*a", "**a", "a*", "**.*", "*.**"};
    for (size_t i = 0; i < COUNT_OF(repeated); i++) {
        size_t length = strlen(repeated[i]), at = 0;
        for (; at + length < sizeof(pattern) - 1; at += length)
            memcpy(pattern + at, repeated[i], length);
        memcpy(pattern + at, "b", 2);
        memset(name, 'a', sizeof(name) - 1);
        name[sizeof(name) - 1] = '\0';
        assert_false(matches(pattern, name));
        for (size_t k = 1; k < sizeof(name) - 1; k += 2)
            name[k] = '.';
        assert_false(matches(pattern, name));
    }
}

static void the_longest_pattern_matches_and_one_longer_is_none(void **state)
{
    char text[PATTERN_MAX_BYTES + 2];
    memset(text, 'x', sizeof(text));
    assert_true(pattern_matches(bytes_of(text, PATTERN_MAX_BYTES), bytes_of(text, PATTERN_MAX_BYTES)));
    assert_null(pattern_problem(bytes_of(text, PATTERN_MAX_BYTES)));
    text[PATTERN_MAX_BYTES - 1] = '*';
    assert_true(pattern_matches(bytes_of(text, PATTERN_MAX_BYTES), bytes_of(text, PATTERN_MAX_BYTES - 1)));
    assert_false(pattern_matches(bytes_of(text, PATTERN_MAX_BYTES + 1), bytes_of(text, PATTERN_MAX_BYTES + 1)));
    assert_non_null(pattern_problem(bytes_of(text, PATTERN_MAX_BYTES + 1)));
}

static void what_is_no_pattern(void **state)
{
    static const char *const wrong[] = {"", "a***", "***", "a\nb", "\xff", "a\x7f"};
    for (size_t i = 0; i < COUNT_OF(wrong); i++)
        if (!pattern_problem(bytes_text(wrong[i])))
            fail_msg("taken: %s", wrong[i]);
    assert_null(pattern_problem(BYTES("room.*")));
    assert_null(pattern_problem(BYTES("**")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_star_stays_in_its_segment_and_two_cross_them), TEST(random_patterns_match_as_by_trying_everything),
        TEST(patterns_made_to_be_slow_are_not), TEST(the_longest_pattern_matches_and_one_longer_is_none), TEST(what_is_no_pattern),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Pattern: see pattern.h. All places in the pattern at which the name may stand are followed at once, so nothing is ever tried
 * a second time.
 */
#include "lib/pattern.h"

#include "lib/text.h"

#include <string.h>

enum { PLACE_WORDS = PATTERN_MAX_BYTES / 64 + 1 };

/* A set of places: 0 is before the pattern's first byte, its length is behind the last. */
struct places {
    uint64_t words[PLACE_WORDS];
};

static bool is_separator(unsigned char byte)
{
    return byte == '.' || byte == ':' || byte == '/';
}

static bool is_star(struct bytes pattern, size_t place)
{
    return place < pattern.length && pattern.data[place] == '*';
}

/* With the places behind the stars that stand there, since they may stand for nothing. */
static void places_add(struct places *places, struct bytes pattern, size_t place)
{
    places->words[place / 64] |= UINT64_C(1) << (place % 64);
    while (is_star(pattern, place)) {
        place += is_star(pattern, place + 1) ? 2 : 1;
        places->words[place / 64] |= UINT64_C(1) << (place % 64);
    }
}

static void places_step(struct places *next, struct bytes pattern, size_t place, unsigned char byte)
{
    if (is_star(pattern, place)) {
        if (is_star(pattern, place + 1) || !is_separator(byte))
            places_add(next, pattern, place);
    } else if (place < pattern.length && pattern.data[place] == byte) {
        places_add(next, pattern, place + 1);
    }
}

const char *pattern_problem(struct bytes pattern)
{
    bool is_wrong = !name_is_valid(pattern, PATTERN_MAX_BYTES) || memmem(pattern.data, pattern.length, "***", 3);
    return is_wrong ? "a pattern of 1 to 255 bytes such as room.* (within a segment) or room.** (across segments), without control "
        "characters, is expected" : NULL;
}

bool pattern_matches(struct bytes pattern, struct bytes name)
{
    size_t same = 0;
    while (same < pattern.length && same < name.length && pattern.data[same] != '*' && pattern.data[same] == name.data[same])
        same++;
    if (pattern.length > PATTERN_MAX_BYTES || (same < pattern.length && pattern.data[same] != '*'))
        return false;
    struct places now = {0};
    bool is_any = true;
    places_add(&now, pattern, same);
    for (size_t at = same; at < name.length && is_any; at++) {
        struct places next = {0};
        is_any = false;
        for (unsigned word = 0; word < PLACE_WORDS; word++)
            for (uint64_t left = now.words[word]; left; left &= left - 1)
                places_step(&next, pattern, word * 64 + (unsigned)__builtin_ctzll(left), name.data[at]);
        for (unsigned word = 0; word < PLACE_WORDS; word++)
            is_any = is_any || next.words[word];
        now = next;
    }
    return now.words[pattern.length / 64] >> (pattern.length % 64) & 1;
}

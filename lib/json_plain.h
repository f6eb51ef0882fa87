/*
 * JSON plain: how far a string's bytes go on without one that JSON treats specially. Shared by the
 * reader and the writer, which both spend most of their time here; so it looks at eight bytes at once.
 */
#pragma once

#include "lib/base.h"

#include <endian.h>
#include <string.h>

#define JSON_EACH_BYTE UINT64_C(0x0101010101010101)
#define JSON_HIGH_BITS (JSON_EACH_BYTE << 7)

/*
 * Bit 7 of each byte that JSON treats specially: subtracting makes it 1 where a byte was too small, and bytes above 0x7f, where it was
 * 1 before, are left out. Only the lowest one found is certain: a borrow may mark more above it.
 */
static inline uint64_t json_special_bytes(uint64_t word)
{
    uint64_t quotes = (word ^ (JSON_EACH_BYTE * '"')) - JSON_EACH_BYTE, backslashes = (word ^ (JSON_EACH_BYTE * '\\')) - JSON_EACH_BYTE;
    return (quotes | backslashes | (word - JSON_EACH_BYTE * 0x20)) & ~word & JSON_HIGH_BITS;
}

/*
 * The first quote, backslash or control byte from `at` on, or `end`. *high becomes nonzero
 * when a byte above 0x7f lies before it.
 */
static inline const unsigned char *json_plain_end(const unsigned char *at, const unsigned char *end, uint64_t *high)
{
    while (end - at >= 8) {
        uint64_t word;
        memcpy(&word, at, sizeof(word));
        word = le64toh(word);
        uint64_t special = json_special_bytes(word);
        if (special) {
            *high |= word & JSON_HIGH_BITS & ((special & -special) - 1);
            return at + __builtin_ctzll(special) / 8;
        }
        *high |= word & JSON_HIGH_BITS;
        at += 8;
    }
    for (; at < end && *at != '"' && *at != '\\' && *at >= 0x20; at++)
        *high |= *at & 0x80;
    return at;
}

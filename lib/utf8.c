/*
 * UTF-8 (RFC 3629 section 4): a resumable check. The state says what may come next: how many continuation bytes, and in
 * which range the first of them must lie.
 */
#include "lib/text.h"

#define UTF8_HIGH_BITS UINT64_C(0x8080808080808080)

enum {
    TAIL_1 = 1,             /* one more byte of 80..BF */
    TAIL_2 = 2,
    TAIL_3 = 3,
    AFTER_E0 = 4,           /* A0..BF, then TAIL_1: shorter forms are overlong */
    AFTER_ED = 5,           /* 80..9F, then TAIL_1: the rest are surrogates */
    AFTER_F0 = 6,           /* 90..BF, then TAIL_2 */
    AFTER_F4 = 7,           /* 80..8F, then TAIL_2: the rest are above U+10FFFF */
};

static inline uint32_t utf8_lead(unsigned char byte)
{
    if (byte < 0x80)
        return UTF8_ACCEPT;
    if (byte < 0xc2 || byte > 0xf4)
        return UTF8_REJECT;
    if (byte < 0xe0)
        return TAIL_1;
    if (byte < 0xf0)
        return byte == 0xe0 ? AFTER_E0 : byte == 0xed ? AFTER_ED : TAIL_2;
    return byte == 0xf0 ? AFTER_F0 : byte == 0xf4 ? AFTER_F4 : TAIL_3;
}

static inline uint32_t utf8_step(uint32_t state, unsigned char byte)
{
    static const struct { unsigned char low, high, next; } rules[] = {
        [TAIL_1] = {0x80, 0xbf, UTF8_ACCEPT}, [TAIL_2] = {0x80, 0xbf, TAIL_1}, [TAIL_3] = {0x80, 0xbf, TAIL_2},
        [AFTER_E0] = {0xa0, 0xbf, TAIL_1},    [AFTER_ED] = {0x80, 0x9f, TAIL_1},
        [AFTER_F0] = {0x90, 0xbf, TAIL_2},    [AFTER_F4] = {0x80, 0x8f, TAIL_2},
    };
    if (state == UTF8_ACCEPT)
        return utf8_lead(byte);
    return byte >= rules[state].low && byte <= rules[state].high ? rules[state].next : UTF8_REJECT;
}

uint32_t utf8_feed(uint32_t state, struct bytes piece)
{
    if (piece.length == 0)
        return state;
    const unsigned char *at = piece.data, *end = at + piece.length;
    while (at < end && state != UTF8_REJECT) {
        if (state == UTF8_ACCEPT) {
            uint64_t words[2];
            while (end - at >= 16) {
                memcpy(words, at, sizeof(words));
                if ((words[0] | words[1]) & UTF8_HIGH_BITS)
                    break;
                at += 16;
            }
            if (end - at >= 8) {
                memcpy(words, at, sizeof(words[0]));
                if (!(words[0] & UTF8_HIGH_BITS))
                    at += 8;
            }
            while (at < end && *at < 0x80)
                at++;
            if (at == end)
                break;
        }
        state = utf8_step(state, *at++);
    }
    return state;
}

bool utf8_is_valid(struct bytes text)
{
    return utf8_feed(UTF8_ACCEPT, text) == UTF8_ACCEPT;
}

void text_add_code_point(struct buf *out, uint32_t code_point)
{
    if (code_point < 0x80) {
        buf_add_byte(out, (unsigned char)code_point);
        return;
    }
    unsigned tails = code_point < 0x800 ? 1 : code_point < 0x10000 ? 2 : 3;
    static const unsigned char leads[] = {0, 0xc0, 0xe0, 0xf0};
    buf_add_byte(out, (unsigned char)(leads[tails] | code_point >> (6 * tails)));
    while (tails-- > 0)
        buf_add_byte(out, (unsigned char)(0x80 | (code_point >> (6 * tails) & 0x3f)));
}

bool name_is_valid(struct bytes name, size_t max)
{
    if (name.length == 0 || name.length > max)
        return false;
    /* Most names are plain ASCII to their end. */
    size_t plain = 0;
    while (plain < name.length && name.data[plain] >= 0x20 && name.data[plain] < 0x7f)
        plain++;
    if (plain < name.length && !utf8_is_valid(name))
        return false;
    for (size_t i = plain; i < name.length; i++) {
        const unsigned char *at = name.data + i;
        bool is_c1 = at[0] == 0xc2 && at[1] < 0xa0;
        /* U+2028 and U+2029: line ends to some readers, names on two lines to people. */
        bool is_separator = at[0] == 0xe2 && at[1] == 0x80 && (at[2] == 0xa8 || at[2] == 0xa9);
        if (at[0] < 0x20 || at[0] == 0x7f || is_c1 || is_separator)
            return false;
    }
    return true;
}

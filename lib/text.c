/*
 * Text: see text.h. UTF-8 is in utf8.c.
 */
#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
static const char base64url_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static char base64_letter(unsigned value, bool is_url)
{
    const char *letters = is_url ? base64url_letters : base64_letters;
    return letters[value];
}

/* Of both alphabets, plus one; 0: no letter of either. */
static const uint8_t base64_values[256] = {
    ['A'] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26,
    ['a'] = 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 52,
    ['0'] = 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, ['+'] = 63, ['-'] = 63, ['/'] = 64, ['_'] = 64,
};

static int base64_value(unsigned char letter, bool is_url)
{
    int value = base64_values[letter] - 1;
    return value >= 62 && letter != (unsigned char)base64_letter((unsigned)value, is_url) ? -1 : value;
}

static void base64_encode(struct buf *out, struct bytes bytes, bool is_url)
{
    for (size_t i = 0; i < bytes.length; i += 3) {
        size_t left = MIN(bytes.length - i, (size_t)3);
        uint32_t group = (uint32_t)bytes.data[i] << 16;
        if (left > 1)
            group |= (uint32_t)bytes.data[i + 1] << 8;
        if (left > 2)
            group |= bytes.data[i + 2];
        for (size_t k = 0; k <= left; k++)
            buf_add_byte(out, (unsigned char)base64_letter(group >> (18 - 6 * k) & 63, is_url));
        for (size_t k = left; k < 3 && !is_url; k++)
            buf_add_byte(out, '=');
    }
}

void text_add_base64(struct buf *out, struct bytes bytes)
{
    base64_encode(out, bytes, false);
}

void text_add_base64url(struct buf *out, struct bytes bytes)
{
    base64_encode(out, bytes, true);
}

static int base64_decode(struct buf *out, struct bytes text, bool is_url)
{
    size_t length = text.length;
    if (!is_url) {
        if (length % 4)
            return -EBADMSG;
        for (unsigned i = 0; i < 2 && length && text.data[length - 1] == '='; i++)
            length--;
    }
    if (length % 4 == 1)
        return -EBADMSG;
    uint32_t group = 0;
    unsigned bits = 0;
    unsigned char *at = buf_room(out, length / 4 * 3 + 3);
    if (!at)
        return buf_status(out);
    for (size_t i = 0; i < length; i++) {
        int value = base64_value(text.data[i], is_url);
        if (value < 0)
            return -EBADMSG;
        group = group << 6 | (uint32_t)value;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            *at++ = (unsigned char)(group >> bits);
        }
    }
    /* Bits that stand for nothing must be zero: else one value would have several spellings. */
    if (group & ((1u << bits) - 1))
        return -EBADMSG;
    out->length = (size_t)(at - out->data);
    return 0;
}

int text_base64_decode(struct buf *out, struct bytes text)
{
    return base64_decode(out, text, false);
}

int text_base64url_decode(struct buf *out, struct bytes text)
{
    return base64_decode(out, text, true);
}

static int hex_value(unsigned char digit)
{
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    if (digit >= 'a' && digit <= 'f')
        return digit - 'a' + 10;
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

int text_url_decode(struct buf *out, struct bytes text, bool plus_is_blank)
{
    size_t before = out->length;
    bool is_plain = text.length == 0 || (!memchr(text.data, '%', text.length) && !(plus_is_blank && memchr(text.data, '+', text.length)));
    if (is_plain) {
        buf_add_bytes(out, text);
        return buf_status(out);
    }
    for (size_t i = 0; i < text.length; i++) {
        unsigned char byte = text.data[i];
        if (byte == '%') {
            int high = i + 2 < text.length ? hex_value(text.data[i + 1]) : -1;
            int low = high >= 0 ? hex_value(text.data[i + 2]) : -1;
            if (low < 0 || (high == 0 && low == 0)) {
                out->length = before;
                return -EBADMSG;
            }
            byte = (unsigned char)(high << 4 | low);
            i += 2;
        } else if (byte == '+' && plus_is_blank) {
            byte = ' ';
        }
        buf_add_byte(out, byte);
    }
    return buf_status(out);
}

void uuid_print(const struct uuid *uuid, char ret_text[static UUID_TEXT + 1])
{
    static const char digits[] = "0123456789abcdef";
    char *at = ret_text;
    for (unsigned i = 0; i < UUID_BYTES; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *at++ = '-';
        *at++ = digits[uuid->bytes[i] >> 4];
        *at++ = digits[uuid->bytes[i] & 15];
    }
    *at = '\0';
}

int uuid_parse(struct bytes text, struct uuid *ret_uuid)
{
    if (text.length != UUID_TEXT)
        return -EBADMSG;
    const unsigned char *at = text.data;
    for (unsigned i = 0; i < UUID_BYTES; i++) {
        if ((i == 4 || i == 6 || i == 8 || i == 10) && *at++ != '-')
            return -EBADMSG;
        int high = hex_value(at[0]), low = hex_value(at[1]);
        if (high < 0 || low < 0)
            return -EBADMSG;
        ret_uuid->bytes[i] = (unsigned char)(high << 4 | low);
        at += 2;
    }
    return 0;
}

int text_parse_uint(struct bytes text, uint64_t *ret_value)
{
    uint64_t value = 0;
    if (text.length == 0)
        return -EBADMSG;
    bool fits = true;
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return -EBADMSG;
        if (__builtin_mul_overflow(value, (uint64_t)10, &value)
            || __builtin_add_overflow(value, (uint64_t)(text.data[i] - '0'), &value))
            fits = false;
    }
    if (!fits)
        return -ERANGE;
    *ret_value = value;
    return 0;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {{"GiB", 1u << 30}, {"MiB", 1u << 20}, {"KiB", 1u << 10}, {"", 1}};
static const struct unit span_units[] = {
    {"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1},
};

static int text_parse_units(struct bytes text, const struct unit *units, size_t unit_count, uint64_t *ret_value)
{
    size_t digits = 0;
    while (digits < text.length && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    uint64_t value;
    int r = text_parse_uint(bytes_of(text.data, digits), &value);
    if (r < 0)
        return r;
    struct bytes name = bytes_of(text.data + digits, text.length - digits);
    for (size_t i = 0; i < unit_count; i++)
        if (bytes_is(name, units[i].name))
            return __builtin_mul_overflow(value, units[i].factor, ret_value) ? -ERANGE : 0;
    if (value != 0 || name.length)
        return -EBADMSG;
    *ret_value = 0;
    return 0;
}

int text_parse_size(struct bytes text, uint64_t *ret_bytes)
{
    return text_parse_units(text, size_units, COUNT_OF(size_units), ret_bytes);
}

int text_parse_span(struct bytes text, uint64_t *ret_ms)
{
    return text_parse_units(text, span_units, COUNT_OF(span_units), ret_ms);
}

static void text_add_units(struct buf *out, const struct unit *units, size_t unit_count, uint64_t value)
{
    for (size_t i = 0; i < unit_count; i++) {
        if (value % units[i].factor == 0 && (value || i + 1 == unit_count)) {
            buf_add_format(out, "%llu%s", (unsigned long long)(value / units[i].factor), value ? units[i].name : "");
            return;
        }
    }
}

void text_add_size(struct buf *out, uint64_t bytes)
{
    text_add_units(out, size_units, COUNT_OF(size_units), bytes);
}

void text_add_span(struct buf *out, uint64_t ms)
{
    text_add_units(out, span_units, COUNT_OF(span_units), ms);
}

/* How many bytes at the front are one valid character; 0: none. */
static size_t text_character(struct bytes text)
{
    uint32_t state = UTF8_ACCEPT;
    for (size_t i = 0; i < text.length && i < 4; i++) {
        state = utf8_feed(state, bytes_of(text.data + i, 1));
        if (state == UTF8_ACCEPT)
            return i + 1;
        if (state == UTF8_REJECT)
            return 0;
    }
    return 0;
}

/* Longer characters that terminals obey: C1 controls (U+0080 to U+009F), and those that turn the direction of what follows (U+202A to
 * U+202E, U+2066 to U+2069; UAX #9). */
static bool text_is_obeyed(struct bytes character)
{
    const unsigned char *at = character.data;
    if (character.length == 2)
        return at[0] == 0xc2 && at[1] < 0xa0;
    return character.length == 3 && at[0] == 0xe2
        && ((at[1] == 0x80 && at[2] >= 0xaa && at[2] <= 0xae) || (at[1] == 0x81 && at[2] >= 0xa6 && at[2] <= 0xa9));
}

/* The first of `named` are escaped by the letters of the same places in `names`. */
static void text_add_without(struct buf *out, struct bytes text, size_t limit, const char *named)
{
    static const char names[] = "nrt\"\\";
    size_t end = MIN(text.length, limit);
    for (size_t i = 0; i < end;) {
        unsigned char byte = text.data[i];
        const char *found = byte ? strchr(named, byte) : NULL;
        size_t length = text_character(bytes_of(text.data + i, text.length - i));
        bool is_control = byte < 0x20 || byte == 0x7f || text_is_obeyed(bytes_of(text.data + i, length));
        if (found) {
            buf_add_byte(out, '\\');
            buf_add_byte(out, (unsigned char)names[found - named]);
            i++;
        } else if (length == 0 || is_control) {
            buf_add_format(out, "\\x%02x", byte);
            i++;
        } else {
            buf_add(out, text.data + i, length);
            i += length;
        }
    }
    if (text.length > limit)
        buf_add_text(out, "…");
}

void text_add_escaped(struct buf *out, struct bytes text, size_t limit)
{
    text_add_without(out, text, limit, "\n\r\t\"\\");
}

void text_add_sentence(struct buf *out, struct bytes text, size_t limit)
{
    text_add_without(out, text, limit, "\n\r\t");
}

bool text_matches(struct bytes pattern, struct bytes text)
{
    size_t p = 0, t = 0, star = SIZE_MAX, mark = 0;
    while (t < text.length) {
        if (p < pattern.length && pattern.data[p] == '*') {
            star = p++;
            mark = t;
        } else if (p < pattern.length && (pattern.data[p] == '?' || pattern.data[p] == text.data[t])) {
            p++;
            t++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            t = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.length && pattern.data[p] == '*')
        p++;
    return p == pattern.length;
}

unsigned text_distance(const char *a, const char *b, unsigned limit)
{
    enum { LONGEST = 64 };
    size_t m = strlen(a), n = strlen(b);
    unsigned rows[3][LONGEST + 1];
    if (m > LONGEST || n > LONGEST)
        return limit + 1;
    for (size_t j = 0; j <= n; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= m; i++) {
        unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3], *two_above = rows[(i + 1) % 3];
        row[0] = (unsigned)i;
        for (size_t j = 1; j <= n; j++) {
            unsigned best = MIN(MIN(above[j], row[j - 1]) + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                best = MIN(best, two_above[j - 2] + 1);
            row[j] = best;
        }
    }
    return MIN(rows[m % 3][n], limit + 1);
}

void text_add_url_encoded(struct buf *out, struct bytes text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    for (size_t i = 0; i < text.length; i++) {
        if (text.data[i] && strchr(plain, text.data[i]))
            buf_add_byte(out, text.data[i]);
        else
            buf_add_format(out, "%%%02X", text.data[i]);
    }
}

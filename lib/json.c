/*
 * JSON, the reader: the grammar of RFC 8259 as a walk over tokens, and the slices and values that
 * callers read off it. Knows nothing of envelopes, and keeps nothing: every value is a slice of the text.
 *
 * One function, json_step(), knows the grammar; whatever validates goes through it.
 */
#include "lib/json.h"
#include "lib/json_plain.h"
#include "lib/text.h"

#include <string.h>

static int json_fail(struct json_scan *scan, const char *problem)
{
    scan->problem = problem;
    return -EBADMSG;
}

void json_scan_init(struct json_scan *scan, struct bytes text)
{
    /* An empty buf has no data; arithmetic on NULL is undefined. */
    const unsigned char *start = text.data ? text.data : (const unsigned char *)"";
    *scan = (struct json_scan){.start = start, .at = start, .end = start + text.length};
}

static inline void json_skip_blanks(struct json_scan *scan)
{
    for (; scan->at < scan->end && *scan->at <= ' '; scan->at++) {
        unsigned char byte = *scan->at;
        if (byte == '\n' || byte == '\r')
            scan->saw_newline = true;
        else if (byte != ' ' && byte != '\t')
            return;
    }
}

static inline bool json_is_at(const struct json_scan *scan, unsigned char byte)
{
    return scan->at < scan->end && *scan->at == byte;
}

/* The value of four hexadecimal digits, or -1. */
static int json_hex4(const unsigned char *at, const unsigned char *end)
{
    if (end - at < 4)
        return -1;
    int value = 0;
    for (int i = 0; i < 4; i++) {
        unsigned char digit = at[i], lower = digit | 0x20;
        if (digit >= '0' && digit <= '9')
            value = value * 16 + digit - '0';
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + lower - 'a' + 10;
        else
            return -1;
    }
    return value;
}

static int json_skip_escape(struct json_scan *scan)
{
    const unsigned char *at = scan->at + 1;
    if (at == scan->end)
        return json_fail(scan, "the string has no closing quote");
    if (*at != 'u') {
        if (!memchr("\"\\/bfnrt", *at, 8))
            return json_fail(scan, "no such escape; \\\\ is a backslash");
        scan->at += 2;
        return 0;
    }
    int unit = json_hex4(at + 1, scan->end);
    if (unit < 0)
        return json_fail(scan, "\\u needs four hexadecimal digits");
    scan->at += 6;
    if (unit < 0xd800 || unit > 0xdfff)
        return 0;
    int low = -1;
    if (unit < 0xdc00 && scan->end - scan->at >= 6 && scan->at[0] == '\\' && scan->at[1] == 'u')
        low = json_hex4(scan->at + 2, scan->end);
    if (low < 0xdc00 || low > 0xdfff) {
        scan->at -= 6;
        return json_fail(scan, "half of a surrogate pair stands alone; escape both halves");
    }
    scan->at += 6;
    return 0;
}

static inline int json_skip_string(struct json_scan *scan)
{
    const unsigned char *body = ++scan->at;
    uint64_t high = 0;
    for (;;) {
        scan->at = json_plain_end(scan->at, scan->end, &high);
        if (scan->at == scan->end)
            return json_fail(scan, "the string has no closing quote");
        if (*scan->at == '"')
            break;
        if (*scan->at != '\\')
            return json_fail(scan, "a control character in a string must be escaped");
        if (json_skip_escape(scan))
            return -EBADMSG;
    }
    if (high && !utf8_is_valid(bytes_of(body, (size_t)(scan->at - body)))) {
        scan->at = body;
        return json_fail(scan, "the string that begins here is not valid UTF-8");
    }
    scan->at++;
    return 0;
}

static inline bool json_skip_digits(struct json_scan *scan)
{
    const unsigned char *first = scan->at;
    while (scan->at < scan->end && (unsigned)(*scan->at - '0') <= 9)
        scan->at++;
    return scan->at > first;
}

static int json_skip_number(struct json_scan *scan)
{
    if (*scan->at == '-')
        scan->at++;
    const unsigned char *first = scan->at;
    if (!json_skip_digits(scan))
        return json_fail(scan, "a digit is missing after the minus");
    if (*first == '0' && scan->at - first > 1) {
        scan->at = first;
        return json_fail(scan, "a number must not begin with a needless 0");
    }
    if (json_is_at(scan, '.')) {
        scan->at++;
        if (!json_skip_digits(scan))
            return json_fail(scan, "a digit is missing after the point");
    }
    if (json_is_at(scan, 'e') || json_is_at(scan, 'E')) {
        scan->at++;
        if (json_is_at(scan, '+') || json_is_at(scan, '-'))
            scan->at++;
        if (!json_skip_digits(scan))
            return json_fail(scan, "a digit is missing in the exponent");
    }
    return 0;
}

static int json_skip_word(struct json_scan *scan)
{
    static const char *const words[] = {"true", "false", "null"};
    size_t left = (size_t)(scan->end - scan->at);
    for (size_t i = 0; i < COUNT_OF(words); i++) {
        size_t length = strlen(words[i]);
        if (left >= length && memcmp(scan->at, words[i], length) == 0) {
            scan->at += length;
            return 0;
        }
    }
    if (left == 0)
        return json_fail(scan, "the text ends where a value is expected");
    return json_fail(scan, "a value is expected: an object, array, string, number, true, false or null");
}

/* `at` stands on the value's first byte. */
static inline int json_step_value(struct json_scan *scan, struct json_walk *walk, struct bytes *ret_token)
{
    const unsigned char *start = scan->at;
    unsigned char first = start < scan->end ? *start : '\0';
    if (first == '{' || first == '[') {
        if (walk->depth == walk->depth_max)
            return json_fail(scan, "arrays and objects are nested too deeply; make the value flatter");
        walk->depth++;
        walk->objects = walk->objects << 1 | (first == '{');
        walk->want = JSON_WANT_FIRST;
        scan->at++;
        *ret_token = bytes_of(start, 1);
        return JSON_OPEN;
    }
    int r;
    if (first == '"')
        r = json_skip_string(scan);
    else if (first == '-' || (unsigned)(first - '0') <= 9)
        r = json_skip_number(scan);
    else
        r = json_skip_word(scan);
    walk->want = JSON_WANT_REST;
    *ret_token = bytes_of(start, (size_t)(scan->at - start));
    return r == 0 ? JSON_SCALAR : r;
}

/* `at` stands where the key should begin; moves behind the colon. */
static inline int json_step_key(struct json_scan *scan, struct bytes *ret_key)
{
    const unsigned char *start = scan->at;
    if (!json_is_at(scan, '"'))
        return json_fail(scan, "a key in quotes is expected");
    if (json_skip_string(scan))
        return -EBADMSG;
    *ret_key = bytes_of(start, (size_t)(scan->at - start));
    json_skip_blanks(scan);
    if (!json_is_at(scan, ':'))
        return json_fail(scan, "a colon is missing after the key");
    scan->at++;
    return 0;
}

static inline int json_step(struct json_scan *scan, struct json_walk *walk, struct bytes *ret_token)
{
    if (walk->want != JSON_WANT_VALUE) {
        if (walk->depth == 0)
            return JSON_END;
        bool in_object = walk->objects & 1;
        json_skip_blanks(scan);
        if (json_is_at(scan, in_object ? '}' : ']')) {
            *ret_token = bytes_of(scan->at++, 1);
            walk->objects >>= 1;
            walk->depth--;
            walk->want = JSON_WANT_REST;
            return JSON_CLOSE;
        }
        if (walk->want == JSON_WANT_REST) {
            if (!json_is_at(scan, ','))
                return json_fail(scan, in_object ? "a comma or } is missing" : "a comma or ] is missing");
            scan->at++;
            json_skip_blanks(scan);
        }
        if (in_object) {
            walk->want = JSON_WANT_VALUE;
            int r = json_step_key(scan, ret_token);
            return r == 0 ? JSON_KEY : r;
        }
    }
    json_skip_blanks(scan);
    return json_step_value(scan, walk, ret_token);
}

int json_walk_next(struct json_scan *scan, struct json_walk *walk, struct bytes *ret_token)
{
    return json_step(scan, walk, ret_token);
}

int json_take(struct json_scan *scan, unsigned depth_max, struct bytes *ret_value)
{
    assert(depth_max <= JSON_DEPTH_MAX);
    struct json_walk walk = json_walk(depth_max);
    struct bytes token;
    json_skip_blanks(scan);
    const unsigned char *start = scan->at;
    int r;
    if (json_is_at(scan, '"'))
        r = json_skip_string(scan);         /* most values are strings: for them there is nothing to walk */
    else
        do
            r = json_step(scan, &walk, &token);
        while (r > JSON_END);
    if (r < 0)
        return r;
    *ret_value = bytes_of(start, (size_t)(scan->at - start));
    json_skip_blanks(scan);
    return 0;
}

int json_take_all(struct json_scan *scan, unsigned depth_max, struct bytes *ret_value)
{
    int r = json_take(scan, depth_max, ret_value);
    return r < 0 ? r : json_finish(scan);
}

int json_finish(struct json_scan *scan)
{
    json_skip_blanks(scan);
    return scan->at == scan->end ? 0 : json_fail(scan, "more text follows the value");
}

int json_enter(struct json_scan *scan, char bracket)
{
    json_skip_blanks(scan);
    if (!json_is_at(scan, (unsigned char)bracket))
        return json_fail(scan, bracket == '{' ? "an object is expected" : "an array is expected");
    scan->at++;
    return 0;
}

/*
 * Moves to the next key or item: 1; or past the closing bracket: 0. Whether a comma is due needs no
 * state of its own: only right behind the opening bracket, which no value ends with, there is none.
 */
static int json_next(struct json_scan *scan, char open, char close)
{
    assert(scan->at > scan->start);
    bool is_first = scan->at[-1] == (unsigned char)open;
    json_skip_blanks(scan);
    if (json_is_at(scan, (unsigned char)close)) {
        scan->at++;
        return 0;
    }
    if (is_first)
        return 1;
    if (!json_is_at(scan, ','))
        return json_fail(scan, open == '{' ? "a comma or } is missing" : "a comma or ] is missing");
    scan->at++;
    json_skip_blanks(scan);
    return 1;
}

int json_next_member(struct json_scan *scan, unsigned depth_max, struct bytes *ret_key, struct bytes *ret_value)
{
    int r = json_next(scan, '{', '}');
    if (r != 1)
        return r;
    r = json_step_key(scan, ret_key);
    if (r == 0)
        r = json_take(scan, depth_max, ret_value);
    return r < 0 ? r : 1;
}

int json_next_element(struct json_scan *scan, unsigned depth_max, struct bytes *ret_value)
{
    int r = json_next(scan, '[', ']');
    if (r != 1)
        return r;
    r = json_take(scan, depth_max, ret_value);
    return r < 0 ? r : 1;
}

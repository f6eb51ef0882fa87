/*
 * JSON (RFC 8259): the project's one reader and one writer.
 *
 * The reader validates and slices in one pass, without recursion or allocation: a value is the raw
 * bytes of its text. Stricter than the RFC where that keeps peers apart: lone surrogate escapes and
 * invalid UTF-8 are refused; nesting is limited. Numbers stay as they were written.
 */
#pragma once

#include "lib/buf.h"

enum { JSON_MEMBERS_MAX = 256 };    /* that json_check_members looks through */
enum { JSON_DEPTH_MAX = 64 };       /* rtc-protocol(7), "MessagePack": nesting, in both encodings */

enum json_type {
    JSON_NULL, JSON_TRUE, JSON_FALSE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT,
};

/* A position in a text, and what is wrong there after a function has failed. */
struct json_scan {
    const unsigned char *start, *at, *end;
    const char *problem;            /* a sentence's end: "a comma or } is missing"; NULL while all is well */
    bool saw_newline;               /* CR or LF stood between tokens: see json_add_compact */
};

void json_scan_init(struct json_scan *scan, struct bytes text);

/*
 * Validates one value (and blanks around it) and moves past it; *ret_value is its text without the
 * blanks. -EBADMSG: `problem` says why and `at` where. `depth_max` counts arrays and objects.
 */
MUST_CHECK int json_take(struct json_scan *scan, unsigned depth_max, struct bytes *ret_value);

/* The same for a whole text: exactly one value, nothing behind it. */
MUST_CHECK int json_take_all(struct json_scan *scan, unsigned depth_max, struct bytes *ret_value);

/*
 * Walks the members of an object that is being read for the first time, validating as it goes:
 *     int r = json_enter(&scan, '{');
 *     while (r == 0 && (r = json_next_member(&scan, depth_max, &key, &value)) == 1) ...;
 *     if (r == 0) r = json_finish(&scan);          // only blanks may follow
 * json_next_* return 1 for an item, 0 at the closing bracket, -EBADMSG. `key` is the raw string with
 * its quotes: use json_string_is() or json_add_string_value().
 */
MUST_CHECK int json_enter(struct json_scan *scan, char bracket);   /* '{' or '[': -EBADMSG when it is not one */
MUST_CHECK int json_next_member(struct json_scan *scan, unsigned depth_max, struct bytes *ret_key, struct bytes *ret_value);
MUST_CHECK int json_next_element(struct json_scan *scan, unsigned depth_max, struct bytes *ret_value);
MUST_CHECK int json_finish(struct json_scan *scan);

/*
 * Walks a value token by token, nested ones included, in one pass (transcode.c): with
 * `walk = json_walk(depth_max)`, each call gives the next event and its token's text until JSON_END,
 * then `at` stands right behind the value. A key's or string's token has its quotes. -EBADMSG.
 */
enum json_event { JSON_END, JSON_SCALAR, JSON_KEY, JSON_OPEN, JSON_CLOSE };
struct json_walk {
    uint64_t objects;               /* one bit per open bracket, innermost lowest: is it an object? */
    unsigned depth, depth_max;
    enum { JSON_WANT_VALUE, JSON_WANT_FIRST, JSON_WANT_REST } want;
};
static inline struct json_walk json_walk(unsigned depth_max) { return (struct json_walk){.depth_max = depth_max}; }
MUST_CHECK int json_walk_next(struct json_scan *scan, struct json_walk *walk, struct bytes *ret_token);

/* For values that one of the functions above has returned. */
enum json_type json_type(struct bytes value);
bool json_string_is(struct bytes value, const char *text);         /* a string that decodes to just this? */
/* The string's content, escapes decoded, into `scratch` only when it has escapes (the result then lives
 * there), else a slice of `value`. -EBADMSG: not a string; -ENOMEM. */
MUST_CHECK int json_string(struct bytes value, struct buf *scratch, struct bytes *ret_text);
/* A non-negative integer written as digits ("1e2" and "1.0" are not). -EBADMSG, -ERANGE. */
MUST_CHECK int json_uint(struct bytes value, uint64_t *ret_value);
MUST_CHECK int json_bool(struct bytes value, bool *ret_value);     /* -EBADMSG */
/* The member of that name of an object value; empty bytes when absent or not an object. First one wins. */
struct bytes json_member(struct bytes object, const char *name);

/* No name stands twice in an object value, whatever its spelling. 0, -EEXIST, -ENOMEM; -E2BIG: it has more than `member_max`
 * members. For objects that decide something: two readers must not see two different ones. */
MUST_CHECK int json_check_members(struct bytes object, size_t member_max);

/* Appends a value without the blanks between its tokens (so that it stands on one line). */
void json_add_compact(struct buf *out, struct bytes value);

/* Appends `text`, which must be valid UTF-8, as a string in quotes. */
void json_add_quoted(struct buf *out, struct bytes text);

/* The writer: commas and quotes are its business. Nothing checks that brackets match but an assert. */
struct json_writer {
    struct buf *out;
    bool needs_comma;
    unsigned depth;
};

static inline struct json_writer json_writer(struct buf *out) { return (struct json_writer){.out = out}; }
void json_begin_object(struct json_writer *writer);
void json_end_object(struct json_writer *writer);
void json_begin_array(struct json_writer *writer);
void json_end_array(struct json_writer *writer);
void json_key(struct json_writer *writer, const char *key);        /* ASCII without quotes or backslashes */
void json_add_string(struct json_writer *writer, struct bytes text);   /* invalid UTF-8 becomes U+FFFD */
void json_add_text(struct json_writer *writer, const char *text);      /* the same; NULL writes null */
void json_add_uint(struct json_writer *writer, uint64_t value);
void json_add_int(struct json_writer *writer, int64_t value);
void json_add_bool(struct json_writer *writer, bool value);
void json_add_null(struct json_writer *writer);
void json_add_raw(struct json_writer *writer, struct bytes value);     /* already JSON; empty writes null */

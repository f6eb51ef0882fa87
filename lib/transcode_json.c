/*
 * Transcode: JSON from MessagePack. See transcode.h.
 *
 * One walk knows what has a form in JSON and what has none; printing and mere checking both follow it.
 */
#include "lib/transcode.h"

#include "lib/json.h"
#include "lib/msgpack.h"
#include "lib/text.h"

#include <math.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TIMESTAMP = -1 };

/*
 * The shortest of the usual spellings that reads back as the same number, with a point in any locale: the
 * C locale's object is static, so asking for it allocates nothing.
 */
static void add_real(struct buf *out, double real)
{
    char text[40];
    locale_t plain = isfinite(real) ? newlocale(LC_ALL_MASK, "C", NULL) : NULL;
    if (!plain) {
        buf_add_text(out, "null");
        return;
    }
    locale_t before = uselocale(plain);
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof(text), "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    uselocale(before);
    freelocale(plain);
    buf_add_text(out, text);
    /* A whole number stays recognisable as a float64, so that it comes back as one. */
    if (!strpbrk(text, ".e"))
        buf_add_text(out, ".0");
}

static void add_base64(struct buf *out, struct bytes content)
{
    buf_add_byte(out, '"');
    text_add_base64(out, content);
    buf_add_byte(out, '"');
}

static uint64_t big_endian(const unsigned char *at, unsigned size)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < size; i++)
        value = value << 8 | at[i];
    return value;
}

/* The timestamp extension's three forms. false: none of them, or a year that RFC 3339 has no form for. */
static bool add_timestamp(struct buf *out, struct bytes content)
{
    int64_t seconds;
    uint64_t nanoseconds = 0;
    if (content.length == 4) {
        seconds = (int64_t)big_endian(content.data, 4);
    } else if (content.length == 8) {
        uint64_t both = big_endian(content.data, 8);
        nanoseconds = both >> 34;
        seconds = (int64_t)(both & ((UINT64_C(1) << 34) - 1));
    } else if (content.length == 12) {
        nanoseconds = big_endian(content.data, 4);
        seconds = (int64_t)big_endian(content.data + 4, 8);
    } else {
        return false;
    }
    struct tm utc;
    time_t moment = (time_t)seconds;
    if (nanoseconds > 999999999 || seconds < -62167219200 || seconds > 253402300799 || !gmtime_r(&moment, &utc))
        return false;
    buf_add_format(out, "\"%04d-%02d-%02dT%02d:%02d:%02d", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday,
                   utc.tm_hour, utc.tm_min, utc.tm_sec);
    if (nanoseconds)
        buf_add_format(out, ".%09llu", (unsigned long long)nanoseconds);
    buf_add_text(out, "Z\"");
    return true;
}

static void add_ext(struct buf *out, int8_t type, struct bytes content)
{
    if (type == TIMESTAMP && add_timestamp(out, content))
        return;
    buf_add_format(out, "{\"$ext\":[%d,", type);
    add_base64(out, content);
    buf_add_text(out, "]}");
}

static void add_scalar(struct buf *out, const struct msgpack_token *token)
{
    switch (token->type) {
    case MSGPACK_NIL:
        buf_add_text(out, "null");
        break;
    case MSGPACK_BOOL:
        buf_add_text(out, token->boolean ? "true" : "false");
        break;
    case MSGPACK_UINT:
        buf_add_decimal(out, token->number);
        break;
    case MSGPACK_INT:
        buf_add_byte(out, '-');
        buf_add_decimal(out, 0 - (uint64_t)token->negative);
        break;
    case MSGPACK_DOUBLE:
        add_real(out, token->real);
        break;
    case MSGPACK_STR:
        json_add_quoted(out, token->content);
        break;
    case MSGPACK_BIN:
        buf_add_text(out, "{\"$binary\":");
        add_base64(out, token->content);
        buf_add_byte(out, '}');
        break;
    default:
        add_ext(out, token->ext_type, token->content);
        break;
    }
}

/* Keys that are no strings stand in quotes. */
static void add_key(struct buf *out, const struct msgpack_token *token)
{
    if (token->type != MSGPACK_STR)
        buf_add_byte(out, '"');
    add_scalar(out, token);
    if (token->type != MSGPACK_STR)
        buf_add_byte(out, '"');
}

enum event { EVENT_END, EVENT_KEY, EVENT_SCALAR, EVENT_OPEN, EVENT_CLOSE };

struct level {
    uint64_t left;              /* values still to come; in a map keys and values count */
    bool is_map;
};

struct walk {
    struct msgpack_scan scan;
    struct level levels[MSGPACK_DEPTH_MAX + 1];
    unsigned depth;
    bool needs_comma;           /* before the next key, or item of an array */
};

static void walk_init(struct walk *walk, struct bytes msgpack)
{
    walk->levels[0] = (struct level){.left = 1};
    walk->depth = 0;
    walk->needs_comma = false;
    msgpack_scan_init(&walk->scan, msgpack);
}

static int walk_fail(struct walk *walk, const char *problem)
{
    walk->scan.problem = problem;
    return -EBADMSG;
}

/* How many brackets JSON nests for what MessagePack says in one value. */
static unsigned extra_depth(enum msgpack_type type)
{
    switch (type) {
    case MSGPACK_ARRAY:
    case MSGPACK_MAP:
    case MSGPACK_BIN:
        return 1;
    case MSGPACK_EXT:
        return 2;
    default:
        return 0;
    }
}

static int walk_next(struct walk *walk, struct msgpack_token *ret)
{
    struct level *level = &walk->levels[walk->depth];
    if (level->left == 0) {
        if (walk->depth > 0)
            return EVENT_CLOSE;
        return walk->scan.at == walk->scan.end ? EVENT_END : walk_fail(walk, "more bytes follow the value");
    }
    bool is_key = level->is_map && level->left % 2 == 0;
    int r = msgpack_next_token(&walk->scan, ret);
    if (r < 0)
        return r;
    level->left--;
    unsigned extra = extra_depth(ret->type);
    if (is_key)
        return extra == 0 ? EVENT_KEY : walk_fail(walk, "a map's key is not a scalar, so JSON has no form for it; use str");
    if (walk->depth + extra > TRANSCODE_DEPTH_MAX)
        return walk_fail(walk, "arrays and maps are nested too deeply for JSON; make the value flatter");
    if (ret->type != MSGPACK_ARRAY && ret->type != MSGPACK_MAP)
        return EVENT_SCALAR;
    bool is_map = ret->type == MSGPACK_MAP;
    walk->levels[++walk->depth] = (struct level){.left = (uint64_t)ret->count * (is_map ? 2 : 1), .is_map = is_map};
    return EVENT_OPEN;
}

static void walk_print(struct walk *walk, struct buf *out, enum event event, const struct msgpack_token *token)
{
    bool is_map = walk->levels[walk->depth].is_map;
    if (event == EVENT_CLOSE) {
        buf_add_byte(out, is_map ? '}' : ']');
        walk->depth--;
        walk->needs_comma = true;
        return;
    }
    if (walk->needs_comma)
        buf_add_byte(out, ',');
    walk->needs_comma = event == EVENT_SCALAR;
    if (event == EVENT_OPEN) {
        buf_add_byte(out, is_map ? '{' : '[');
    } else if (event == EVENT_KEY) {
        add_key(out, token);
        buf_add_byte(out, ':');
    } else {
        add_scalar(out, token);
    }
}

int transcode_to_json(struct buf *out, struct bytes msgpack, const char **ret_problem)
{
    struct walk walk;
    struct msgpack_token token;
    size_t before = out->length;
    int r;
    walk_init(&walk, msgpack);
    while ((r = walk_next(&walk, &token)) > EVENT_END)
        walk_print(&walk, out, (enum event)r, &token);
    if (r == 0)
        r = buf_status(out);
    if (r < 0)
        out->length = before;
    if (ret_problem)
        *ret_problem = walk.scan.problem ? walk.scan.problem : "out of memory";
    return r;
}

int transcode_check(struct bytes msgpack, const char **ret_problem)
{
    struct walk walk;
    struct msgpack_token token;
    int r;
    walk_init(&walk, msgpack);
    while ((r = walk_next(&walk, &token)) > EVENT_END)
        if (r == EVENT_CLOSE)
            walk.depth--;
    if (r < 0 && ret_problem)
        *ret_problem = walk.scan.problem;
    return r;
}

/*
 * Transcode: JSON from MessagePack. See transcode.h.
 */
#include "lib/transcode.h"

#include "lib/json.h"
#include "lib/msgpack.h"
#include "lib/text.h"

#include <endian.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { TIMESTAMP = -1 };

/* The shortest of the usual two spellings that reads back as the same number. */
static void add_real(struct buf *out, double real)
{
    char text[40];
    if (!isfinite(real)) {
        buf_add_text(out, "null");
        return;
    }
    snprintf(text, sizeof(text), "%.15g", real);
    if (strtod(text, NULL) != real)
        snprintf(text, sizeof(text), "%.17g", real);
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
        buf_add_format(out, "%llu", (unsigned long long)token->number);
        break;
    case MSGPACK_INT:
        buf_add_format(out, "%lld", (long long)token->negative);
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

/* A scalar key in quotes; -EBADMSG for bin, ext and containers. */
static int add_key(struct buf *out, const struct msgpack_token *token)
{
    switch (token->type) {
    case MSGPACK_STR:
        json_add_quoted(out, token->content);
        return 0;
    case MSGPACK_NIL:
    case MSGPACK_BOOL:
    case MSGPACK_UINT:
    case MSGPACK_INT:
    case MSGPACK_DOUBLE:
        buf_add_byte(out, '"');
        add_scalar(out, token);
        buf_add_byte(out, '"');
        return 0;
    default:
        return -EBADMSG;
    }
}

struct frame {
    uint64_t left;              /* values still to come; in a map keys and values count */
    bool is_map, is_first;
};

static void separate(struct buf *out, struct frame *frame, bool is_value)
{
    if (is_value)
        buf_add_byte(out, ':');
    else if (!frame->is_first)
        buf_add_byte(out, ',');
    frame->is_first = false;
}

int transcode_to_json(struct buf *out, struct bytes msgpack, const char **ret_problem)
{
    struct frame frames[MSGPACK_DEPTH_MAX + 1] = {{.left = 1, .is_first = true}};
    unsigned depth = 0;
    struct msgpack_scan scan;
    size_t before = out->length;
    int r = 0;
    msgpack_scan_init(&scan, msgpack);

    while (r == 0 && (depth || frames[0].left)) {
        struct frame *frame = &frames[depth];
        if (frame->left == 0) {
            buf_add_byte(out, frame->is_map ? '}' : ']');
            depth--;
            continue;
        }
        struct msgpack_token token;
        bool is_key = frame->is_map && frame->left % 2 == 0;
        r = msgpack_next_token(&scan, &token);
        if (r < 0)
            break;
        separate(out, frame, frame->is_map && !is_key);
        frame->left--;
        bool is_container = token.type == MSGPACK_ARRAY || token.type == MSGPACK_MAP;
        if (is_key) {
            r = add_key(out, &token);
            scan.problem = r < 0 ? "a map's key is not a scalar" : NULL;
        } else if (!is_container) {
            add_scalar(out, &token);
        } else if (depth == MSGPACK_DEPTH_MAX) {
            scan.problem = "arrays and maps are nested too deeply; make the value flatter";
            r = -EBADMSG;
        } else {
            bool is_map = token.type == MSGPACK_MAP;
            buf_add_byte(out, is_map ? '{' : '[');
            frames[++depth] = (struct frame){.left = (uint64_t)token.count * (is_map ? 2 : 1), .is_map = is_map, .is_first = true};
        }
    }
    if (r == 0 && scan.at != scan.end) {
        scan.problem = "more bytes follow the value";
        r = -EBADMSG;
    }
    if (r == 0)
        r = buf_status(out);
    if (r < 0)
        out->length = before;
    if (ret_problem)
        *ret_problem = scan.problem ? scan.problem : "out of memory";
    return r;
}

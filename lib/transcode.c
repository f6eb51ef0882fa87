/*
 * Transcode: MessagePack from JSON. The other way is transcode_json.c.
 *
 * Containers are written with room for their count, which shows only at their end. An object of one member named
 * "$binary" or "$ext" stands for a value that JSON has no word for; it is looked at when its bracket opens.
 */
#include "lib/transcode.h"

#include "lib/json.h"
#include "lib/msgpack.h"
#include "lib/text.h"

#include <locale.h>
#include <math.h>
#include <stdlib.h>

/*
 * What is no integer of 64 bits. strtod() alone would follow the program's locale in what a point is; the
 * C locale's object is static, so asking for it allocates nothing.
 */
static int add_real(struct buf *out, struct bytes text)
{
    char small[64];
    struct buf large = {0};
    const char *copy = small;
    if (text.length < sizeof(small)) {
        memcpy(small, text.data, text.length);
        small[text.length] = '\0';
    } else {
        buf_add_bytes(&large, text);
        copy = buf_text(&large);
    }
    locale_t plain = newlocale(LC_ALL_MASK, "C", NULL);
    if (!plain || buf_status(&large) < 0) {
        buf_done(&large);
        return -ENOMEM;
    }
    double real = strtod_l(copy, NULL, plain);
    freelocale(plain);
    buf_done(&large);
    if (isfinite(real))
        msgpack_add_double(out, real);
    else
        msgpack_add_nil(out);
    return 0;
}

static int add_number(struct buf *out, struct bytes text)
{
    bool is_negative = text.data[0] == '-';
    struct bytes digits = is_negative ? bytes_of(text.data + 1, text.length - 1) : text;
    uint64_t value;
    /* "-0" becomes a float64, which alone can say it. */
    if (text_parse_uint(digits, &value) == 0 && (!is_negative || (value != 0 && value <= UINT64_C(1) << 63))) {
        /* Negated as an unsigned number: -2^63 has no positive twin. */
        if (is_negative)
            msgpack_add_int(out, (int64_t)(0 - value));
        else
            msgpack_add_uint(out, value);
        return 0;
    }
    return add_real(out, text);
}

static int add_string(struct buf *out, struct bytes token)
{
    struct buf scratch = {0};
    struct bytes text;
    int r = json_string(token, &scratch, &text);
    if (r == 0)
        msgpack_add_string(out, text);
    buf_done(&scratch);
    return r;
}

static int add_scalar(struct buf *out, struct bytes token)
{
    switch (json_type(token)) {
    case JSON_NULL:
        msgpack_add_nil(out);
        return 0;
    case JSON_TRUE:
    case JSON_FALSE:
        msgpack_add_bool(out, json_type(token) == JSON_TRUE);
        return 0;
    case JSON_STRING:
        return add_string(out, token);
    default:
        return add_number(out, token);
    }
}

static bool read_base64(struct bytes token, struct buf *ret)
{
    struct buf scratch = {0};
    struct bytes text;
    bool is_base64 = json_type(token) == JSON_STRING && json_string(token, &scratch, &text) == 0
        && text_base64_decode(ret, text) == 0;
    buf_done(&scratch);
    return is_base64;
}

static bool read_ext(struct bytes array, int8_t *ret_type, struct buf *ret)
{
    struct json_scan scan;
    struct bytes type, content, more;
    json_scan_init(&scan, array);
    if (json_enter(&scan, '[') < 0 || json_next_element(&scan, 1, &type) != 1
        || json_next_element(&scan, 1, &content) != 1 || json_next_element(&scan, 1, &more) != 0)
        return false;
    bool is_negative = type.data[0] == '-';
    uint64_t number;
    if (text_parse_uint(is_negative ? bytes_of(type.data + 1, type.length - 1) : type, &number) < 0
        || number > (is_negative ? 128u : 127u))
        return false;
    *ret_type = (int8_t)(is_negative ? -(int)number : (int)number);
    return read_base64(content, ret);
}

/* An object that begins here: is it one of the two stand-ins? Then it is written and passed over. */
static bool add_stand_in(struct buf *out, struct json_scan *scan, const unsigned char *start)
{
    struct json_scan look;
    struct bytes key, value, more;
    struct buf content = {0};
    int8_t type;
    json_scan_init(&look, bytes_of(start, (size_t)(scan->end - start)));
    if (json_enter(&look, '{') < 0 || look.at == look.end)
        return false;
    /* Only a first key with a dollar sign, maybe an escaped one, is worth a look. */
    const unsigned char *at = look.at;
    while (at < look.end && *at <= ' ')
        at++;
    if (look.end - at < 2 || at[0] != '"' || (at[1] != '$' && at[1] != '\\'))
        return false;
    if (json_next_member(&look, 2, &key, &value) != 1 || json_next_member(&look, 2, &more, &more) != 0)
        return false;
    bool is_one = true;
    if (json_string_is(key, "$binary") && read_base64(value, &content))
        msgpack_add_bin(out, buf_bytes(&content));
    else if (json_string_is(key, "$ext") && json_type(value) == JSON_ARRAY && read_ext(value, &type, &content))
        msgpack_add_ext(out, type, buf_bytes(&content));
    else
        is_one = false;
    buf_done(&content);
    if (is_one)
        scan->at = look.at;
    return is_one;
}

struct frame {
    size_t head;
    uint32_t count;
    bool is_object;
};

static void close_frame(struct buf *out, const struct frame *frame)
{
    if (frame->is_object)
        msgpack_end_map(out, frame->head, frame->count);
    else
        msgpack_end_array(out, frame->head, frame->count);
}

/* One event of the walk. 0, -EBADMSG, -ENOMEM. */
static int add_event(struct buf *out, struct json_scan *scan, struct json_walk *walk, int event, struct bytes token,
                     struct frame *frames)
{
    struct frame *frame = &frames[walk->depth];
    switch (event) {
    case JSON_KEY:
        return add_string(out, token);
    case JSON_SCALAR:
        frame->count++;
        return add_scalar(out, token);
    case JSON_OPEN:
        frames[walk->depth - 1].count++;
        if (token.data[0] == '{' && add_stand_in(out, scan, token.data)) {
            walk->depth--;
            walk->objects >>= 1;
            walk->want = JSON_WANT_REST;
            return 0;
        }
        *frame = (struct frame){.head = msgpack_begin(out), .is_object = token.data[0] == '{'};
        return 0;
    default:
        close_frame(out, &frames[walk->depth + 1]);
        return 0;
    }
}

int transcode_to_msgpack(struct buf *out, struct bytes json, const char **ret_problem)
{
    struct frame frames[JSON_DEPTH_MAX + 2] = {0};
    struct json_scan scan;
    struct json_walk walk = json_walk(JSON_DEPTH_MAX);
    struct bytes token;
    size_t before = out->length;
    json_scan_init(&scan, json);

    int event, r = 0;
    while (r == 0 && (event = json_walk_next(&scan, &walk, &token)) != JSON_END)
        r = event < 0 ? event : add_event(out, &scan, &walk, event, token, frames);
    if (r == 0)
        r = json_finish(&scan);
    if (r == 0)
        r = buf_status(out);
    if (r < 0)
        out->length = before;
    if (ret_problem)
        *ret_problem = scan.problem ? scan.problem : "out of memory";
    return r;
}

/*
 * JSON values: what can be read off a slice that the reader has validated.
 */
#include "lib/json.h"
#include "lib/text.h"

enum json_type json_type(struct bytes value)
{
    switch (value.length ? value.data[0] : 'n') {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
        return JSON_TRUE;
    case 'f':
        return JSON_FALSE;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

static uint32_t json_hex(const unsigned char *at)
{
    uint32_t value = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned char lower = at[i] | 0x20;
        value = value << 4 | (uint32_t)(lower >= 'a' ? lower - 'a' + 10 : at[i] - '0');
    }
    return value;
}

/* `at` stands behind the backslash; returns where to go on. */
static const unsigned char *json_decode_escape(const unsigned char *at, struct buf *out)
{
    static const char letters[] = "bfnrt", bytes[] = "\b\f\n\r\t";
    if (*at != 'u') {
        const char *found = strchr(letters, *at);
        buf_add_byte(out, found ? (unsigned char)bytes[found - letters] : *at);
        return at + 1;
    }
    uint32_t code_point = json_hex(at + 1);
    at += 5;
    if (code_point >= 0xd800 && code_point < 0xdc00) {
        code_point = 0x10000 + ((code_point - 0xd800) << 10) + (json_hex(at + 2) - 0xdc00);
        at += 6;
    }
    text_add_code_point(out, code_point);
    return at;
}

int json_string(struct bytes value, struct buf *scratch, struct bytes *ret_text)
{
    if (json_type(value) != JSON_STRING)
        return -EBADMSG;
    const unsigned char *at = value.data + 1, *end = value.data + value.length - 1;
    if (!memchr(at, '\\', (size_t)(end - at))) {
        *ret_text = bytes_of(at, (size_t)(end - at));
        return 0;
    }
    size_t before = scratch->length;
    while (at < end) {
        const unsigned char *escape = memchr(at, '\\', (size_t)(end - at));
        buf_add(scratch, at, (size_t)((escape ? escape : end) - at));
        at = escape ? json_decode_escape(escape + 1, scratch) : end;
    }
    if (buf_status(scratch) < 0)
        return -ENOMEM;
    *ret_text = bytes_of(scratch->data + before, scratch->length - before);
    return 0;
}

bool json_string_is(struct bytes value, const char *text)
{
    struct buf scratch = {0};
    struct bytes content;
    bool is_same = json_string(value, &scratch, &content) == 0 && bytes_is(content, text);
    buf_done(&scratch);
    return is_same;
}

int json_uint(struct bytes value, uint64_t *ret_value)
{
    return text_parse_uint(value, ret_value);
}

int json_bool(struct bytes value, bool *ret_value)
{
    enum json_type type = json_type(value);
    if (value.length == 0 || (type != JSON_TRUE && type != JSON_FALSE))
        return -EBADMSG;
    *ret_value = type == JSON_TRUE;
    return 0;
}

struct bytes json_member(struct bytes object, const char *name)
{
    struct json_scan scan;
    struct bytes key, value;
    if (object.length == 0 || json_type(object) != JSON_OBJECT)
        return (struct bytes){0};
    json_scan_init(&scan, object);
    int r = json_enter(&scan, '{');
    while (r == 0 && json_next_member(&scan, JSON_DEPTH_MAX, &key, &value) == 1)
        if (json_string_is(key, name))
            return value;
    return (struct bytes){0};
}

/* Its names, decoded, one behind the other in `names`; `ends` says where each ends. */
static int json_has_name(const struct buf *names, const size_t *ends, size_t count, struct bytes name)
{
    for (size_t i = 0; i < count; i++) {
        size_t start = i ? ends[i - 1] : 0;
        struct bytes other = ends[i] > start ? bytes_of(names->data + start, ends[i] - start) : (struct bytes){0};
        if (bytes_equal(other, name))
            return true;
    }
    return false;
}

int json_check_members(struct bytes object, size_t member_max)
{
    struct json_scan scan;
    struct bytes key, value, name;
    struct buf names = {0}, decoded = {0};
    size_t ends[JSON_MEMBERS_MAX], count = 0;
    assert(member_max <= JSON_MEMBERS_MAX);
    json_scan_init(&scan, object);
    int r = json_enter(&scan, '{');
    while (r == 0 && (r = json_next_member(&scan, JSON_DEPTH_MAX, &key, &value)) == 1) {
        buf_clear(&decoded);
        r = json_string(key, &decoded, &name);
        if (r == 0 && count == member_max)
            r = -E2BIG;
        else if (r == 0 && json_has_name(&names, ends, count, name))
            r = -EEXIST;
        if (r == 0) {
            buf_add_bytes(&names, name);
            ends[count++] = names.length;
            r = buf_status(&names);
        }
    }
    buf_done(&names);
    buf_done(&decoded);
    return r;
}

void json_add_compact(struct buf *out, struct bytes value)
{
    struct json_scan scan;
    struct json_walk walk = json_walk(JSON_DEPTH_MAX);
    struct bytes token;
    bool needs_comma = false;
    int event;
    json_scan_init(&scan, value);
    while ((event = json_walk_next(&scan, &walk, &token)) > JSON_END) {
        if (needs_comma && event != JSON_CLOSE)
            buf_add_byte(out, ',');
        buf_add_bytes(out, token);
        if (event == JSON_KEY)
            buf_add_byte(out, ':');
        needs_comma = event == JSON_SCALAR || event == JSON_CLOSE;
    }
}

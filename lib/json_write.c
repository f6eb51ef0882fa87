/*
 * JSON, the writer: see json.h.
 */
#include "lib/json.h"
#include "lib/json_plain.h"
#include "lib/text.h"


static void json_separate(struct json_writer *writer)
{
    if (writer->needs_comma)
        buf_add_byte(writer->out, ',');
    writer->needs_comma = true;
}

static void json_open(struct json_writer *writer, char bracket)
{
    json_separate(writer);
    buf_add_byte(writer->out, (unsigned char)bracket);
    writer->needs_comma = false;
    writer->depth++;
}

static void json_close(struct json_writer *writer, char bracket)
{
    assert(writer->depth > 0);
    buf_add_byte(writer->out, (unsigned char)bracket);
    writer->needs_comma = true;
    writer->depth--;
}

void json_begin_object(struct json_writer *writer)
{
    json_open(writer, '{');
}

void json_end_object(struct json_writer *writer)
{
    json_close(writer, '}');
}

void json_begin_array(struct json_writer *writer)
{
    json_open(writer, '[');
}

void json_end_array(struct json_writer *writer)
{
    json_close(writer, ']');
}

void json_key(struct json_writer *writer, const char *key)
{
    size_t length = strlen(key);
    unsigned char *at = buf_room(writer->out, length + sizeof(",\"\":"));
    if (!at)
        return;
    const unsigned char *start = at;
    if (writer->needs_comma)
        *at++ = ',';
    *at++ = '"';
    memcpy(at, key, length);
    memcpy(at + length, "\":", 2);
    writer->out->length += (size_t)(at - start) + length + 2;
    writer->needs_comma = false;
}

static void json_add_escape(struct buf *out, unsigned char byte)
{
    static const char bytes[] = "\b\f\n\r\t\"\\", letters[] = "bfnrt\"\\";
    const char *found = byte ? strchr(bytes, byte) : NULL;
    if (found) {
        buf_add_byte(out, '\\');
        buf_add_byte(out, (unsigned char)letters[found - bytes]);
    } else {
        buf_add_format(out, "\\u%04x", byte);
    }
}

void json_add_quoted(struct buf *out, struct bytes text)
{
    const unsigned char *at = text.data, *end = text.length ? at + text.length : at;
    uint64_t high = 0;
    buf_add_byte(out, '"');
    while (at < end) {
        const unsigned char *stop = json_plain_end(at, end, &high);
        buf_add(out, at, (size_t)(stop - at));
        at = stop;
        if (at < end)
            json_add_escape(out, *at++);
    }
    buf_add_byte(out, '"');
}

/* The text with each byte that is no UTF-8 replaced by U+FFFD. */
static void json_add_repaired(struct buf *out, struct bytes text)
{
    struct buf repaired = {0};
    for (size_t i = 0; i < text.length;) {
        uint32_t state = UTF8_ACCEPT;
        size_t length = 0;
        do
            state = utf8_feed(state, bytes_of(text.data + i + length++, 1));
        while (state != UTF8_ACCEPT && state != UTF8_REJECT && i + length < text.length);
        if (state == UTF8_ACCEPT) {
            buf_add(&repaired, text.data + i, length);
            i += length;
        } else {
            text_add_code_point(&repaired, 0xfffd);
            i++;
        }
    }
    json_add_quoted(out, buf_bytes(&repaired));
    buf_done(&repaired);
}

/* ASCII that needs no escape, as most is. False: there is something else in it. */
static bool json_add_plain(struct buf *out, struct bytes text)
{
    uint64_t high = 0;
    const unsigned char *end = text.length ? text.data + text.length : text.data;
    unsigned char *room;
    if (json_plain_end(text.data, end, &high) != end || high)
        return false;
    room = buf_room(out, text.length + 2);
    if (room) {
        room[0] = room[text.length + 1] = '"';
        if (text.length)
            memcpy(room + 1, text.data, text.length);
        out->length += text.length + 2;
    }
    return true;
}

void json_add_string(struct json_writer *writer, struct bytes text)
{
    json_separate(writer);
    if (json_add_plain(writer->out, text))
        return;
    if (utf8_is_valid(text))
        json_add_quoted(writer->out, text);
    else
        json_add_repaired(writer->out, text);
}

void json_add_text(struct json_writer *writer, const char *text)
{
    if (text)
        json_add_string(writer, bytes_text(text));
    else
        json_add_null(writer);
}

void json_add_uint(struct json_writer *writer, uint64_t value)
{
    json_separate(writer);
    buf_add_decimal(writer->out, value);
}

void json_add_int(struct json_writer *writer, int64_t value)
{
    json_separate(writer);
    if (value < 0)
        buf_add_byte(writer->out, '-');
    /* Negated as an unsigned number: -2^63 has no positive twin. */
    buf_add_decimal(writer->out, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

void json_add_bool(struct json_writer *writer, bool value)
{
    json_separate(writer);
    buf_add_text(writer->out, value ? "true" : "false");
}

void json_add_null(struct json_writer *writer)
{
    json_separate(writer);
    buf_add_text(writer->out, "null");
}

void json_add_raw(struct json_writer *writer, struct bytes value)
{
    json_separate(writer);
    buf_add_bytes(writer->out, value.length ? value : BYTES("null"));
}

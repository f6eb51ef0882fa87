/*
 * HTTP response: see http_response.h.
 */
#include "lib/client/http_response.h"

#include "lib/client/error.h"
#include "lib/text.h"

#include <strings.h>

enum { CHUNK_LINE_MAX = 4096, STATUS_LINE = 12 };

void http_reader_init(struct http_reader *reader)
{
    *reader = (struct http_reader){0};
}

void http_reader_done(struct http_reader *reader)
{
    buf_done(&reader->line);
    buf_done(&reader->head);
    http_reader_init(reader);
}

static enum decode http_bad(struct rtc_error *error, const char *problem)
{
    error_set(error, RTC_BAD_ANSWER, "the answer is no proper HTTP: %s", problem);
    return DECODE_BAD;
}

static bool is_word(struct bytes text)
{
    static const char word[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.length; i++)
        if (!text.data[i] || !strchr(word, text.data[i]))
            return false;
    return text.length != 0;
}

static struct bytes trim(struct bytes text)
{
    while (text.length && (*text.data == ' ' || *text.data == '\t')) {
        text.data++;
        text.length--;
    }
    while (text.length && (text.data[text.length - 1] == ' ' || text.data[text.length - 1] == '\t'))
        text.length--;
    return text;
}

/* The next line without its CRLF. false: none is left. */
static bool next_line(struct bytes *rest, struct bytes *ret)
{
    const unsigned char *end = rest->length ? memmem(rest->data, rest->length, "\r\n", 2) : NULL;
    if (!end)
        return false;
    *ret = bytes_of(rest->data, (size_t)(end - rest->data));
    *rest = bytes_of(end + 2, rest->length - ret->length - 2);
    return true;
}

static bool split_field(struct bytes line, struct bytes *ret_name, struct bytes *ret_value)
{
    const unsigned char *colon = line.length ? memchr(line.data, ':', line.length) : NULL;
    if (!colon)
        return false;
    *ret_name = bytes_of(line.data, (size_t)(colon - line.data));
    *ret_value = trim(bytes_of(colon + 1, line.length - ret_name->length - 1));
    return is_word(*ret_name);
}

static bool is_named(struct bytes name, const char *text)
{
    return name.length == strlen(text) && strncasecmp((const char *)name.data, text, name.length) == 0;
}

static bool is_value(struct bytes value, const char *text)
{
    return is_named(value, text);
}

struct bytes http_reader_field(const struct http_reader *reader, const char *wanted)
{
    struct bytes rest = buf_bytes(&reader->head), line, name, value;
    if (!next_line(&rest, &line))
        return (struct bytes){0};
    while (next_line(&rest, &line))
        if (split_field(line, &name, &value) && is_named(name, wanted))
            return value;
    return (struct bytes){0};
}

/* "HTTP/1.1 200 OK" */
static bool read_status(struct http_reader *reader, struct bytes line, bool *ret_is_1_1)
{
    bool is_1_1 = line.length >= STATUS_LINE && memcmp(line.data, "HTTP/1.1 ", 9) == 0;
    bool is_1_0 = line.length >= STATUS_LINE && memcmp(line.data, "HTTP/1.0 ", 9) == 0;
    uint64_t status;
    if ((!is_1_1 && !is_1_0) || (line.length > STATUS_LINE && line.data[STATUS_LINE] != ' '))
        return false;
    if (text_parse_uint(bytes_of(line.data + 9, 3), &status) < 0 || status < 100)
        return false;
    reader->status = (unsigned)status;
    *ret_is_1_1 = is_1_1;
    return true;
}

struct framing { bool has_length, is_chunked, closes, stays; uint64_t length; };

static enum decode read_field(struct bytes name, struct bytes value, struct framing *ret, struct rtc_error *error)
{
    uint64_t length;
    for (size_t i = 0; i < value.length; i++)
        if ((value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f)
            return http_bad(error, "a field has a control character");
    if (is_named(name, "content-length")) {
        if (text_parse_uint(value, &length) < 0 || (ret->has_length && length != ret->length))
            return http_bad(error, "Content-Length is no number, or two");
        ret->has_length = true;
        ret->length = length;
    } else if (is_named(name, "transfer-encoding")) {
        if (!is_value(value, "chunked") || ret->is_chunked)
            return http_bad(error, "a transfer coding other than chunked is used");
        ret->is_chunked = true;
    } else if (is_named(name, "connection")) {
        ret->closes |= is_value(value, "close");
        ret->stays |= is_value(value, "keep-alive");
    }
    return DECODE_DONE;
}

/* A whole head: what kind of body follows? */
static enum decode read_head(struct http_reader *reader, struct rtc_error *error)
{
    struct bytes rest = buf_bytes(&reader->head), line, name, value;
    struct framing framing = {0};
    bool is_1_1;
    if (!next_line(&rest, &line) || !read_status(reader, line, &is_1_1))
        return http_bad(error, "it does not begin with HTTP/1.1 and a status");
    while (next_line(&rest, &line) && line.length) {
        if (!split_field(line, &name, &value))
            return http_bad(error, "a field has no name");
        if (read_field(name, value, &framing, error) != DECODE_DONE)
            return DECODE_BAD;
    }
    if (framing.has_length && framing.is_chunked)
        return http_bad(error, "it has both a length and chunks");
    reader->can_stay = !framing.closes && (is_1_1 || framing.stays);
    reader->left = framing.length;
    if (reader->status < 200 || reader->status == 204 || reader->status == 304)
        reader->state = HTTP_AT_END;
    else if (framing.is_chunked)
        reader->state = HTTP_IN_CHUNK_SIZE;
    else if (framing.has_length)
        reader->state = framing.length ? HTTP_IN_LENGTH : HTTP_AT_END;
    else
        reader->state = HTTP_IN_REST;
    if (reader->state == HTTP_IN_REST)
        reader->can_stay = false;
    return DECODE_DONE;
}

/* Gathers up to and with `end`: DONE, MORE, or BAD when it is longer than `max`. */
static enum decode gather(struct buf *line, struct bytes input, const char *end, size_t max, size_t *ret_used, struct rtc_error *error)
{
    size_t size = strlen(end), before = line->length, back = MIN(before, size - 1);
    buf_add_bytes(line, input);
    if (buf_status(line) < 0) {
        error_no_memory(error);
        return DECODE_BAD;
    }
    const unsigned char *found = memmem(line->data + before - back, line->length - before + back, end, size);
    size_t length = found ? (size_t)(found - line->data) + size : line->length;
    if (length > max)
        return http_bad(error, "a head or line has no end");
    *ret_used = length - before;
    line->length = length;
    return found ? DECODE_DONE : DECODE_MORE;
}

static enum decode take_head(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event, struct rtc_error *error)
{
    static const char start[] = "HTTP/1.";
    size_t known = MIN(reader->line.length + input.length, sizeof(start) - 1), old = MIN(reader->line.length, known);
    /* What is no HTTP may never send an empty line: it is known at its first byte. */
    if ((old && memcmp(reader->line.data, start, old) != 0) || (known > old && memcmp(input.data, start + old, known - old) != 0))
        return http_bad(error, "it does not begin with HTTP/1.1 and a status");
    enum decode result = gather(&reader->line, input, "\r\n\r\n", HTTP_HEAD_MAX, ret_used, error);
    if (result != DECODE_DONE)
        return result;
    buf_done(&reader->head);
    reader->head = reader->line;
    reader->line = (struct buf){0};
    if (read_head(reader, error) != DECODE_DONE)
        return DECODE_BAD;
    if (reader->status < 200 && reader->status != 101) {
        reader->state = HTTP_IN_HEAD;
        return DECODE_MORE;
    }
    *ret_event = HTTP_EVENT_HEAD;
    return DECODE_DONE;
}

static enum decode take_chunk_size(struct http_reader *reader, struct rtc_error *error)
{
    static const char digits[] = "0123456789abcdef";
    struct bytes line = buf_bytes(&reader->line);
    uint64_t size = 0;
    size_t i = 0;
    for (const char *digit; i < line.length && line.data[i] && (digit = strchr(digits, line.data[i] | 0x20)) && line.data[i] > ' '; i++) {
        if (size >> 56)
            return http_bad(error, "a chunk is too large");
        size = size << 4 | (uint64_t)(digit - digits);
    }
    if (i == 0 || (line.data[i] != '\r' && line.data[i] != ';' && line.data[i] != ' ' && line.data[i] != '\t'))
        return http_bad(error, "a chunk has no size");
    buf_clear(&reader->line);
    reader->left = size;
    reader->state = size ? HTTP_IN_CHUNK : HTTP_IN_TRAILER;
    return DECODE_DONE;
}

/* A line of chunked coding has been gathered. DONE: on with the next state. */
static enum decode take_line(struct http_reader *reader, struct rtc_error *error)
{
    size_t length = reader->line.length;
    if (reader->state == HTTP_IN_CHUNK_SIZE)
        return take_chunk_size(reader, error);
    if (reader->state == HTTP_IN_CHUNK_END && length != 2)
        return http_bad(error, "a chunk is longer than it says");
    if (reader->state == HTTP_IN_CHUNK_END)
        reader->state = HTTP_IN_CHUNK_SIZE;
    else if (length == 2)
        reader->state = HTTP_AT_END;
    buf_clear(&reader->line);
    return DECODE_DONE;
}

static enum decode take_body(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event, struct bytes *ret_body)
{
    size_t taken = reader->state == HTTP_IN_REST ? input.length : (size_t)MIN(reader->left, (uint64_t)input.length);
    if (taken == 0)
        return DECODE_MORE;
    *ret_body = bytes_of(input.data, taken);
    *ret_event = HTTP_EVENT_BODY;
    *ret_used = taken;
    if (reader->state == HTTP_IN_REST)
        return DECODE_DONE;
    reader->left -= taken;
    if (reader->left == 0)
        reader->state = reader->state == HTTP_IN_CHUNK ? HTTP_IN_CHUNK_END : HTTP_AT_END;
    return DECODE_DONE;
}

enum decode http_read(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event, struct bytes *ret_body,
                      struct rtc_error *error)
{
    *ret_used = 0;
    *ret_body = (struct bytes){0};
    for (;;) {
        struct bytes rest = bytes_of(input.data + *ret_used, input.length - *ret_used);
        size_t used = 0;
        enum decode result;
        if (reader->state == HTTP_AT_END) {
            *ret_event = HTTP_EVENT_END;
            return DECODE_DONE;
        }
        if (rest.length == 0)
            return DECODE_MORE;
        if (reader->state == HTTP_IN_LENGTH || reader->state == HTTP_IN_CHUNK || reader->state == HTTP_IN_REST) {
            result = take_body(reader, rest, &used, ret_event, ret_body);
            *ret_used += used;
            return result;
        }
        if (reader->state == HTTP_IN_HEAD) {
            result = take_head(reader, rest, &used, ret_event, error);
            *ret_used += used;
            if (result == DECODE_MORE && reader->line.length == 0)
                continue;               /* an interim answer was passed over */
            return result;
        }
        result = gather(&reader->line, rest, "\r\n", CHUNK_LINE_MAX, &used, error);
        *ret_used += used;
        if (result == DECODE_DONE)
            result = take_line(reader, error);
        if (result != DECODE_DONE)
            return result;
    }
}

bool http_reader_ends_at_close(const struct http_reader *reader)
{
    return reader->state == HTTP_IN_REST || reader->state == HTTP_AT_END;
}

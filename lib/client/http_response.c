/*
 * HTTP response: see http_response.h.
 */
#include "lib/client/http_response.h"

#include "lib/client/error.h"
#include "lib/text.h"

#include <strings.h>

enum { STATUS_LINE = 12 };              /* "HTTP/1.1 200" */

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

/* In a list such as "keep-alive, Upgrade". */
static bool has_word(struct bytes list, const char *word)
{
    while (list.length) {
        const unsigned char *comma = memchr(list.data, ',', list.length);
        size_t length = comma ? (size_t)(comma - list.data) : list.length, used = comma ? length + 1 : length;
        if (is_named(trim(bytes_of(list.data, length)), word))
            return true;
        list = bytes_of(list.data + used, list.length - used);
    }
    return false;
}

static bool has_control(struct bytes text)
{
    for (size_t i = 0; i < text.length; i++)
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 0x7f)
            return true;
    return false;
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
    if ((!is_1_1 && !is_1_0) || (line.length > STATUS_LINE && line.data[STATUS_LINE] != ' ') || has_control(line))
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
    if (has_control(value))
        return http_bad(error, "a field has a control character");
    if (is_named(name, "content-length")) {
        if (text_parse_uint(value, &length) < 0 || (ret->has_length && length != ret->length))
            return http_bad(error, "Content-Length is no number, or two");
        ret->has_length = true;
        ret->length = length;
    } else if (is_named(name, "transfer-encoding")) {
        if (!is_named(value, "chunked") || ret->is_chunked)
            return http_bad(error, "a transfer coding other than chunked is used");
        ret->is_chunked = true;
    } else if (is_named(name, "connection")) {
        ret->closes |= has_word(value, "close");
        ret->stays |= has_word(value, "keep-alive");
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
    /* HTTP/1.0 knows no chunks: whoever is between may see the end elsewhere (RFC 9112 section 6.1). */
    reader->can_stay = !framing.closes && (is_1_1 || (framing.stays && !framing.is_chunked));
    reader->left = framing.length;
    http_chunked_init(&reader->chunked, UINT64_MAX);    /* who reads it knows how much is too much */
    if (reader->status < 200 || reader->status == 204 || reader->status == 304)
        reader->state = HTTP_AT_END;
    else if (framing.is_chunked)
        reader->state = HTTP_IN_CHUNKS;
    else if (framing.has_length)
        reader->state = framing.length ? HTTP_IN_LENGTH : HTTP_AT_END;
    else
        reader->state = HTTP_IN_REST;
    if (reader->state == HTTP_IN_REST)
        reader->can_stay = false;
    return DECODE_DONE;
}

/* Gathers a head up to its empty line, and nothing beyond it. */
static enum decode gather(struct buf *head, struct bytes input, size_t *ret_used, struct rtc_error *error)
{
    static const char end[] = "\r\n\r\n";
    const size_t size = sizeof(end) - 1;
    for (*ret_used = 0; *ret_used < input.length;) {
        const unsigned char *from = input.data + *ret_used;
        size_t left = input.length - *ret_used;
        const unsigned char *feed = memchr(from, '\n', left);
        size_t length = feed ? (size_t)(feed - from) + 1 : left;
        if (length > HTTP_HEAD_MAX - head->length)
            return http_bad(error, "its head has more than 64 KiB");
        buf_add(head, from, length);
        if (buf_status(head) < 0) {
            error_no_memory(error);
            return DECODE_BAD;
        }
        *ret_used += length;
        if (feed && head->length >= size && memcmp(head->data + head->length - size, end, size) == 0)
            return DECODE_DONE;
    }
    return DECODE_MORE;
}

static enum decode take_head(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event, struct rtc_error *error)
{
    static const char start[] = "HTTP/1.";
    size_t known = MIN(reader->line.length + input.length, sizeof(start) - 1), old = MIN(reader->line.length, known);
    /* What is no HTTP may never send an empty line: it is known at its first byte. */
    if ((old && memcmp(reader->line.data, start, old) != 0) || (known > old && memcmp(input.data, start + old, known - old) != 0))
        return http_bad(error, "it does not begin with HTTP/1.1 and a status");
    enum decode result = gather(&reader->line, input, ret_used, error);
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

static enum decode take_chunks(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event,
                               struct bytes *ret_body, struct rtc_error *error)
{
    struct fault fault = {0};
    buf_clear(&reader->line);
    enum decode result = http_chunked_read(&reader->chunked, input, ret_used, &reader->line, &fault);
    if (result == DECODE_BAD)
        return http_bad(error, fault_message(&fault));
    if (buf_status(&reader->line) < 0) {
        error_no_memory(error);
        return DECODE_BAD;
    }
    if (result == DECODE_DONE)
        reader->state = HTTP_AT_END;
    *ret_event = reader->line.length ? HTTP_EVENT_BODY : HTTP_EVENT_END;
    *ret_body = buf_bytes(&reader->line);
    return result == DECODE_DONE || reader->line.length ? DECODE_DONE : DECODE_MORE;
}

/* With a length, or until the peer closes. */
static enum decode take_plain(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event, struct bytes *ret_body)
{
    size_t taken = reader->state == HTTP_IN_REST ? input.length : (size_t)MIN(reader->left, (uint64_t)input.length);
    *ret_body = bytes_of(input.data, taken);
    *ret_event = HTTP_EVENT_BODY;
    *ret_used = taken;
    if (reader->state == HTTP_IN_LENGTH && (reader->left -= taken) == 0)
        reader->state = HTTP_AT_END;
    return DECODE_DONE;
}

enum decode http_read(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event, struct bytes *ret_body,
                      struct rtc_error *error)
{
    enum decode result = DECODE_MORE;
    *ret_used = 0;
    *ret_body = (struct bytes){0};
    if (reader->state == HTTP_AT_END) {
        *ret_event = HTTP_EVENT_END;
        return DECODE_DONE;
    }
    /* Again where an interim answer was passed over. */
    while (reader->state == HTTP_IN_HEAD && *ret_used < input.length && result == DECODE_MORE) {
        size_t used = 0;
        result = take_head(reader, bytes_of(input.data + *ret_used, input.length - *ret_used), &used, ret_event, error);
        *ret_used += used;
    }
    if (result != DECODE_MORE || input.length == 0 || reader->state == HTTP_IN_HEAD)
        return result;
    return reader->state == HTTP_IN_CHUNKS ? take_chunks(reader, input, ret_used, ret_event, ret_body, error)
                                           : take_plain(reader, input, ret_used, ret_event, ret_body);
}

bool http_reader_ends_at_close(const struct http_reader *reader)
{
    return reader->state == HTTP_IN_REST || reader->state == HTTP_AT_END;
}

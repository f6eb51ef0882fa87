/*
 * HTTP chunked bodies (RFC 9112 section 7.1): a state machine over bytes, so that it may be fed in any pieces.
 */
#include "lib/http_chunked.h"

enum {
    SIZE,                       /* hex digits */
    EXTENSION,                  /* up to CR */
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER_START,              /* first byte of a trailer line, or CR of the last line */
    TRAILER,
    TRAILER_LF,
    LAST_LF,
    OVER,
};

enum { EXTENSION_MAX = 256, TRAILER_MAX = 4096, DIGITS_MAX = 16 };

void http_chunked_init(struct http_chunked *chunked, uint64_t body_bytes_max)
{
    *chunked = (struct http_chunked){.body_bytes_max = body_bytes_max, .state = SIZE};
}

static int hex_digit(unsigned char byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

static enum decode take_size(struct http_chunked *chunked, unsigned char byte, struct fault *fault)
{
    int digit = hex_digit(byte);
    if (digit >= 0) {
        if (++chunked->digits > DIGITS_MAX || chunked->chunk_left >> 60)
            return fault_set(fault, FAULT_BAD_REQUEST, "a chunk's size has too many digits");
        chunked->chunk_left = chunked->chunk_left << 4 | (uint64_t)digit;
        return DECODE_MORE;
    }
    if (chunked->digits == 0)
        return fault_set(fault, FAULT_BAD_REQUEST, "a chunk does not begin with its size");
    if (chunked->chunk_left > chunked->body_bytes_max - chunked->body_bytes)
        return fault_set(fault, FAULT_TOO_LARGE, "a body may have %llu bytes", (unsigned long long)chunked->body_bytes_max);
    chunked->line_bytes = 0;
    if (byte == '\r')
        chunked->state = SIZE_LF;
    else if (byte == ';' || byte == ' ' || byte == '\t')
        chunked->state = EXTENSION;
    else
        return fault_set(fault, FAULT_BAD_REQUEST, "a chunk's size is not a hexadecimal number");
    return DECODE_MORE;
}

static enum decode take_extension(struct http_chunked *chunked, unsigned char byte, struct fault *fault)
{
    if (byte == '\r')
        chunked->state = SIZE_LF;
    else if ((byte < ' ' && byte != '\t') || byte == 0x7f || ++chunked->line_bytes > EXTENSION_MAX)
        return fault_set(fault, FAULT_BAD_REQUEST, "a chunk extension is too long or has a control byte");
    return DECODE_MORE;
}

static enum decode take_trailer(struct http_chunked *chunked, unsigned char byte, struct fault *fault)
{
    if (chunked->state == TRAILER_START && byte == '\r')
        chunked->state = LAST_LF;
    else if (byte == '\r')
        chunked->state = TRAILER_LF;
    else if ((byte < ' ' && byte != '\t') || byte == 0x7f || ++chunked->trailer_bytes > TRAILER_MAX)
        return fault_set(fault, FAULT_BAD_REQUEST, "the trailer is too long or has a control byte");
    else
        chunked->state = TRAILER;
    return DECODE_MORE;
}

static enum decode take_line_end(struct http_chunked *chunked, unsigned char byte, struct fault *fault)
{
    static const struct { unsigned char byte, next; } ends[] = {
        [SIZE_LF] = {'\n', DATA}, [DATA_CR] = {'\r', DATA_LF}, [DATA_LF] = {'\n', SIZE},
        [TRAILER_LF] = {'\n', TRAILER_START}, [LAST_LF] = {'\n', OVER},
    };
    if (byte != ends[chunked->state].byte)
        return fault_set(fault, FAULT_BAD_REQUEST, "a line of the chunked body does not end in CR LF");
    bool is_size_line = chunked->state == SIZE_LF;
    chunked->state = ends[chunked->state].next;
    if (is_size_line && chunked->chunk_left == 0)
        chunked->state = TRAILER_START;
    if (chunked->state == SIZE)
        chunked->digits = 0;
    return chunked->state == OVER ? DECODE_DONE : DECODE_MORE;
}

static enum decode take_byte(struct http_chunked *chunked, unsigned char byte, struct fault *fault)
{
    switch (chunked->state) {
    case SIZE:
        return take_size(chunked, byte, fault);
    case EXTENSION:
        return take_extension(chunked, byte, fault);
    case TRAILER_START:
    case TRAILER:
        return take_trailer(chunked, byte, fault);
    default:
        return take_line_end(chunked, byte, fault);
    }
}

enum decode http_chunked_read(struct http_chunked *chunked, struct bytes input, size_t *ret_consumed,
                              struct buf *body, struct fault *fault)
{
    size_t at = 0;
    enum decode result = DECODE_MORE;
    while (at < input.length && result == DECODE_MORE) {
        if (chunked->state != DATA) {
            result = take_byte(chunked, input.data[at++], fault);
            continue;
        }
        size_t part = (size_t)MIN(chunked->chunk_left, (uint64_t)(input.length - at));
        buf_add(body, input.data + at, part);
        chunked->body_bytes += part;
        chunked->chunk_left -= part;
        at += part;
        if (chunked->chunk_left == 0)
            chunked->state = DATA_CR;
    }
    *ret_consumed = at;
    return result;
}

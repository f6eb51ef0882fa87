/*
 * Buf: a growable byte buffer, and `struct bytes`, a borrowed view of somebody else's bytes.
 * A buf is embedded and owned by what embeds it. All-zero is a valid empty buf.
 */
#pragma once

#include "lib/base.h"

#include <string.h>

struct bytes {
    const unsigned char *data;
    size_t length;
};

#define BYTES(literal) ((struct bytes){(const unsigned char *)("" literal), sizeof(literal) - 1})

static inline struct bytes bytes_of(const void *data, size_t length)
{
    return (struct bytes){data, length};
}

static inline struct bytes bytes_text(const char *text)
{
    return (struct bytes){(const unsigned char *)text, strlen(text)};
}

static inline bool bytes_equal(struct bytes a, struct bytes b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.data, b.data, a.length) == 0);
}

static inline bool bytes_is(struct bytes bytes, const char *text)
{
    return bytes_equal(bytes, bytes_text(text));
}

struct buf {
    unsigned char *data;
    size_t length;
    size_t capacity;
    bool failed;            /* an allocation failed; everything added since was dropped */
};

/*
 * Adding never needs a check of its own: after a failed allocation the buf is marked `failed`
 * and stays as it was. Whoever hands the finished buf on asks buf_status() once.
 */
void buf_done(struct buf *buf);                                   /* frees; leaves a valid empty buf */
static inline void buf_clear(struct buf *buf) { buf->length = 0; buf->failed = false; }
unsigned char *buf_room(struct buf *buf, size_t room);            /* NULL: out of memory; length unchanged */
void buf_add_grown(struct buf *buf, const void *data, size_t length);
/* The usual case needs no call: short pieces are most of what is added. */
static inline void buf_add(struct buf *buf, const void *data, size_t length)
{
    if (length == 0 || length > buf->capacity - buf->length || buf->failed) {
        buf_add_grown(buf, data, length);
        return;
    }
    memcpy(buf->data + buf->length, data, length);
    buf->length += length;
}
/* Of a literal the length is known when compiling. */
static inline void buf_add_text(struct buf *buf, const char *text) { buf_add(buf, text, strlen(text)); }
void buf_add_decimal(struct buf *buf, uint64_t value);
void buf_add_format(struct buf *buf, const char *format, ...) PRINTF_LIKE(2, 3);
void buf_consume(struct buf *buf, size_t length);                 /* drops bytes from the front */
static inline void buf_add_bytes(struct buf *buf, struct bytes bytes) { buf_add(buf, bytes.data, bytes.length); }
static inline void buf_add_byte(struct buf *buf, unsigned char byte) { buf_add(buf, &byte, 1); }
static inline struct bytes buf_bytes(const struct buf *buf) { return bytes_of(buf->data, buf->length); }
static inline int buf_status(const struct buf *buf) { return buf->failed ? -ENOMEM : 0; }
/* For who cannot add what belongs here: what is there is not to be used. */
static inline void buf_fail(struct buf *buf) { buf->failed = true; }
const char *buf_text(struct buf *buf);                            /* NUL-terminated view; "" when out of memory */

/*
 * Buf: see buf.h. Grows by half; one allocation, moved as it grows.
 */
#include "lib/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { SMALLEST_CAPACITY = 64 };

void buf_done(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){0};
}

unsigned char *buf_room(struct buf *buf, size_t room)
{
    if (buf->failed)
        return NULL;
    if (buf->capacity - buf->length >= room && buf->data)
        return buf->data + buf->length;

    size_t wanted;
    if (__builtin_add_overflow(buf->length, room, &wanted) || wanted > SIZE_MAX / 2) {
        buf->failed = true;
        return NULL;
    }
    size_t capacity = MAX(MAX(wanted, buf->capacity + buf->capacity / 2), (size_t)SMALLEST_CAPACITY);
    unsigned char *data = realloc(buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return NULL;
    }
    buf->data = data;
    buf->capacity = capacity;
    return data + buf->length;
}

void buf_add_grown(struct buf *buf, const void *data, size_t length)
{
    if (length == 0)
        return;
    unsigned char *room = buf_room(buf, length);
    if (!room)
        return;
    memcpy(room, data, length);
    buf->length += length;
}

void buf_add_decimal(struct buf *buf, uint64_t value)
{
    unsigned char digits[20], *at = digits + sizeof(digits);
    do
        *--at = (unsigned char)('0' + value % 10);
    while (value /= 10);
    buf_add(buf, at, (size_t)(digits + sizeof(digits) - at));
}

void buf_add_format(struct buf *buf, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length <= 0)
        return;

    unsigned char *room = buf_room(buf, (size_t)length + 1);
    if (!room)
        return;
    va_start(arguments, format);
    vsnprintf((char *)room, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buf->length += (size_t)length;
}

void buf_consume(struct buf *buf, size_t length)
{
    assert(length <= buf->length);
    buf->length -= length;
    if (buf->length && length)
        memmove(buf->data, buf->data + length, buf->length);
}

const char *buf_text(struct buf *buf)
{
    unsigned char *room = buf_room(buf, 1);
    if (!room)
        return "";
    *room = '\0';
    return (const char *)buf->data;
}

/*
 * Packer: see packer.h.
 */
#include "lib/packer.h"

#include <stdlib.h>
#include <zlib.h>

enum {
    FORM_RAW = -15, FORM_GZIP = 15 + 16,    /* the largest window, in zlib's words for the two forms */
    MEMORY_LEVEL = 8,
    FLUSH_BYTES = 4,                        /* 00 00 ff ff, which ends a flush and is left out of a message (RFC 7692 section 7.2.1) */
    GZIP_TRAILER = 8,
    STEP_MIN = 1024, STEP_MAX = 32 * 1024,
    AT_BLOCK_END = 128,                     /* in z_stream.data_type, once inflate() has returned */
};

struct packer {
    z_stream down, up;                      /* compresses, and the other way */
    unsigned level;                         /* of `down`; 0: it has no memory yet */
    int form;                               /* of `up`; 0: it has no memory yet */
};

struct packer *packer_new(void)
{
    return calloc(1, sizeof(struct packer));
}

void packer_free(struct packer *packer)
{
    if (!packer)
        return;
    if (packer->level)
        deflateEnd(&packer->down);
    if (packer->form)
        inflateEnd(&packer->up);
    free(packer);
}

static int down_begin(struct packer *packer, unsigned level)
{
    assert(level >= 1 && level <= 9);
    if (packer->level == level)
        return deflateReset(&packer->down) == Z_OK ? 0 : -ENOMEM;
    if (packer->level)
        deflateEnd(&packer->down);
    packer->level = 0;
    packer->down = (z_stream){0};
    if (deflateInit2(&packer->down, (int)level, Z_DEFLATED, FORM_RAW, MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK)
        return -ENOMEM;
    packer->level = level;
    return 0;
}

/* All of it in one call, behind what is in `out`; there may be up to `size` bytes of it. */
static int down_add(struct packer *packer, unsigned level, struct bytes text, size_t size, int flush, struct buf *out)
{
    z_stream *stream = &packer->down;
    /* One more, since a stream that has used up its room may have more to say. */
    unsigned char *room = buf_room(out, size + 1);
    if (!room || down_begin(packer, level) < 0)
        return -ENOMEM;
    stream->next_in = (unsigned char *)text.data;
    stream->avail_in = (uInt)text.length;
    stream->next_out = room;
    stream->avail_out = (uInt)size + 1;
    deflate(stream, flush);
    if (stream->avail_in || stream->avail_out == 0)
        return -E2BIG;
    out->length += size + 1 - stream->avail_out;
    return 0;
}

int packer_add_message(struct packer *packer, unsigned level, struct bytes text, size_t length_max, struct buf *out)
{
    int r = down_add(packer, level, text, length_max + FLUSH_BYTES, Z_SYNC_FLUSH, out);
    if (r < 0)
        return r;
    out->length -= FLUSH_BYTES;
    assert(memcmp(out->data + out->length, "\0\0\xff\xff", FLUSH_BYTES) == 0);
    return 0;
}

static void add_little_endian(struct buf *out, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        buf_add_byte(out, (unsigned char)(value >> (8 * i)));
}

int packer_add_gzip(struct packer *packer, unsigned level, struct bytes text, size_t length_max, struct buf *out)
{
    static const unsigned char header[10] = {0x1f, 0x8b, 8, [9] = 255};     /* no name, no time, no system */
    size_t before = out->length;
    if (length_max < sizeof(header) + GZIP_TRAILER)
        return -E2BIG;
    buf_add(out, header, sizeof(header));
    int r = down_add(packer, level, text, length_max - sizeof(header) - GZIP_TRAILER, Z_FINISH, out);
    if (r == 0) {
        add_little_endian(out, (uint32_t)crc32(0, text.data, (uInt)text.length));
        add_little_endian(out, (uint32_t)text.length);
        r = buf_status(out);
    }
    if (r < 0)
        out->length = before;
    return r;
}

static int up_begin(struct packer *packer, int form)
{
    int r;
    if (packer->form == 0) {
        packer->up = (z_stream){0};
        r = inflateInit2(&packer->up, form);
    } else {
        r = packer->form == form ? inflateReset(&packer->up) : inflateReset2(&packer->up, form);
    }
    if (r != Z_OK)
        return -ENOMEM;
    packer->form = form;
    return 0;
}

/* What a step of inflate() says of the whole. */
enum up { UP_MORE, UP_END, UP_DRY, UP_FAILED };

/* One step. Room for one byte too many shows that there is one. */
static enum up up_step(z_stream *stream, size_t step, size_t left, struct buf *out, struct fault *fault)
{
    size_t size = MIN(step, left + 1);
    unsigned char *room = buf_room(out, size);
    if (!room) {
        fault_set(fault, FAULT_INTERNAL, "out of memory");
        return UP_FAILED;
    }
    stream->next_out = room;
    stream->avail_out = (uInt)size;
    int r = inflate(stream, Z_SYNC_FLUSH);
    size_t got = size - stream->avail_out;
    out->length += MIN(got, left);
    if (got > left)
        fault_set(fault, FAULT_TOO_LARGE, "what is compressed is too large");
    else if (r == Z_MEM_ERROR)
        fault_set(fault, FAULT_INTERNAL, "out of memory");
    else if (r != Z_OK && r != Z_BUF_ERROR && r != Z_STREAM_END)
        fault_set(fault, FAULT_BAD_COMPRESSION, "compressed data is malformed: %s", stream->msg ? stream->msg : "not what was announced");
    else if (r == Z_STREAM_END)
        return UP_END;
    else
        /* Between two blocks nothing is held back; and to ask again would make zlib forget that it stands there. */
        return stream->avail_out || (stream->avail_in == 0 && (stream->data_type & AT_BLOCK_END)) ? UP_DRY : UP_MORE;
    return UP_FAILED;
}

/*
 * A stream may end before the bytes do: then another follows, which remembers nothing of it (of gzip: a further member, RFC 1952
 * section 2.2; of a message: blocks behind a final one, of which RFC 7692 section 7.2.3.5 has an example). *ret_ended: nothing stands
 * behind the last end.
 */
static enum decode up_read(struct packer *packer, int form, struct bytes packed, size_t length_max, struct buf *out, bool *ret_ended,
                           struct fault *fault)
{
    *ret_ended = false;
    size_t start = out->length, step = MIN(MAX(packed.length * 4, (size_t)STEP_MIN), (size_t)STEP_MAX);
    z_stream *stream = &packer->up;
    if (up_begin(packer, form) < 0)
        return fault_set(fault, FAULT_INTERNAL, "out of memory");
    stream->next_in = (unsigned char *)packed.data;
    stream->avail_in = (uInt)packed.length;
    for (;;) {
        switch (up_step(stream, step, length_max - (out->length - start), out, fault)) {
        case UP_FAILED:
            return DECODE_BAD;
        case UP_DRY:
            return DECODE_DONE;
        case UP_END:
            *ret_ended = stream->avail_in == 0;
            if (*ret_ended)
                return DECODE_DONE;
            inflateReset(stream);
            break;
        case UP_MORE:
            break;
        }
    }
}

/* Nothing was cut off: it waits for the bytes that were left out, or for a further block. */
static bool message_is_whole(z_stream *stream)
{
    return inflateSyncPoint(stream) == 1 || (stream->data_type & AT_BLOCK_END);
}

enum decode packer_read_message(struct packer *packer, struct bytes packed, size_t length_max, struct buf *out, struct fault *fault)
{
    bool has_ended;
    if (packed.length == 0)
        return DECODE_DONE;
    enum decode result = up_read(packer, FORM_RAW, packed, length_max, out, &has_ended, fault);
    if (result == DECODE_DONE && !has_ended && !message_is_whole(&packer->up))
        return fault_set(fault, FAULT_BAD_COMPRESSION, "compressed data is cut off");
    return result;
}

enum decode packer_read_gzip(struct packer *packer, struct bytes packed, size_t length_max, struct buf *out, struct fault *fault)
{
    bool has_ended;
    enum decode result = up_read(packer, FORM_GZIP, packed, length_max, out, &has_ended, fault);
    if (result == DECODE_DONE && !has_ended)
        return fault_set(fault, FAULT_BAD_COMPRESSION, "compressed data is cut off");
    return result;
}

const char *packer_library_version(void)
{
    return zlibVersion();
}

uint32_t packer_crc32(struct bytes text)
{
    return (uint32_t)crc32_z(0, text.data, text.length);
}

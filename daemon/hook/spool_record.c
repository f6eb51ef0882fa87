/*
 * Spool record: see spool_record.h.
 */
#include "daemon/hook/spool_record.h"

#include "lib/packer.h"

enum { END_BYTES = 1 + 8, EVENT_BYTES = SPOOL_EVENT_BYTES };

static uint64_t read_number(const unsigned char *at, unsigned bytes)
{
    uint64_t number = 0;
    while (bytes-- > 0)
        number = number << 8 | at[bytes];
    return number;
}

static void write_number(unsigned char *at, unsigned bytes, uint64_t number)
{
    for (unsigned i = 0; i < bytes; i++)
        at[i] = (unsigned char)(number >> 8 * i);
}

static bool body_read(struct bytes body, struct spool_record *ret)
{
    *ret = (struct spool_record){.kind = (enum spool_kind)body.data[0], .number = read_number(body.data + 1, 8)};
    if (ret->kind == SPOOL_END)
        return body.length == END_BYTES;
    if (ret->kind != SPOOL_EVENT || body.length < EVENT_BYTES)
        return false;
    size_t name_length = body.data[EVENT_BYTES - 1];
    if (name_length > body.length - EVENT_BYTES)
        return false;
    ret->time_ms = read_number(body.data + END_BYTES, 8);
    ret->name = bytes_of(body.data + EVENT_BYTES, name_length);
    ret->json = bytes_of(body.data + EVENT_BYTES + name_length, body.length - EVENT_BYTES - name_length);
    return true;
}

enum decode spool_record_take(struct bytes *text, struct spool_record *ret)
{
    if (text->length < SPOOL_HEAD_BYTES)
        return DECODE_MORE;
    size_t length = read_number(text->data, 4);
    if (length < END_BYTES || length > SPOOL_BODY_MAX)
        return DECODE_BAD;
    if (text->length - SPOOL_HEAD_BYTES < length)
        return DECODE_MORE;
    struct bytes body = bytes_of(text->data + SPOOL_HEAD_BYTES, length);
    if (packer_crc32(body) != read_number(text->data + 4, 4) || !body_read(body, ret))
        return DECODE_BAD;
    *text = bytes_of(body.data + length, text->length - SPOOL_HEAD_BYTES - length);
    return DECODE_DONE;
}

void spool_record_add(struct buf *out, const struct spool_record *record)
{
    unsigned char fields[EVENT_BYTES];
    bool is_event = record->kind == SPOOL_EVENT;
    size_t length = is_event ? EVENT_BYTES + record->name.length + record->json.length : END_BYTES;
    assert(record->name.length <= UINT8_MAX && length <= SPOOL_BODY_MAX);
    unsigned char *room = buf_room(out, SPOOL_HEAD_BYTES + length);
    if (!room) {
        buf_fail(out);
        return;
    }
    size_t start = out->length;
    fields[0] = (unsigned char)record->kind;
    write_number(fields + 1, 8, record->number);
    write_number(fields + END_BYTES, 8, record->time_ms);
    fields[EVENT_BYTES - 1] = (unsigned char)record->name.length;
    out->length += SPOOL_HEAD_BYTES;
    buf_add(out, fields, is_event ? EVENT_BYTES : END_BYTES);
    if (is_event) {
        buf_add_bytes(out, record->name);
        buf_add_bytes(out, record->json);
    }
    write_number(out->data + start, 4, length);
    write_number(out->data + start + 4, 4, packer_crc32(bytes_of(out->data + start + SPOOL_HEAD_BYTES, length)));
}

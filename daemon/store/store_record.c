/*
 * Store record: see store_record.h. Numbers are little endian, and each text has its length before it.
 */
#include "daemon/store/store_record.h"

#include "daemon/config/config.h"
#include "daemon/core/message.h"
#include "lib/table.h"

enum { GROUP_FORMAT = 1, MESSAGE_FORMAT = 1, SUM_BYTES = 8 };
enum { FLAG_LATEST = 1, FLAG_LOST = 2 };

static void add_number(struct buf *out, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        buf_add_byte(out, (unsigned char)(value >> (8 * i)));
}

static void add_text(struct buf *out, struct bytes text)
{
    add_number(out, text.length, 4);
    buf_add_bytes(out, text);
}

/* It finds what breaks by itself, not what somebody forges. */
static uint64_t sum_of(struct bytes bytes)
{
    static const struct table_seed seed = {{0x7274636468697374, 0x6f72792d73756d31}};
    return table_seed_hash(&seed, bytes);
}

void store_seal(struct buf *record, size_t start)
{
    struct bytes text = record->length > start ? bytes_of(record->data + start, record->length - start) : (struct bytes){0};
    if (buf_status(record) == 0)
        add_number(record, sum_of(text), SUM_BYTES);
}

struct reader {
    struct bytes left;
    bool has_failed;
};

static uint64_t read_number(struct reader *reader, unsigned bytes)
{
    uint64_t value = 0;
    if (reader->left.length < bytes) {
        reader->has_failed = true;
        reader->left.length = 0;
        return 0;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)reader->left.data[i] << (8 * i);
    reader->left = bytes_of(reader->left.data + bytes, reader->left.length - bytes);
    return value;
}

static struct bytes read_text(struct reader *reader, size_t max)
{
    size_t length = (size_t)read_number(reader, 4);
    if (length > reader->left.length || length > max) {
        reader->has_failed = true;
        reader->left.length = 0;
        return (struct bytes){0};
    }
    struct bytes text = bytes_of(reader->left.data, length);
    reader->left = bytes_of(reader->left.data + length, reader->left.length - length);
    return text;
}

/* Checks the sum and takes it off. */
static struct reader reader_of(struct bytes record)
{
    struct reader reader = {.left = record};
    struct reader sum = {.left = record};
    if (record.length < SUM_BYTES) {
        reader.has_failed = true;
        reader.left.length = 0;
        return reader;
    }
    reader.left.length -= SUM_BYTES;
    sum.left = bytes_of(record.data + reader.left.length, SUM_BYTES);
    reader.has_failed = read_number(&sum, SUM_BYTES) != sum_of(reader.left);
    return reader;
}

static bool reader_is_over(const struct reader *reader)
{
    return !reader->has_failed && reader->left.length == 0;
}

void store_write_group(const struct store_group_record *group, struct buf *out)
{
    const struct history_state *state = &group->state;
    size_t start = out->length;
    add_number(out, GROUP_FORMAT, 1);
    add_number(out, group->id, 8);
    add_number(out, (state->keeps_latest ? FLAG_LATEST : 0) | (state->has_lost_values ? FLAG_LOST : 0), 1);
    add_text(out, bytes_of(state->epoch, HISTORY_EPOCH_TEXT));
    add_number(out, state->offset, 8);
    add_number(out, state->forgotten, 8);
    add_number(out, state->covered_from, 8);
    add_number(out, state->gap_count, 1);
    for (uint32_t i = 0; i < state->gap_count; i++) {
        add_number(out, state->gaps[i].from, 8);
        add_number(out, state->gaps[i].to, 8);
    }
    store_seal(out, start);
}

int store_read_group(struct bytes record, struct store_group_record *ret)
{
    struct reader reader = reader_of(record);
    struct history_state *state = &ret->state;
    *ret = (struct store_group_record){0};
    if (read_number(&reader, 1) != GROUP_FORMAT)
        return -EBADMSG;
    ret->id = read_number(&reader, 8);
    uint64_t flags = read_number(&reader, 1);
    if (flags & ~(uint64_t)(FLAG_LATEST | FLAG_LOST))
        return -EBADMSG;
    state->keeps_latest = flags & FLAG_LATEST;
    state->has_lost_values = flags & FLAG_LOST;
    struct bytes epoch = read_text(&reader, HISTORY_EPOCH_TEXT);
    if (epoch.length != HISTORY_EPOCH_TEXT)
        return -EBADMSG;
    memcpy(state->epoch, epoch.data, HISTORY_EPOCH_TEXT);
    state->offset = read_number(&reader, 8);
    state->forgotten = read_number(&reader, 8);
    state->covered_from = read_number(&reader, 8);
    state->gap_count = (uint32_t)read_number(&reader, 1);
    if (state->gap_count > HISTORY_GAPS_MAX)
        return -EBADMSG;
    for (uint32_t i = 0; i < state->gap_count; i++) {
        state->gaps[i].from = read_number(&reader, 8);
        state->gaps[i].to = read_number(&reader, 8);
    }
    return reader_is_over(&reader) ? 0 : -EBADMSG;
}

void store_write_message(const struct message *message, uint64_t at_ms, struct buf *out)
{
    const struct envelope *envelope = &message->envelope;
    size_t start = out->length;
    add_number(out, MESSAGE_FORMAT, 1);
    add_number(out, message->slow, 1);
    add_number(out, envelope->data_codec, 1);
    add_number(out, at_ms, 8);
    add_text(out, envelope->event_name);
    add_text(out, envelope->key);
    add_text(out, envelope->from_connection);
    add_text(out, envelope->from_user);
    add_text(out, envelope->data);
    store_seal(out, start);
}

int store_read_message(struct bytes record, struct bytes group, uint64_t offset, struct message **ret, uint64_t *ret_at_ms)
{
    struct reader reader = reader_of(record);
    struct envelope envelope = {.group = group, .offset = offset};
    if (read_number(&reader, 1) != MESSAGE_FORMAT)
        return -EBADMSG;
    uint64_t slow = read_number(&reader, 1), codec = read_number(&reader, 1);
    *ret_at_ms = read_number(&reader, 8);
    envelope.event_name = read_text(&reader, EVENT_NAME_MAX);
    envelope.key = read_text(&reader, KEY_MAX_BYTES);
    envelope.from_connection = read_text(&reader, NAME_MAX_BYTES);
    envelope.from_user = read_text(&reader, NAME_MAX_BYTES);
    envelope.data = read_text(&reader, UINT32_MAX);
    if (!reader_is_over(&reader) || codec >= CODEC_COUNT || slow > SLOW_LATEST || envelope.event_name.length == 0)
        return -EBADMSG;
    envelope.data_codec = (enum codec_id)codec;
    *ret = message_new(&envelope);
    if (!*ret)
        return -ENOMEM;
    message_set_slow(*ret, (enum config_slow)slow);
    return 0;
}

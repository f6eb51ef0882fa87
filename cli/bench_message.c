/*
 * Bench message: see bench_message.h.
 */
#include "cli/bench_message.h"

#include "lib/json.h"
#include "lib/msgpack.h"

static const char event_name[] = "rtcctl.bench";

static void put_hex(unsigned char *at, unsigned digits, uint64_t value)
{
    while (digits) {
        at[--digits] = (unsigned char)"0123456789abcdef"[value & 15];
        value >>= 4;
    }
}

/* What stands behind the mark is put_hex()'s. Whoever forges it gets some number, which the caller can bear. */
static uint64_t take_hex(const unsigned char **at, unsigned digits)
{
    uint64_t value = 0;
    for (; digits; digits--, (*at)++)
        value = value << 4 | ((**at & 15u) + (**at >> 6) * 9u);
    return value;
}

static void add_envelope(struct buf *out, const char *group, struct bytes data, bool is_msgpack)
{
    if (is_msgpack) {
        msgpack_add_map(out, 3);
        msgpack_add_text(out, "eventName");
        msgpack_add_text(out, event_name);
        msgpack_add_text(out, "to");
        msgpack_add_map(out, 1);
        msgpack_add_text(out, "group");
        msgpack_add_text(out, group);
        msgpack_add_text(out, "data");
        msgpack_add_string(out, data);
        return;
    }
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_text(&json, event_name);
    json_key(&json, "to");
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_text(&json, group);
    json_end_object(&json);
    json_key(&json, "data");
    json_add_string(&json, data);
    json_end_object(&json);
}

int bench_message_init(struct bench_message *message, const unsigned char mark_bytes[static BENCH_MARK / 2],
                       const char *group, size_t data_bytes, bool is_msgpack)
{
    struct buf data = {0};
    *message = (struct bench_message){0};
    for (unsigned i = 0; i < BENCH_MARK / 2; i++)
        put_hex((unsigned char *)message->mark + 2 * i, 2, mark_bytes[i]);
    buf_add_text(&data, message->mark);
    for (size_t i = data.length; i < data_bytes; i++)
        buf_add_byte(&data, (unsigned char)('a' + i % 26));
    if (buf_status(&data) == 0)
        add_envelope(&message->envelope, group, buf_bytes(&data), is_msgpack);
    else
        message->envelope.failed = true;
    buf_done(&data);
    if (message->envelope.failed)
        return -ENOMEM;
    const unsigned char *at = memmem(message->envelope.data, message->envelope.length, message->mark, BENCH_MARK);
    assert(at);
    message->mark_at = (size_t)(at - message->envelope.data);
    return 0;
}

void bench_message_done(struct bench_message *message)
{
    buf_done(&message->envelope);
}

struct bytes bench_message_stamp(struct bench_message *message, const struct bench_stamp *stamp)
{
    unsigned char *at = message->envelope.data + message->mark_at + BENCH_MARK;
    put_hex(at, BENCH_PUBLISHER_DIGITS, stamp->publisher);
    put_hex(at + BENCH_PUBLISHER_DIGITS, BENCH_NUMBER_DIGITS, stamp->number);
    put_hex(at + BENCH_PUBLISHER_DIGITS + BENCH_NUMBER_DIGITS, BENCH_TIME_DIGITS, stamp->due_ns);
    return buf_bytes(&message->envelope);
}

bool bench_message_find(struct bench_message *message, struct bytes delivered, struct bench_stamp *ret)
{
    const unsigned char *at = delivered.data + message->found_at;
    if (delivered.length < message->found_at + BENCH_MESSAGE_BYTES || memcmp(at, message->mark, BENCH_MARK) != 0)
        at = memmem(delivered.data, delivered.length, message->mark, BENCH_MARK);
    if (!at || (size_t)(delivered.data + delivered.length - at) < BENCH_MESSAGE_BYTES)
        return false;
    message->found_at = (size_t)(at - delivered.data);
    at += BENCH_MARK;
    ret->publisher = take_hex(&at, BENCH_PUBLISHER_DIGITS);
    ret->number = take_hex(&at, BENCH_NUMBER_DIGITS);
    ret->due_ns = take_hex(&at, BENCH_TIME_DIGITS);
    return true;
}

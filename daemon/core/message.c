/*
 * Message: see message.h. Encodings are made on demand by whichever worker needs one first; when two make the same
 * one at once, the later is thrown away.
 */
#include "daemon/core/message.h"

#include "daemon/config/config.h"
#include "daemon/core/metrics.h"
#include "daemon/core/trace.h"
#include "lib/json.h"
#include "lib/packer.h"

#include <stdlib.h>

/* What a queued message costs beside its name and data. */
enum { MESSAGE_FIXED_CHARGE = 64 };

static struct bytes message_copy(unsigned char **at, struct bytes bytes)
{
    struct bytes copy = bytes_of(*at, bytes.length);
    if (bytes.length)
        memcpy(*at, bytes.data, bytes.length);
    *at += bytes.length;
    return copy;
}

struct message *message_new(const struct envelope *envelope)
{
    size_t length = envelope->event_name.length + envelope->data.length + envelope->group.length + envelope->key.length
        + envelope->from_connection.length + envelope->from_user.length;
    struct message *message = malloc(sizeof(*message) + length);
    if (!message)
        return NULL;
    atomic_init(&message->references, 1);
    message->lost = 0;
    message->stored_by = 0;
    message->slow = SLOW_CLOSE;
    message->has_more = false;
    message->trace = NULL;
    for (size_t dialect = 0; dialect < MESSAGE_DIALECTS_MAX; dialect++)
        for (size_t codec = 0; codec < CODEC_COUNT; codec++)
            atomic_init(&message->encodings[dialect][codec], NULL);
    message->size = (uint32_t)length + MESSAGE_FIXED_CHARGE;

    unsigned char *at = (unsigned char *)(message + 1);
    message->envelope = *envelope;
    message->envelope.to = (struct target){0};
    message->envelope.event_name = message_copy(&at, envelope->event_name);
    message->envelope.data = message_copy(&at, envelope->data);
    message->envelope.group = message_copy(&at, envelope->group);
    message->envelope.key = message_copy(&at, envelope->key);
    message->envelope.from_connection = message_copy(&at, envelope->from_connection);
    message->envelope.from_user = message_copy(&at, envelope->from_user);
    return message;
}

enum { LOST_DIGITS = 10 };              /* room for a uint32_t */

struct message *message_new_gap(struct bytes group)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_string(&json, group);
    json_key(&json, "lost");
    json_add_uint(&json, UINT32_MAX);
    json_end_object(&json);
    struct envelope envelope = {.event_name = BYTES("rtc.gap"), .data = buf_bytes(&data), .data_codec = CODEC_JSON, .group = group};
    struct message *gap = buf_status(&data) == 0 ? message_new(&envelope) : NULL;
    buf_done(&data);
    if (gap) {
        message_set_slow(gap, SLOW_DROP_OLDEST);
        message_count_lost(gap, 0);
    }
    return gap;
}

static void encoding_free(struct encoding *encoding)
{
    if (!encoding)
        return;
    struct encoding *packed = atomic_load_explicit(&encoding->packed, memory_order_relaxed);
    if (packed != encoding)
        free(packed);
    free(encoding);
}

/* Nobody else has the message, so nothing is exchanged: that would cost a bus lock for each place, and most are empty. */
static void message_drop_encodings(struct message *message)
{
    for (size_t dialect = 0; dialect < MESSAGE_DIALECTS_MAX; dialect++) {
        for (size_t codec = 0; codec < CODEC_COUNT; codec++) {
            struct encoding *encoding = atomic_load_explicit(&message->encodings[dialect][codec], memory_order_relaxed);
            if (!encoding)
                continue;
            atomic_store_explicit(&message->encodings[dialect][codec], NULL, memory_order_relaxed);
            encoding_free(encoding);
        }
    }
}

void message_count_lost(struct message *gap, uint32_t more)
{
    assert(atomic_load_explicit(&gap->references, memory_order_relaxed) == 1);
    message_drop_encodings(gap);
    gap->lost += MIN(more, UINT32_MAX - gap->lost);
    /* The number is the last member, and has room for the largest. */
    unsigned char *data = (unsigned char *)gap->envelope.data.data;
    size_t at = gap->envelope.data.length;
    while (data[at - 1] != ':')
        at--;
    struct buf digits = {.data = data + at, .capacity = LOST_DIGITS + 1};
    buf_add_decimal(&digits, gap->lost);
    buf_add_byte(&digits, '}');
    assert(buf_status(&digits) == 0);
    gap->envelope.data.length = at + digits.length;
}

void message_set_slow(struct message *message, enum config_slow slow)
{
    message->slow = (uint8_t)slow;
    message->has_more = slow == SLOW_LATEST || message->trace;
}

void message_set_trace(struct message *message, struct trace *trace)
{
    message->trace = trace_ref(trace);
    message->has_more = true;
}

void message_ref_many(struct message *message, unsigned count)
{
    atomic_fetch_add_explicit(&message->references, count, memory_order_relaxed);
}

void message_unref_many(struct message *message, unsigned count)
{
    if (!message || atomic_fetch_sub_explicit(&message->references, count, memory_order_acq_rel) != count)
        return;
    message_drop_encodings(message);
    if (message->trace)
        trace_unref(message->trace);
    free(message);
}

/* *ret_is_emptied: the data has no form in the codec, and null takes its place. */
static struct encoding *encoding_new(const struct message *message, const struct dialect *dialect, enum codec_id codec, bool *ret_is_emptied)
{
    struct buf out = {0};
    size_t head = offsetof(struct encoding, bytes) + WS_SERVER_HEADER_MAX;
    if (buf_room(&out, head + message->size))
        out.length = head;

    int r = dialect->encode(&out, &message->envelope, codec);
    *ret_is_emptied = r == -EBADMSG;
    if (*ret_is_emptied) {
        /* Numbers are already promised to the members, so something must go out under this one. */
        struct envelope emptied = message->envelope;
        emptied.data = (struct bytes){0};
        out.length = head;
        r = dialect->encode(&out, &emptied, codec);
    }
    if (r < 0 || buf_status(&out) < 0) {
        buf_done(&out);
        return NULL;
    }
    struct encoding *encoding = (struct encoding *)out.data;
    atomic_init(&encoding->packed, NULL);
    encoding->length = (uint32_t)(out.length - head);
    encoding->header_length = (uint8_t)ws_header_before(encoding->bytes + WS_SERVER_HEADER_MAX,
        codecs[codec]->is_binary ? WS_BINARY : WS_TEXT, encoding->length);
    return encoding;
}

/* NULL: it would not be shorter, or there is no memory for it. */
static struct encoding *encoding_make_packed(const struct encoding *encoding, struct packer *packer, unsigned level)
{
    struct buf out = {0};
    size_t head = offsetof(struct encoding, bytes) + WS_SERVER_HEADER_MAX;
    struct bytes text = encoding_payload(encoding);
    if (buf_room(&out, head + text.length))
        out.length = head;
    if (buf_status(&out) < 0 || packer_add_message(packer, level, text, text.length - 1, &out) < 0) {
        buf_done(&out);
        return NULL;
    }
    /* It may wait for slow members for long: without the room that it did not need. */
    struct encoding *packed = realloc(out.data, out.length);
    packed = packed ? packed : (struct encoding *)out.data;
    atomic_init(&packed->packed, NULL);
    packed->length = (uint32_t)(out.length - head);
    enum ws_opcode opcode = encoding_frame(encoding).data[0] & 15;
    packed->header_length = (uint8_t)ws_header_before(packed->bytes + WS_SERVER_HEADER_MAX, opcode | WS_PACKED, packed->length);
    return packed;
}

const struct encoding *encoding_pack(struct encoding *encoding, struct packer *packer, unsigned level, size_t min_bytes)
{
    struct encoding *made = NULL, *present = NULL;
    if (packer && encoding->length && encoding->length >= min_bytes)
        made = encoding_make_packed(encoding, packer, level);
    if (!made)
        made = encoding;
    if (atomic_compare_exchange_strong(&encoding->packed, &present, made))
        return made;
    if (made != encoding)
        free(made);
    return present;
}

const struct encoding *message_encode(struct message *message, const struct dialect *dialect, enum codec_id codec, struct metrics *metrics)
{
    bool is_emptied;
    struct encoding *made = encoding_new(message, dialect, codec, &is_emptied), *present = NULL;
    if (!made)
        return NULL;
    if (atomic_compare_exchange_strong(&message->encodings[dialect->index][codec], &present, made)) {
        metrics_add(metrics, METRIC_ENVELOPES_EMPTIED, is_emptied);
        return made;
    }
    free(made);
    return present;
}

/*
 * The MessagePack codec: the same map with the same keys, keys as str (rtc-protocol(7), "MessagePack").
 */
#include "lib/envelope_read.h"
#include "lib/transcode.h"

static int msgpack_open_map(struct member_reader *reader, struct bytes map)
{
    msgpack_scan_init(&reader->msgpack, map);
    return msgpack_enter_map(&reader->msgpack, &reader->left);
}

static int msgpack_next_pair(struct member_reader *reader, struct bytes *ret_key, struct bytes *ret_value)
{
    struct bytes key;
    struct msgpack_scan *scan = &reader->msgpack;
    if (reader->left == 0) {
        if (scan->at == scan->end)
            return 0;
        scan->problem = "more bytes follow the envelope";
        return -EBADMSG;
    }
    reader->left--;
    int r = msgpack_take(scan, MSGPACK_DEPTH_MAX - 1, &key);
    if (r == 0)
        r = msgpack_take(scan, MSGPACK_DEPTH_MAX - 1, ret_value);
    if (r == 0 && msgpack_string(key, ret_key) < 0) {
        scan->problem = "the keys of an envelope are strings";
        r = -EBADMSG;
    }
    return r < 0 ? r : 1;
}

static const char *msgpack_problem(const struct member_reader *reader, size_t *ret_offset)
{
    *ret_offset = (size_t)(reader->msgpack.at - reader->msgpack.start);
    return reader->msgpack.problem;
}

static int msgpack_read_string(struct bytes value, struct buf *scratch, struct bytes *ret_text)
{
    return msgpack_string(value, ret_text);
}

static const struct value_format format = {
    .codec = CODEC_MSGPACK,
    .open = msgpack_open_map,
    .next = msgpack_next_pair,
    .problem = msgpack_problem,
    .string = msgpack_read_string,
    .uint = msgpack_uint,
    .boolean = msgpack_bool,
    .is_null = msgpack_is_nil,
};

static enum decode codec_msgpack_decode(struct bytes text, struct buf *scratch, struct envelope *ret, struct fault *fault)
{
    enum decode result = envelope_read(&format, text, scratch, ret, fault);
    if (result != DECODE_DONE || ret->data.length == 0)
        return result;
    /* Members with the other codec must be able to get it too: keys that JSON has no form for are refused here. */
    const char *problem;
    if (transcode_check(ret->data, &problem) < 0)
        return fault_set(fault, FAULT_BAD_ENVELOPE, "data: %s", problem);
    return result;
}

static uint32_t count_members(const struct envelope *envelope)
{
    return 2u + (envelope->id != 0) + (envelope->group.length != 0) + (envelope->offset != 0)
        + (envelope->key.length != 0) + (envelope->from_connection.length != 0);
}

static int add_data(struct buf *out, const struct envelope *envelope)
{
    if (envelope->data.length == 0) {
        msgpack_add_nil(out);
        return 0;
    }
    if (envelope->data_codec == CODEC_JSON)
        return transcode_to_msgpack(out, envelope->data, NULL);
    buf_add_bytes(out, envelope->data);
    return 0;
}

static int codec_msgpack_encode(struct buf *out, const struct envelope *envelope)
{
    size_t before = out->length;
    msgpack_add_map(out, count_members(envelope));
    msgpack_add_text(out, "eventName");
    msgpack_add_string(out, envelope->event_name);
    msgpack_add_text(out, envelope->is_error ? "error" : "data");
    int r = add_data(out, envelope);
    if (r < 0) {
        out->length = before;
        return r;
    }
    if (envelope->id) {
        msgpack_add_text(out, "id");
        msgpack_add_uint(out, envelope->id);
    }
    if (envelope->group.length) {
        msgpack_add_text(out, "group");
        msgpack_add_string(out, envelope->group);
    }
    if (envelope->offset) {
        msgpack_add_text(out, "offset");
        msgpack_add_uint(out, envelope->offset);
    }
    if (envelope->key.length) {
        msgpack_add_text(out, "key");
        msgpack_add_string(out, envelope->key);
    }
    if (envelope->from_connection.length) {
        msgpack_add_text(out, "from");
        msgpack_add_map(out, 1u + (envelope->from_user.length != 0));
        msgpack_add_text(out, "connectionId");
        msgpack_add_string(out, envelope->from_connection);
        if (envelope->from_user.length) {
            msgpack_add_text(out, "userId");
            msgpack_add_string(out, envelope->from_user);
        }
    }
    return buf_status(out);
}

/* One pass over a body; with `on_one` NULL it only checks and counts. */
static int walk_body(struct msgpack_scan *scan, uint32_t *ret_count, int (*on_one)(struct bytes text, void *argument),
                     void *argument)
{
    bool is_array = msgpack_is_array(bytes_of(scan->start, (size_t)(scan->end - scan->start)));
    struct bytes one;
    int r = 0;
    *ret_count = 1;
    if (is_array)
        r = msgpack_enter_array(scan, ret_count);
    for (uint32_t i = 0; r == 0 && i < *ret_count; i++) {
        r = msgpack_take(scan, MSGPACK_DEPTH_MAX, &one);
        if (r == 0 && on_one)
            r = on_one(one, argument);
    }
    if (r == 0 && scan->at != scan->end) {
        scan->problem = "more bytes follow the value";
        r = -EBADMSG;
    }
    return r;
}

static int codec_msgpack_each(struct bytes body, size_t *ret_count, int (*on_one)(struct bytes text, void *argument),
                              void *argument, struct fault *fault)
{
    struct msgpack_scan scan;
    uint32_t count;
    msgpack_scan_init(&scan, body);
    if (walk_body(&scan, &count, NULL, NULL) < 0) {
        fault_set(fault, FAULT_BAD_ENVELOPE, "at byte %zu: %s", (size_t)(scan.at - scan.start), scan.problem);
        return -EBADMSG;
    }
    if (ret_count)
        *ret_count = count;
    msgpack_scan_init(&scan, body);
    return walk_body(&scan, &count, on_one, argument);
}

extern const struct codec codec_msgpack;
const struct codec codec_msgpack = {
    .id = CODEC_MSGPACK,
    .name = "msgpack",
    .content_type = "application/msgpack",
    .is_binary = true,
    .decode = codec_msgpack_decode,
    .encode = codec_msgpack_encode,
    .each = codec_msgpack_each,
};

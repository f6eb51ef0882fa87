/*
 * The JSON codec: envelopes as JSON text (rtc-protocol(7), "Envelope").
 */
#include "lib/envelope_read.h"
#include "lib/transcode.h"

static int json_open_map(struct member_reader *reader, struct bytes map)
{
    json_scan_init(&reader->json, map);
    return json_enter(&reader->json, '{');
}

static int json_next_pair(struct member_reader *reader, struct bytes *ret_key, struct bytes *ret_value)
{
    struct bytes key;
    int r = json_next_member(&reader->json, JSON_DEPTH_MAX - 1, &key, ret_value);
    if (r == 0)
        return json_finish(&reader->json);
    if (r == 1 && json_string(key, reader->scratch, ret_key) < 0)
        return -EBADMSG;
    return r;
}

static const char *json_problem(const struct member_reader *reader, size_t *ret_offset)
{
    *ret_offset = (size_t)(reader->json.at - reader->json.start);
    return reader->json.problem;
}

static bool json_is_null(struct bytes value)
{
    return json_type(value) == JSON_NULL;
}

static const struct value_format format = {
    .codec = CODEC_JSON,
    .open = json_open_map,
    .next = json_next_pair,
    .problem = json_problem,
    .string = json_string,
    .uint = json_uint,
    .boolean = json_bool,
    .is_null = json_is_null,
};

/* In JSON, a CR or LF that is not escaped can only stand between tokens. */
static bool spans_lines(struct bytes value)
{
    return value.length && (memchr(value.data, '\n', value.length) || memchr(value.data, '\r', value.length));
}

static enum decode codec_json_decode(struct bytes text, struct buf *scratch, struct envelope *ret, struct fault *fault)
{
    enum decode result = envelope_read(&format, text, scratch, ret, fault);
    if (result == DECODE_DONE && spans_lines(ret->data)) {
        size_t before = scratch->length;
        json_add_compact(scratch, ret->data);
        ret->data = bytes_of(scratch->data + before, scratch->length - before);
    }
    return result;
}

/* The value stands on one line whatever its origin: SSE and NDJSON rely on it. */
static int add_data(struct json_writer *json, const struct envelope *envelope)
{
    struct bytes data = envelope->data;
    if (data.length == 0 || (envelope->data_codec == CODEC_JSON && !spans_lines(data))) {
        json_add_raw(json, data);
        return 0;
    }
    json->needs_comma = true;
    if (envelope->data_codec == CODEC_MSGPACK)
        return transcode_to_json(json->out, data, NULL);
    json_add_compact(json->out, data);
    return 0;
}

static int codec_json_encode(struct buf *out, const struct envelope *envelope)
{
    size_t before = out->length;
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_string(&json, envelope->event_name);
    json_key(&json, envelope->is_error ? "error" : "data");
    int r = add_data(&json, envelope);
    if (r < 0) {
        out->length = before;
        return r;
    }
    if (envelope->id) {
        json_key(&json, "id");
        json_add_uint(&json, envelope->id);
    }
    if (envelope->group.length) {
        json_key(&json, "group");
        json_add_string(&json, envelope->group);
    }
    if (envelope->offset) {
        json_key(&json, "offset");
        json_add_uint(&json, envelope->offset);
    }
    if (envelope->key.length) {
        json_key(&json, "key");
        json_add_string(&json, envelope->key);
    }
    if (envelope->from_connection.length) {
        json_key(&json, "from");
        json_begin_object(&json);
        json_key(&json, "connectionId");
        json_add_string(&json, envelope->from_connection);
        if (envelope->from_user.length) {
            json_key(&json, "userId");
            json_add_string(&json, envelope->from_user);
        }
        json_end_object(&json);
    }
    json_end_object(&json);
    return buf_status(out);
}

/* One pass over a body; with `on_one` NULL it only checks and counts. */
static int walk_body(struct json_scan *scan, size_t *ret_count, int (*on_one)(struct bytes text, void *argument),
                     void *argument)
{
    struct bytes one;
    *ret_count = 0;
    if (json_enter(scan, '[') < 0) {
        int r = json_take_all(scan, JSON_DEPTH_MAX, &one);
        *ret_count = 1;
        return r == 0 && on_one ? on_one(one, argument) : r;
    }
    int r;
    while ((r = json_next_element(scan, JSON_DEPTH_MAX, &one)) == 1) {
        ++*ret_count;
        if (on_one && (r = on_one(one, argument)) != 0)
            return r;
    }
    return r < 0 ? r : json_finish(scan);
}

static int codec_json_each(struct bytes body, size_t *ret_count, int (*on_one)(struct bytes text, void *argument),
                           void *argument, struct fault *fault)
{
    struct json_scan scan;
    size_t count;
    json_scan_init(&scan, body);
    if (walk_body(&scan, &count, NULL, NULL) < 0) {
        fault_set(fault, FAULT_BAD_ENVELOPE, "at byte %zu: %s", (size_t)(scan.at - scan.start), scan.problem);
        return -EBADMSG;
    }
    if (ret_count)
        *ret_count = count;
    json_scan_init(&scan, body);
    return walk_body(&scan, &count, on_one, argument);
}

extern const struct codec codec_json;
const struct codec codec_json = {
    .id = CODEC_JSON,
    .name = "json",
    .content_type = "application/json",
    .decode = codec_json_decode,
    .encode = codec_json_encode,
    .each = codec_json_each,
};

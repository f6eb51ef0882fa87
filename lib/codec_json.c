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

static enum decode codec_json_decode(struct bytes text, struct buf *scratch, struct envelope *ret, struct fault *fault)
{
    enum decode result = envelope_read(&format, text, scratch, ret, fault);
    bool spans_lines = memchr(ret->data.data ? ret->data.data : text.data, '\n', ret->data.length)
        || memchr(ret->data.data ? ret->data.data : text.data, '\r', ret->data.length);
    if (result == DECODE_DONE && spans_lines) {
        size_t before = scratch->length;
        json_add_compact(scratch, ret->data);
        ret->data = bytes_of(scratch->data + before, scratch->length - before);
    }
    return result;
}

static int codec_json_encode(struct buf *out, const struct envelope *envelope)
{
    size_t before = out->length;
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_string(&json, envelope->event_name);
    json_key(&json, envelope->is_error ? "error" : "data");
    if (envelope->data_codec == CODEC_JSON || envelope->data.length == 0) {
        json_add_raw(&json, envelope->data);
    } else {
        int r = transcode_to_json(out, envelope->data, NULL);
        if (r < 0) {
            out->length = before;
            return r;
        }
        json.needs_comma = true;
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

static int codec_json_each(struct bytes body, size_t *ret_count, int (*on_one)(struct bytes text, void *argument),
                           void *argument, struct fault *fault)
{
    struct json_scan scan;
    struct bytes whole, one;
    size_t count = 0;
    json_scan_init(&scan, body);
    /* One level more than an envelope may have: the array around it. */
    if (json_take_all(&scan, JSON_DEPTH_MAX, &whole) < 0) {
        fault_set(fault, FAULT_BAD_ENVELOPE, "at byte %zu: %s", (size_t)(scan.at - scan.start), scan.problem);
        return -EBADMSG;
    }
    int r = 0;
    if (json_type(whole) != JSON_ARRAY) {
        r = on_one(whole, argument);
        count = 1;
    } else {
        json_scan_init(&scan, whole);
        r = json_enter(&scan, '[');
        while (r == 0 && json_next_element(&scan, JSON_DEPTH_MAX, &one) == 1) {
            r = on_one(one, argument);
            count++;
        }
    }
    if (ret_count)
        *ret_count = count;
    return r;
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

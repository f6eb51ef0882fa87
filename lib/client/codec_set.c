/*
 * Codec set: see codec_set.h. A received envelope is read member by member, leniently: what a newer server adds is passed over.
 */
#include "lib/client/codec_set.h"

#include "lib/client/error.h"
#include "lib/envelope_read.h"
#include "lib/transcode.h"

void rtc_sink_add(struct rtc_sink *sink, const void *data, size_t length)
{
    buf_add(&sink->buf, data, length);
}

enum rtc_code codec_encode(const struct rtc_codec *codec, const struct rtc_envelope *envelope, struct buf *out)
{
    struct rtc_sink sink = {.buf = *out};
    size_t before = out->length;
    enum rtc_code code = codec->encode(envelope, &sink, codec->argument);
    *out = sink.buf;
    if (code == RTC_OK && buf_status(out) < 0)
        code = RTC_NO_MEMORY;
    if (code != RTC_OK) {
        out->length = before;
        out->failed = false;
    }
    return code;
}

static const char *const target_keys[] = {
    [RTC_TO_GROUP] = "group", [RTC_TO_USER] = "user", [RTC_TO_CONNECTION] = "connection", [RTC_TO_ALL] = "all",
};

static enum rtc_code encode_json(const struct rtc_envelope *envelope, struct rtc_sink *sink, void *argument)
{
    struct json_writer json = json_writer(&sink->buf);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_string(&json, bytes_from(envelope->event_name));
    json_key(&json, "data");
    json_add_raw(&json, (struct bytes){0});
    if (envelope->json.length && buf_status(&sink->buf) == 0) {
        sink->buf.length -= strlen("null");     /* the value itself, on one line whatever the caller's looks like */
        json_add_compact(&sink->buf, bytes_from(envelope->json));
    }
    if (envelope->to.kind != RTC_TO_SERVER) {
        json_key(&json, "to");
        json_begin_object(&json);
        json_key(&json, target_keys[envelope->to.kind]);
        if (envelope->to.kind == RTC_TO_ALL)
            json_add_bool(&json, true);
        else
            json_add_text(&json, envelope->to.name);
        if (envelope->to.except_self) {
            json_key(&json, "exceptSelf");
            json_add_bool(&json, true);
        }
        json_end_object(&json);
    }
    if (envelope->to.key) {
        json_key(&json, "key");
        json_add_text(&json, envelope->to.key);
    }
    if (envelope->id) {
        json_key(&json, "id");
        json_add_uint(&json, envelope->id);
    }
    json_end_object(&json);
    return RTC_OK;
}

static enum rtc_code encode_msgpack(const struct rtc_envelope *envelope, struct rtc_sink *sink, void *argument)
{
    struct buf *out = &sink->buf;
    bool has_target = envelope->to.kind != RTC_TO_SERVER;
    msgpack_add_map(out, 2u + has_target + (envelope->to.key != NULL) + (envelope->id != 0));
    msgpack_add_text(out, "eventName");
    msgpack_add_string(out, bytes_from(envelope->event_name));
    msgpack_add_text(out, "data");
    if (envelope->json.length == 0)
        msgpack_add_nil(out);
    else if (transcode_to_msgpack(out, bytes_from(envelope->json), NULL) == -EBADMSG)
        return RTC_BAD_ENVELOPE;
    if (has_target) {
        msgpack_add_text(out, "to");
        msgpack_add_map(out, 1u + envelope->to.except_self);
        msgpack_add_text(out, target_keys[envelope->to.kind]);
        if (envelope->to.kind == RTC_TO_ALL)
            msgpack_add_bool(out, true);
        else
            msgpack_add_text(out, envelope->to.name);
        if (envelope->to.except_self) {
            msgpack_add_text(out, "exceptSelf");
            msgpack_add_bool(out, true);
        }
    }
    if (envelope->to.key) {
        msgpack_add_text(out, "key");
        msgpack_add_text(out, envelope->to.key);
    }
    if (envelope->id) {
        msgpack_add_text(out, "id");
        msgpack_add_uint(out, envelope->id);
    }
    return RTC_OK;
}

/* Reading, once for both: a format walks a map and reads scalars. */
struct format {
    int (*open)(struct member_reader *reader, struct bytes map);
    int (*next)(struct member_reader *reader, struct bytes *ret_key, struct bytes *ret_value);
    int (*string)(struct bytes value, struct buf *scratch, struct bytes *ret_text);
    int (*uint)(struct bytes value, uint64_t *ret_value);
    /* The value as JSON: itself, or converted into `json`. */
    int (*data)(struct bytes value, struct buf *json, struct bytes *ret_json);
};

static int json_open_map(struct member_reader *reader, struct bytes map)
{
    json_scan_init(&reader->json, map);
    return json_enter(&reader->json, '{');
}

static int json_next_pair(struct member_reader *reader, struct bytes *ret_key, struct bytes *ret_value)
{
    struct bytes key;
    int r = json_next_member(&reader->json, JSON_DEPTH_MAX, &key, ret_value);
    if (r == 0)
        return json_finish(&reader->json);
    if (r == 1 && json_string(key, reader->scratch, ret_key) < 0)
        return -EBADMSG;
    return r;
}

static int json_data(struct bytes value, struct buf *json, struct bytes *ret_json)
{
    *ret_json = value;
    return 0;
}

static int msgpack_open_map(struct member_reader *reader, struct bytes map)
{
    msgpack_scan_init(&reader->msgpack, map);
    return msgpack_enter_map(&reader->msgpack, &reader->left);
}

static int msgpack_next_pair(struct member_reader *reader, struct bytes *ret_key, struct bytes *ret_value)
{
    struct bytes key;
    if (reader->left == 0)
        return reader->msgpack.at == reader->msgpack.end ? 0 : -EBADMSG;
    reader->left--;
    if (msgpack_take(&reader->msgpack, MSGPACK_DEPTH_MAX, &key) < 0 || msgpack_take(&reader->msgpack, MSGPACK_DEPTH_MAX, ret_value) < 0
        || msgpack_string(key, ret_key) < 0)
        return -EBADMSG;
    return 1;
}

static int msgpack_read_string(struct bytes value, struct buf *scratch, struct bytes *ret_text)
{
    return msgpack_string(value, ret_text);
}

static int msgpack_data(struct bytes value, struct buf *json, struct bytes *ret_json)
{
    int r = transcode_to_json(json, value, NULL);
    *ret_json = buf_bytes(json);
    return r;
}

static const struct format json_format = {json_open_map, json_next_pair, json_string, json_uint, json_data};
static const struct format msgpack_format = {msgpack_open_map, msgpack_next_pair, msgpack_read_string, msgpack_uint, msgpack_data};

static int read_text(const struct format *format, struct bytes value, struct buf *scratch, struct rtc_bytes *ret)
{
    struct bytes text;
    int r = format->string(value, scratch, &text);
    if (r == 0)
        *ret = bytes_to(text);
    return r;
}

static int read_from(const struct format *format, struct bytes map, struct buf *scratch, struct rtc_envelope *ret)
{
    struct member_reader reader = {.scratch = scratch};
    struct bytes key, value;
    int r = format->open(&reader, map);
    while (r == 0 && (r = format->next(&reader, &key, &value)) == 1) {
        r = 0;
        /* A user is null where there is none. */
        if (bytes_is(key, "connectionId"))
            r = read_text(format, value, scratch, &ret->from_connection_id);
        else if (bytes_is(key, "userId"))
            read_text(format, value, scratch, &ret->from_user_id);
    }
    return r;
}

static int read_member(const struct format *format, struct codec_scratch *scratch, struct bytes key, struct bytes value,
                       struct rtc_envelope *ret)
{
    bool is_error = bytes_is(key, "error");
    if (bytes_is(key, "data") || is_error) {
        struct bytes json;
        int r = ret->json.length ? -EBADMSG : format->data(value, &scratch->json, &json);
        if (r < 0)
            return r;
        ret->json = bytes_to(json);
        ret->data = bytes_to(value);
        ret->is_error = is_error;
        return 0;
    }
    if (bytes_is(key, "eventName"))
        return read_text(format, value, &scratch->text, &ret->event_name);
    if (bytes_is(key, "group"))
        return read_text(format, value, &scratch->text, &ret->group);
    if (bytes_is(key, "key"))
        return read_text(format, value, &scratch->text, &ret->key);
    if (bytes_is(key, "offset"))
        return format->uint(value, &ret->offset);
    if (bytes_is(key, "id"))
        return format->uint(value, &ret->id);
    if (bytes_is(key, "from"))
        return read_from(format, value, &scratch->text, ret);
    return 0;
}

static enum rtc_code decode_envelope(const struct format *format, struct bytes text, struct codec_scratch *scratch,
                                     struct rtc_envelope *ret)
{
    struct member_reader reader = {.scratch = &scratch->text};
    struct bytes key, value;
    *ret = (struct rtc_envelope){0};
    buf_clear(&scratch->text);
    buf_clear(&scratch->json);
    /* What is decoded is never longer than what it is decoded from; so no slice moves once it is handed out. */
    if (!buf_room(&scratch->text, text.length + 1))
        return RTC_NO_MEMORY;
    int r = format->open(&reader, text);
    while (r == 0 && (r = format->next(&reader, &key, &value)) == 1)
        r = read_member(format, scratch, key, value, ret);
    if (r < 0)
        return r == -ENOMEM ? RTC_NO_MEMORY : RTC_BAD_ANSWER;
    return ret->event_name.length ? RTC_OK : RTC_BAD_ANSWER;
}

static enum rtc_code decode_json(struct rtc_bytes text, struct rtc_envelope *ret, void *argument)
{
    return decode_envelope(&json_format, bytes_from(text), argument, ret);
}

static enum rtc_code decode_msgpack(struct rtc_bytes text, struct rtc_envelope *ret, void *argument)
{
    return decode_envelope(&msgpack_format, bytes_from(text), argument, ret);
}

/* What there is, in the order in which it is offered when the caller does not say. */
static const struct codec_row {
    const char *name, *content_type;
    bool is_binary;
    enum rtc_code (*encode)(const struct rtc_envelope *envelope, struct rtc_sink *sink, void *argument);
    enum rtc_code (*decode)(struct rtc_bytes text, struct rtc_envelope *ret, void *argument);
} rows[CODEC_SET_MAX] = {
    {"json", "application/json", false, encode_json, decode_json},
    {"msgpack", "application/msgpack", true, encode_msgpack, decode_msgpack},
};

static const struct codec_row *row_find(struct bytes name)
{
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (bytes_is(name, rows[i].name))
            return &rows[i];
    return NULL;
}

/* Of a codec that is in a set: so there is one. */
static const struct codec_row *row_of(const struct rtc_codec *codec)
{
    const struct codec_row *row = row_find(bytes_text(codec->name));
    assert(row);
    return row;
}

bool codec_is_binary(const struct rtc_codec *codec)
{
    return row_of(codec)->is_binary;
}

const char *codec_content_type(const struct rtc_codec *codec)
{
    return row_of(codec)->content_type;
}

const struct rtc_codec *codec_set_find(const struct codec_set *set, struct bytes name)
{
    for (size_t i = 0; i < set->count; i++)
        if (bytes_is(name, set->list[i]->name))
            return set->list[i];
    return NULL;
}

/* The caller's own codec of that name goes before the library's. */
static enum rtc_code codec_set_add(struct codec_set *set, const struct options *options, struct bytes name, struct rtc_error *error)
{
    char quoted[ERROR_QUOTE];
    const struct codec_row *row = row_find(name);
    if (!row)
        return error_set(error, RTC_BAD_ARGUMENT, "protocols: there is no \"%s\", only json and msgpack", error_quote(name, quoted));
    if (codec_set_find(set, name))
        return error_set(error, RTC_BAD_ARGUMENT, "protocols: %s is named twice", row->name);
    const struct rtc_codec *codec = &set->own[row - rows];
    for (size_t i = 0; i < options->codec_count; i++)
        if (strcmp(options->codecs[i]->name, row->name) == 0)
            codec = options->codecs[i];
    set->list[set->count++] = codec;
    return RTC_OK;
}

enum rtc_code codec_set_init(struct codec_set *set, const struct options *options, struct rtc_error *error)
{
    *set = (struct codec_set){0};
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        set->own[i] = (struct rtc_codec){.name = rows[i].name, .encode = rows[i].encode, .decode = rows[i].decode, .argument = &set->scratch[i]};
    for (size_t i = 0; i < options->codec_count; i++) {
        const struct rtc_codec *codec = options->codecs[i];
        if (!codec || !codec->name || !codec->encode || !codec->decode || !row_find(bytes_text(codec->name)))
            return error_set(error, RTC_BAD_ARGUMENT, "codec: it needs the name json or msgpack, an encode and a decode function");
    }
    struct bytes rest = bytes_text(options->protocols ? options->protocols : "json,msgpack"), name;
    while (options_next_name(&rest, &name)) {
        enum rtc_code code = codec_set_add(set, options, name, error);
        if (code != RTC_OK)
            return code;
    }
    return set->count ? RTC_OK : error_set(error, RTC_BAD_ARGUMENT, "protocols: none is named; json and msgpack are there");
}

void codec_set_done(struct codec_set *set)
{
    for (size_t i = 0; i < CODEC_SET_MAX; i++) {
        buf_done(&set->scratch[i].text);
        buf_done(&set->scratch[i].json);
    }
}

/*
 * Envelope: see envelope.h. The list of codecs, the rules for names, and the reading that all codecs share.
 */
#include "lib/envelope_read.h"

#include "lib/text.h"

#include <stdio.h>
#include <strings.h>

extern const struct codec codec_json, codec_msgpack;

const struct codec *const codecs[CODEC_COUNT] = {
    [CODEC_JSON] = &codec_json,
    [CODEC_MSGPACK] = &codec_msgpack,
};

const struct codec *codec_by_name(struct bytes name)
{
    for (enum codec_id id = 0; id < CODEC_COUNT; id++)
        if (bytes_is(name, codecs[id]->name))
            return codecs[id];
    return NULL;
}

const struct codec *codec_by_content_type(struct bytes value)
{
    const unsigned char *end = memchr(value.data, ';', value.length);
    size_t length = end ? (size_t)(end - value.data) : value.length;
    while (length && (value.data[length - 1] == ' ' || value.data[length - 1] == '\t'))
        length--;
    for (enum codec_id id = 0; id < CODEC_COUNT; id++)
        if (length == strlen(codecs[id]->content_type)
            && strncasecmp((const char *)value.data, codecs[id]->content_type, length) == 0)
            return codecs[id];
    return NULL;
}

/* Reading: one row a member; each is read at most once. */
struct reading {
    const struct value_format *format;
    struct buf *scratch;
    struct envelope *envelope;
    struct fault *fault;
    bool has_target, has_except_self;
};

static enum decode reading_bad(const struct reading *reading, const char *problem)
{
    return fault_set(reading->fault, FAULT_BAD_ENVELOPE, "%s", problem);
}

static enum decode read_event_name(struct reading *reading, struct bytes value)
{
    struct bytes *name = &reading->envelope->event_name;
    if (reading->format->string(value, reading->scratch, name) < 0 || !name_is_valid(*name, EVENT_NAME_MAX))
        return reading_bad(reading, "eventName must be a string of 1 to 128 bytes without control characters");
    return DECODE_DONE;
}

static enum decode read_data(struct reading *reading, struct bytes value)
{
    if (!reading->format->is_null(value))
        reading->envelope->data = value;
    return DECODE_DONE;
}

static enum decode read_id(struct reading *reading, struct bytes value)
{
    const uint64_t id_max = (UINT64_C(1) << 53) - 1;
    if (reading->format->uint(value, &reading->envelope->id) < 0 || reading->envelope->id == 0
        || reading->envelope->id > id_max) {
        reading->envelope->id = 0;
        return reading_bad(reading, "id must be a whole number from 1 to 9007199254740991");
    }
    return DECODE_DONE;
}

static enum decode read_key(struct reading *reading, struct bytes value)
{
    struct bytes *key = &reading->envelope->key;
    if (reading->format->string(value, reading->scratch, key) < 0 || !name_is_valid(*key, KEY_MAX_BYTES))
        return reading_bad(reading, "key must be a string of 1 to 128 bytes without control characters");
    return DECODE_DONE;
}

static enum decode read_target_name(struct reading *reading, enum target_kind kind, struct bytes value)
{
    struct target *to = &reading->envelope->to;
    if (reading->has_target)
        return reading_bad(reading, "to must name one of group, user, connection and all, not several");
    reading->has_target = true;
    to->kind = kind;
    if (kind == TARGET_ALL) {
        bool is_all;
        if (reading->format->boolean(value, &is_all) < 0 || !is_all)
            return reading_bad(reading, "all in to must be true");
        return DECODE_DONE;
    }
    if (reading->format->string(value, reading->scratch, &to->name) < 0 || !name_is_valid(to->name, NAME_MAX_BYTES))
        return reading_bad(reading, "a name in to must be a string of 1 to 255 bytes without control characters");
    return DECODE_DONE;
}

static enum decode read_target_member(struct reading *reading, struct bytes key, struct bytes value)
{
    static const struct { const char *name; enum target_kind kind; } targets[] = {
        {"group", TARGET_GROUP}, {"user", TARGET_USER}, {"connection", TARGET_CONNECTION}, {"all", TARGET_ALL},
    };
    for (size_t i = 0; i < COUNT_OF(targets); i++)
        if (bytes_is(key, targets[i].name))
            return read_target_name(reading, targets[i].kind, value);
    if (bytes_is(key, "exceptSelf")) {
        if (reading->has_except_self)
            return reading_bad(reading, "exceptSelf in to is given twice");
        reading->has_except_self = true;
        if (reading->format->boolean(value, &reading->envelope->to.except_self) < 0)
            return reading_bad(reading, "exceptSelf in to must be true or false");
    }
    return DECODE_DONE;
}

static enum decode read_target(struct reading *reading, struct bytes value)
{
    struct member_reader reader = {.scratch = reading->scratch};
    struct bytes key, member;
    if (reading->format->is_null(value))
        return DECODE_DONE;
    int r = reading->format->open(&reader, value);
    enum decode result = DECODE_DONE;
    while (r == 0 && result == DECODE_DONE && (r = reading->format->next(&reader, &key, &member)) == 1) {
        result = read_target_member(reading, key, member);
        r = 0;
        if (result != DECODE_DONE)
            return result;
    }
    if (r < 0)
        return reading_bad(reading, "to must be an object such as {\"group\":\"news\"}");
    if (!reading->has_target)
        return reading_bad(reading, "to must name a group, a user, a connection or all");
    return DECODE_DONE;
}

static const struct {
    const char *name;
    enum decode (*read)(struct reading *reading, struct bytes value);
} members[] = {
    {"eventName", read_event_name},
    {"data", read_data},
    {"to", read_target},
    {"id", read_id},
    {"key", read_key},
};

static enum decode read_member(struct reading *reading, struct bytes key, struct bytes value, unsigned *seen)
{
    for (unsigned i = 0; i < COUNT_OF(members); i++) {
        if (!bytes_is(key, members[i].name))
            continue;
        if (*seen & 1u << i)
            return fault_set(reading->fault, FAULT_BAD_ENVELOPE, "%s is given twice", members[i].name);
        *seen |= 1u << i;
        return members[i].read(reading, value);
    }
    return DECODE_DONE;
}

enum decode envelope_read(const struct value_format *format, struct bytes text, struct buf *scratch,
                          struct envelope *ret, struct fault *fault)
{
    struct member_reader reader = {.scratch = scratch};
    struct reading reading = {.format = format, .scratch = scratch, .envelope = ret, .fault = fault};
    struct bytes key, value;
    unsigned seen = 0;
    enum decode result = DECODE_DONE;

    *ret = (struct envelope){.data_codec = format->codec};
    buf_clear(scratch);
    /* What is decoded is never longer than what it is decoded from; so no slice moves once it is handed out. */
    if (!buf_room(scratch, text.length + 1))
        return fault_set(fault, FAULT_INTERNAL, "out of memory");
    int r = format->open(&reader, text);
    while (r == 0 && (r = format->next(&reader, &key, &value)) == 1) {
        /* The rest is read after a mistake too: the reply needs the id. */
        enum decode one = read_member(&reading, key, value, &seen);
        if (one != DECODE_DONE) {
            result = one;
            reading.fault = NULL;
        }
        r = 0;
    }
    if (r < 0) {
        size_t offset;
        const char *problem = format->problem(&reader, &offset);
        ret->id = 0;
        return fault_set(fault, FAULT_BAD_ENVELOPE, "at byte %zu: %s", offset, problem ? problem : "an envelope is an object");
    }
    if (result == DECODE_DONE && !(seen & 1))
        result = fault_set(fault, FAULT_BAD_ENVELOPE, "eventName is missing");
    return result;
}

/*
 * Native history: see native_history.h.
 */
#include "daemon/dialect/native_history.h"

#include "daemon/core/connection.h"
#include "daemon/core/message.h"

static int native_refuse_since(struct fault *fault)
{
    fault_set(fault, FAULT_BAD_ENVELOPE, "since is {\"epoch\":E,\"offset\":N}, as a reply to rtc.join said it; last is a whole number");
    return -EBADMSG;
}

int native_read_catch_up(struct bytes data, struct buf *scratch, struct catch_up *ret, struct fault *fault)
{
    struct bytes since = json_member(data, "since"), last = json_member(data, "last");
    if (since.length && json_type(since) != JSON_NULL
        && (json_type(since) != JSON_OBJECT || json_string(json_member(since, "epoch"), scratch, &ret->epoch) < 0 || ret->epoch.length == 0
            || json_uint(json_member(since, "offset"), &ret->offset) < 0))
        return native_refuse_since(fault);
    if (last.length && json_type(last) != JSON_NULL && json_uint(last, &ret->last) < 0)
        return native_refuse_since(fault);
    return 0;
}

void native_add_position(const struct catch_up *catch_up, struct json_writer *json)
{
    if (catch_up->has_history) {
        json_key(json, "epoch");
        json_add_text(json, catch_up->now_epoch);
        json_key(json, "offset");
        json_add_uint(json, catch_up->now_offset);
    }
    if (!catch_up->epoch.length && catch_up->count) {       /* from where to go on, should not all of them arrive */
        json_key(json, "first");
        json_add_uint(json, catch_up->messages[0]->envelope.offset);
    }
    json_key(json, "recovered");
    json_add_bool(json, catch_up->is_complete);
}

int native_add_envelopes(const struct catch_up *catch_up, struct json_writer *json)
{
    struct buf text = {0};
    int r = 0;
    json_begin_array(json);
    for (uint32_t i = 0; i < catch_up->count && r != -ENOMEM; i++) {
        struct envelope envelope = catch_up->messages[i]->envelope;
        buf_clear(&text);
        r = codecs[CODEC_JSON]->encode(&text, &envelope);
        if (r == -EBADMSG) {            /* its data has no form in JSON: as for members, it is null then */
            envelope.data = (struct bytes){0};
            buf_clear(&text);
            r = codecs[CODEC_JSON]->encode(&text, &envelope);
        }
        json_add_raw(json, buf_bytes(&text));
    }
    json_end_array(json);
    buf_done(&text);
    return r;
}

void native_push_missed(struct connection *connection, struct catch_up *catch_up)
{
    for (uint32_t i = 0; i < catch_up->count; i++)
        connection_push(connection, catch_up->messages[i]);
    catch_up->count = 0;
    catch_up_done(catch_up);
}

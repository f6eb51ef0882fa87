/*
 * Event call: see event_call.h.
 */
#include "daemon/core/event_call.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/core/notice.h"
#include "lib/json.h"
#include "lib/transcode.h"

#include <stdlib.h>

static struct bytes call_keep(struct event_call *call, size_t *at, struct bytes bytes)
{
    char *start = call->bytes + *at;
    if (bytes.length)
        memcpy(start, bytes.data, bytes.length);
    *at += bytes.length;
    return bytes_of(start, bytes.length);
}

/* Counted as being on its way; NULL: out of memory. */
static struct event_call *call_new(const struct connection *connection, const struct envelope *envelope, struct bytes data, struct bytes from)
{
    char id[UUID_TEXT + 1];
    struct bytes user = connection_user(connection);
    uuid_print(&connection->id, id);
    size_t text = envelope->event_name.length + data.length + from.length + UUID_TEXT + user.length, at = 0;
    struct event_call *call = malloc(sizeof(*call) + text);
    if (!call)
        return NULL;
    *call = (struct event_call){.handle = connection->handle, .id = envelope->id, .size = sizeof(*call) + text};
    call->name = call_keep(call, &at, envelope->event_name);
    call->data = call_keep(call, &at, data);
    call->from = call_keep(call, &at, from);
    call->connection_id = call_keep(call, &at, bytes_text(id));
    call->user = call_keep(call, &at, user);
    atomic_fetch_add_explicit(&connection->hub->exchange->events.bytes, call->size, memory_order_relaxed);
    return call;
}

void event_call_free(struct event_calls *calls, struct event_call *call)
{
    atomic_fetch_sub_explicit(&calls->bytes, call->size, memory_order_relaxed);
    free(call);
}

static int call_post(struct hub *hub, struct event_call *call)
{
    const struct ports *ports = &hub->exchange->ports;
    struct letter letter = {.kind = LETTER_EVENT, .event = call};
    int r = -EAGAIN;
    if (atomic_load_explicit(&hub->exchange->events.bytes, memory_order_relaxed) <= hub->config->handlers.queue_bytes
        && ports->has_room(ports->argument, MAIN_MAILBOX))
        r = ports->post(ports->argument, MAIN_MAILBOX, &letter);
    if (r < 0)
        event_call_free(&hub->exchange->events, call);
    return r;
}

int event_call_send(struct connection *connection, const struct envelope *envelope, bool is_seen)
{
    struct hub *hub = connection->hub;
    if (atomic_load_explicit(&hub->exchange->events.handler_count, memory_order_relaxed) == 0)
        return -ENOENT;
    struct buf converted = {0}, from = {0};
    struct bytes data = envelope->data;
    int r = 0;
    if (envelope->data_codec == CODEC_MSGPACK && data.length) {
        r = transcode_to_json(&converted, data, NULL);
        data = buf_bytes(&converted);
    }
    struct json_writer json = json_writer(&from);
    notice_add_sender(&json, connection);
    struct event_call *call = r == 0 && buf_status(&from) == 0 ? call_new(connection, envelope, data, buf_bytes(&from)) : NULL;
    buf_done(&converted);
    buf_done(&from);
    if (!call)
        return r == 0 ? -ENOMEM : r;
    call->is_seen = is_seen;
    return call_post(hub, call);
}

int event_call_answer(struct exchange *exchange, uint64_t handle, uint64_t id, bool is_error, struct bytes json)
{
    const struct ports *ports = &exchange->ports;
    struct envelope envelope = {.event_name = id ? BYTES("rtc.reply") : BYTES("rtc.error"), .id = id, .is_error = is_error && id,
                                .data = json, .data_codec = CODEC_JSON};
    struct message *message = message_new(&envelope);
    if (!message)
        return -ENOMEM;
    struct letter letter = {.kind = LETTER_CONNECTION, .message = message, .handle = handle};
    int r = ports->post(ports->argument, hub_handle_worker(handle), &letter);
    if (r < 0)
        message_unref(message);
    return r;
}

/*
 * handle, reply, list handlers: programs on the admin socket that answer what clients send to the server.
 */
#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_client.h"

#include "daemon/config/config.h"
#include "daemon/hook/handlers.h"

#include <stdio.h>
#include <stdlib.h>

enum { REQUEST_ROOM = 256, CODE_MAX = 64 };     /* what stands around the data of a reply */

/* One request to handle: its client may make several. */
struct admin_handler {
    struct handler handler;
    struct list node;
    struct admin_client *client;
    char about[64];
    char pattern[];
};

static void handler_free(struct admin_handler *own)
{
    handlers_remove(own->client->admin->host.handlers, &own->handler);
    list_remove(&own->node);
    free(own);
}

void admin_handlers_drop(struct admin_client *client)
{
    LIST_EACH(node, &client->handlers)
        handler_free(CONTAINER_OF(node, struct admin_handler, node));
}

static void line_write(struct buf *line, const struct event_call *event)
{
    struct json_writer json = json_writer(line);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_string(&json, event->name);
    json_key(&json, "data");
    json_add_raw(&json, event->data);
    json_key(&json, "from");
    json_add_raw(&json, event->from);
    if (event->number) {
        json_key(&json, "call");
        json_add_uint(&json, event->number);
        json_key(&json, "timeoutMs");
        json_add_uint(&json, event->timeout_ms);
    }
    json_end_object(&json);
}

static bool on_take(struct handler *handler, const struct event_call *event)
{
    struct admin_client *client = CONTAINER_OF(handler, struct admin_handler, handler)->client;
    const struct config *config = client->admin->host.config(client->admin->host.argument);
    struct buf *line = &client->admin->line;
    bool is_full = client->out.length && client->out.length + event->size > config->admin.queue_bytes;
    /* What a reload took from it, it has no more. */
    if (client->is_over || client->peer.access < ADMIN_OPERATOR || is_full)
        return false;
    buf_clear(line);
    line_write(line, event);
    if (buf_status(line) < 0)
        return false;
    admin_client_send(client, buf_bytes(line));
    return true;
}

/* NULL: out of memory. */
static struct admin_handler *handler_new(struct admin_client *client, struct bytes pattern)
{
    struct admin_handler *own = malloc(sizeof(*own) + pattern.length + 1);
    if (!own)
        return NULL;
    *own = (struct admin_handler){.client = client};
    snprintf(own->about, sizeof(own->about), "pid %d, uid %u", client->peer.pid, client->peer.uid);
    memcpy(own->pattern, pattern.data, pattern.length);
    own->pattern[pattern.length] = '\0';
    own->handler = (struct handler){.pattern = own->pattern, .about = own->about, .is_program = true, .take = on_take};
    list_init(&own->node);
    return own;
}

/* How long the data of a reply may be: both for the client, and on a line of this socket. */
static void handle_answer(struct admin_call *call)
{
    const struct config *config = call->host->config(call->host->argument);
    struct buf answer = {0};
    buf_add_bytes(&answer, BYTES("{\"replyBytes\":"));
    buf_add_decimal(&answer, MIN(config->connection.message_bytes, config->admin.max_request_bytes - REQUEST_ROOM));
    buf_add_byte(&answer, '}');
    admin_reply_made(&call->back, &answer);
}

static void handle_begin(struct admin_call *call, struct admin_client *client, struct bytes pattern)
{
    struct admin_handler *own = handler_new(client, pattern);
    int r = own ? handlers_add(call->host->handlers, &own->handler) : -ENOMEM;
    if (r == 0) {
        list_append(&client->handlers, &own->node);
        handle_answer(call);
        return;
    }
    free(own);
    if (r == -E2BIG)
        admin_refuse(&call->back, FAULT_BACK_PRESSURE, "there are %d handlers already", HANDLERS_MAX);
    else
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
}

void admin_handle(struct admin_call *call)
{
    struct bytes pattern = {0};
    struct admin_client *client = admin_find_client(call->back.admin, call->back.client);
    if (!client || admin_text(call, "event", &pattern) < 0)
        return;
    if (client->call)
        admin_refuse(&call->back, FAULT_UNSUPPORTED, "handle has no end, and a call over HTTP has one answer; use the admin socket");
    else if (!name_is_valid(pattern, EVENT_NAME_MAX))
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a pattern of event names, such as order.*, is 1 to 128 bytes of UTF-8 without control characters");
    else
        handle_begin(call, client, pattern);
}

static bool code_is_right(struct bytes code)
{
    for (size_t i = 0; i < code.length; i++)
        if (code.data[i] != '-' && (code.data[i] < 'a' || code.data[i] > 'z') && (code.data[i] < '0' || code.data[i] > '9'))
            return false;
    return code.length > 0 && code.length <= CODE_MAX;
}

/* What becomes of the call; what is wrong with the request is refused here, and the call goes on waiting. */
static void reply_send(struct admin_call *call, uint64_t number, struct bytes code, struct bytes message)
{
    struct bytes data = admin_value(call, "data");
    int r = code.length ? handlers_fail(call->host->handlers, number, code, message) : handlers_reply(call->host->handlers, number, data);
    if (r == 0)
        admin_reply(&call->back, (struct bytes){0});
    else if (r == -ENOENT)
        admin_refuse(&call->back, FAULT_NOT_FOUND, "nobody waits for this call: it was answered, took too long (handlers.timeout), or is of an "
                     "earlier start of the daemon");
    else if (r == -EMSGSIZE)
        admin_refuse(&call->back, FAULT_TOO_LARGE, "a reply is no longer than connection.message-bytes; the client was told that it was too large");
    else
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
}

void admin_reply_to(struct admin_call *call)
{
    uint64_t number;
    struct bytes code = {0}, message = {0};
    int has_code = 0, has_number = admin_number(call, "call", &number);
    if (has_number < 0 || (has_code = admin_text(call, "error", &code)) < 0 || admin_text(call, "message", &message) < 0)
        return;
    if (has_number == 0)
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "call is the number that the event came with");
    else if (has_code && !code_is_right(code))
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "an error's code is 1 to 64 of a-z, 0-9 and -");
    else if (code.length == 0 && message.length)
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a message goes with an error; say which (error)");
    else if (code.length && json_type(admin_value(call, "data")) != JSON_NULL)
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a reply has data, or an error, not both");
    else
        reply_send(call, number, code, message);
}

void admin_list_handlers(struct admin_call *call)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    const struct handler *handler = NULL;
    json_begin_object(&json);
    json_key(&json, "rows");
    json_begin_array(&json);
    while ((handler = handlers_next(call->host->handlers, handler))) {
        json_begin_array(&json);
        json_add_text(&json, handler->pattern);
        json_add_text(&json, handler->about);
        json_add_uint(&json, handler->taken);
        json_add_uint(&json, handler->pending);
        json_end_array(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
    admin_reply_made(&call->back, &data);
}

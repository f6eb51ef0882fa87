/*
 * Pending: see pending.h.
 */
#include "daemon/hook/pending.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/metrics.h"
#include "daemon/hook/handlers.h"
#include "lib/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { NUMBER_BITS = 40 };              /* of the first number: whoever reads JSON numbers as doubles has room for what follows */

/* How many calls of a connection wait. */
struct asker {
    uint64_t handle;                    /* the key of the table */
    uint64_t count;
};

struct pending_call {
    uint64_t number;                    /* the key of the table */
    uint64_t handle, id;                /* of the connection, and of its request */
    uint64_t due_ms;
    struct list node;                   /* in by_time */
    struct handler *handler;            /* NULL: nobody has it yet */
    struct asker *asker;
};

static struct bytes call_key(const void *entry)
{
    return bytes_of(&((const struct pending_call *)entry)->number, sizeof(uint64_t));
}

static struct bytes asker_key(const void *entry)
{
    return bytes_of(&((const struct asker *)entry)->handle, sizeof(uint64_t));
}

int pending_init(struct pending_calls *calls, const struct handlers_host *host)
{
    struct { struct table_seed seed; uint64_t number; } random;
    if (getrandom(&random, sizeof(random), 0) != sizeof(random))
        return -EIO;
    *calls = (struct pending_calls){.host = host, .number = random.number >> (64 - NUMBER_BITS)};
    table_init(&calls->by_number, &random.seed, call_key);
    table_init(&calls->by_connection, &random.seed, asker_key);
    list_init(&calls->by_time);
    return 0;
}

void pending_done(struct pending_calls *calls)
{
    while (!list_is_empty(&calls->by_time))
        pending_close(calls, CONTAINER_OF(calls->by_time.next, struct pending_call, node));
    table_done(&calls->by_number);
    table_done(&calls->by_connection);
}

static const struct config *pending_config(const struct pending_calls *calls)
{
    return calls->host->config(calls->host->argument);
}

static uint64_t pending_now(const struct pending_calls *calls)
{
    const struct ports *ports = &calls->host->exchange->ports;
    return ports->now_ms(ports->argument);
}

static void pending_wake(struct pending_calls *calls, uint64_t now_ms)
{
    if (list_is_empty(&calls->by_time)) {
        calls->wake_ms = 0;
        return;
    }
    uint64_t due_ms = CONTAINER_OF(calls->by_time.next, struct pending_call, node)->due_ms;
    if (calls->wake_ms && calls->wake_ms <= due_ms)
        return;
    calls->wake_ms = due_ms;
    calls->host->wake(calls->host->argument, due_ms > now_ms ? due_ms - now_ms : 0);
}

/* The time for each is nearly always the same, so this ends at once. */
static void pending_order(struct pending_calls *calls, struct pending_call *call)
{
    struct list *before = calls->by_time.previous;
    while (before != &calls->by_time && CONTAINER_OF(before, struct pending_call, node)->due_ms > call->due_ms)
        before = before->previous;
    list_append(before->next, &call->node);
}

/* NULL: out of memory. */
static struct asker *pending_asker(struct pending_calls *calls, uint64_t handle)
{
    struct asker *asker = table_find(&calls->by_connection, bytes_of(&handle, sizeof(handle)));
    if (asker)
        return asker;
    asker = calloc(1, sizeof(*asker));
    if (!asker)
        return NULL;
    asker->handle = handle;
    if (table_insert(&calls->by_connection, asker) == 0)
        return asker;
    free(asker);
    return NULL;
}

static void asker_leave(struct pending_calls *calls, struct asker *asker)
{
    if (asker->count)
        return;
    table_remove(&calls->by_connection, asker_key(asker));
    free(asker);
}

/* NULL: out of memory. */
static struct pending_call *pending_add(struct pending_calls *calls, const struct event_call *event, struct asker *asker, uint64_t now_ms)
{
    struct pending_call *call = calloc(1, sizeof(*call));
    if (!call)
        return NULL;
    *call = (struct pending_call){.number = calls->number + 1, .handle = event->handle, .id = event->id, .asker = asker,
                                  .due_ms = now_ms + pending_config(calls)->handlers.timeout_ms};
    if (table_insert(&calls->by_number, call) < 0) {
        free(call);
        return NULL;
    }
    calls->number++;
    asker->count++;
    pending_order(calls, call);
    pending_wake(calls, now_ms);
    return call;
}

int pending_open(struct pending_calls *calls, struct event_call *event, struct pending_call **ret, const char **ret_problem)
{
    const struct config *config = pending_config(calls);
    if (table_count(&calls->by_number) >= config->handlers.pending) {
        *ret_problem = "too many events wait for a reply (handlers.pending); try again";
        return -EAGAIN;
    }
    *ret_problem = "out of memory";
    struct asker *asker = pending_asker(calls, event->handle);
    if (!asker)
        return -ENOMEM;
    if (asker->count >= config->handlers.pending_per_connection) {
        *ret_problem = "too many events of this connection wait for a reply (handlers.pending-per-connection); try again";
        return -EAGAIN;
    }
    *ret = pending_add(calls, event, asker, pending_now(calls));
    if (!*ret) {
        asker_leave(calls, asker);
        return -ENOMEM;
    }
    event->number = (*ret)->number;
    event->timeout_ms = config->handlers.timeout_ms;
    return 0;
}

void pending_give(struct pending_call *call, struct handler *handler)
{
    call->handler = handler;
    handler->pending++;
}

void pending_take_back(struct pending_call *call)
{
    call->handler->pending--;
    call->handler = NULL;
}

void pending_close(struct pending_calls *calls, struct pending_call *call)
{
    if (call->handler)
        pending_take_back(call);
    list_remove(&call->node);
    table_remove(&calls->by_number, call_key(call));
    call->asker->count--;
    asker_leave(calls, call->asker);
    free(call);
}

static int pending_send_error(struct pending_calls *calls, uint64_t handle, uint64_t id, struct bytes code, struct bytes message)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "code");
    json_add_string(&json, code);
    json_key(&json, "message");
    json_add_string(&json, message);
    json_end_object(&json);
    int r = buf_status(&data);
    if (r == 0)
        r = event_call_answer(calls->host->exchange, handle, id, true, buf_bytes(&data));
    buf_done(&data);
    if (r == 0)
        metrics_add(calls->host->metrics, METRIC_ENVELOPES_REFUSED, 1);
    return r;
}

/* Without memory the client hears nothing, as from a peer that is gone, and has its own time. */
void pending_refuse(struct pending_calls *calls, uint64_t handle, uint64_t id, const struct fault *fault)
{
    if (pending_send_error(calls, handle, id, bytes_text(fault_rows[fault->id].code), bytes_text(fault_message(fault))) < 0)
        metrics_add(calls->host->metrics, METRIC_EVENTS_REFUSED, 1);
}

static struct pending_call *pending_find(struct pending_calls *calls, uint64_t number)
{
    struct pending_call *call = table_find(&calls->by_number, bytes_of(&number, sizeof(number)));
    if (!call)
        metrics_add(calls->host->metrics, METRIC_REPLIES_LATE, 1);
    return call;
}

static void pending_give_up(struct pending_calls *calls, struct pending_call *call, enum fault_id id, const char *detail)
{
    struct fault fault;
    fault_set(&fault, id, "%s", detail);
    pending_refuse(calls, call->handle, call->id, &fault);
    pending_close(calls, call);
}

int pending_reply(struct pending_calls *calls, uint64_t number, struct bytes data)
{
    struct pending_call *call = pending_find(calls, number);
    if (!call)
        return -ENOENT;
    if (data.length > pending_config(calls)->connection.message_bytes) {
        pending_give_up(calls, call, FAULT_TOO_LARGE, "the handler's reply is too large");
        return -EMSGSIZE;
    }
    int r = event_call_answer(calls->host->exchange, call->handle, call->id, false, data);
    if (r == 0)
        pending_close(calls, call);
    return r;
}

int pending_fail(struct pending_calls *calls, uint64_t number, struct bytes code, struct bytes message)
{
    struct pending_call *call = pending_find(calls, number);
    if (!call)
        return -ENOENT;
    if (message.length > pending_config(calls)->connection.message_bytes) {
        pending_give_up(calls, call, FAULT_TOO_LARGE, "the handler's error is too large");
        return -EMSGSIZE;
    }
    int r = pending_send_error(calls, call->handle, call->id, code, message);
    if (r == 0)
        pending_close(calls, call);
    return r;
}

void pending_drop_handler(struct pending_calls *calls, struct handler *handler)
{
    LIST_EACH(node, &calls->by_time) {
        struct pending_call *call = CONTAINER_OF(node, struct pending_call, node);
        if (call->handler != handler)
            continue;
        metrics_add(calls->host->metrics, METRIC_HANDLERS_LOST, 1);
        pending_give_up(calls, call, FAULT_NO_HANDLER, "its handler went away before it replied; whether it did what was asked is not known");
    }
}

void pending_tick(struct pending_calls *calls)
{
    uint64_t now_ms = pending_now(calls);
    calls->wake_ms = 0;
    while (!list_is_empty(&calls->by_time)) {
        struct pending_call *call = CONTAINER_OF(calls->by_time.next, struct pending_call, node);
        if (call->due_ms > now_ms)
            break;
        metrics_add(calls->host->metrics, METRIC_HANDLERS_TIMED_OUT, 1);
        pending_give_up(calls, call, FAULT_TIMEOUT, "its handler did not reply in time (handlers.timeout)");
    }
    pending_wake(calls, now_ms);
}

/*
 * Handlers: see handlers.h. The registry and the choice; what waits is in pending.c.
 */
#include "daemon/hook/handlers.h"

#include "daemon/core/exchange.h"
#include "daemon/core/metrics.h"
#include "daemon/hook/pending.h"

#include <stdlib.h>

struct handlers {
    struct handlers_host host;
    struct list all;
    unsigned count;
    uint64_t turn;                      /* events so far */
    struct pending_calls pending;
};

struct handlers *handlers_new(const struct handlers_host *host)
{
    struct handlers *handlers = calloc(1, sizeof(*handlers));
    if (!handlers)
        return NULL;
    handlers->host = *host;
    list_init(&handlers->all);
    if (pending_init(&handlers->pending, &handlers->host) < 0) {
        free(handlers);
        return NULL;
    }
    return handlers;
}

void handlers_free(struct handlers *handlers)
{
    if (!handlers)
        return;
    assert(handlers->count == 0);
    pending_done(&handlers->pending);
    free(handlers);
}

static unsigned pattern_rank(const char *pattern)
{
    unsigned rank = 0;
    for (; *pattern; pattern++)
        rank += *pattern != '*' && *pattern != '?';
    return rank;
}

int handlers_add(struct handlers *handlers, struct handler *handler)
{
    if (handlers->count == HANDLERS_MAX)
        return -E2BIG;
    handler->rank = pattern_rank(handler->pattern);
    handler->taken = handler->pending = handler->served = handler->tried = 0;
    list_append(&handlers->all, &handler->node);
    handlers->count++;
    atomic_fetch_add_explicit(&handlers->host.exchange->events.handler_count, 1, memory_order_relaxed);
    return 0;
}

void handlers_remove(struct handlers *handlers, struct handler *handler)
{
    list_remove(&handler->node);
    handlers->count--;
    atomic_fetch_sub_explicit(&handlers->host.exchange->events.handler_count, 1, memory_order_relaxed);
    pending_drop_handler(&handlers->pending, handler);
}

struct handler *handlers_next(const struct handlers *handlers, const struct handler *after)
{
    struct list *next = after ? after->node.next : handlers->all.next;
    return next == &handlers->all ? NULL : CONTAINER_OF(next, struct handler, node);
}

/* Is it to be asked before the other, which is as specific and stands before it? */
static bool handler_goes_before(const struct handler *one, const struct handler *other)
{
    if (one->is_program != other->is_program)
        return other->is_program;
    if (!one->is_program)
        return false;
    return one->pending != other->pending ? one->pending < other->pending : one->served < other->served;
}

/* Whom to ask next: of the most specific ones, which those are that were not asked yet is said by `turn`. */
static struct handler *handlers_pick(const struct handlers *handlers, struct bytes name, const struct handler *asked)
{
    struct handler *best = NULL;
    LIST_EACH(node, &handlers->all) {
        struct handler *handler = CONTAINER_OF(node, struct handler, node);
        if ((asked && handler->rank != asked->rank) || handler->tried == handlers->turn || !text_matches(bytes_text(handler->pattern), name))
            continue;
        if (!best || handler->rank > best->rank || (handler->rank == best->rank && handler_goes_before(handler, best)))
            best = handler;
    }
    return best;
}

static bool handlers_offer(struct handlers *handlers, struct handler *handler, struct event_call *event, struct pending_call *call)
{
    handler->tried = handlers->turn;
    if (call)
        pending_give(call, handler);
    /* Where it takes the event, the call may be answered and gone already. */
    if (handler->take(handler, event)) {
        handler->taken++;
        handler->served = handlers->turn;
        metrics_add(handlers->host.metrics, METRIC_EVENTS_HANDLED, 1);
        return true;
    }
    if (call)
        pending_take_back(call);
    return false;
}

static void handlers_refuse(struct handlers *handlers, const struct event_call *event, enum fault_id id, const char *detail)
{
    struct fault fault;
    fault_set(&fault, id, "%s", detail);
    if (id == FAULT_BACK_PRESSURE)
        metrics_add(handlers->host.metrics, METRIC_EVENTS_REFUSED, 1);
    pending_refuse(&handlers->pending, event->handle, event->id, &fault);
}

static void handlers_dispatch(struct handlers *handlers, struct event_call *event)
{
    handlers->turn++;
    struct handler *handler = handlers_pick(handlers, event->name, NULL);
    if (!handler) {
        if (event->id || !event->is_seen)
            handlers_refuse(handlers, event, FAULT_NO_HANDLER, "nobody at the server handles this event; to reach others, say to whom (\"to\")");
        return;
    }
    struct pending_call *call = NULL;
    const char *problem;
    int r = event->id ? pending_open(&handlers->pending, event, &call, &problem) : 0;
    if (r < 0) {
        handlers_refuse(handlers, event, r == -EAGAIN ? FAULT_BACK_PRESSURE : FAULT_INTERNAL, problem);
        return;
    }
    while (handler && !handlers_offer(handlers, handler, event, call))
        handler = handlers_pick(handlers, event->name, handler);
    if (handler)
        return;
    if (call)
        pending_close(&handlers->pending, call);
    handlers_refuse(handlers, event, FAULT_BACK_PRESSURE, "too much waits for whoever handles this event; try again");
}

void handlers_take(struct handlers *handlers, struct event_call *event)
{
    handlers_dispatch(handlers, event);
    event_call_free(&handlers->host.exchange->events, event);
}

int handlers_reply(struct handlers *handlers, uint64_t number, struct bytes data)
{
    return pending_reply(&handlers->pending, number, data);
}

int handlers_fail(struct handlers *handlers, uint64_t number, struct bytes code, struct bytes message)
{
    return pending_fail(&handlers->pending, number, code, message);
}

void handlers_tick(struct handlers *handlers)
{
    pending_tick(&handlers->pending);
}

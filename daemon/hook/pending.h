/*
 * Pending: calls that a handler has and has not answered, by their numbers. Bounded in all and for each connection; each ends with its
 * reply, with its time, or with its handler. Of the main thread, and of handlers.c alone.
 */
#pragma once

#include "lib/base.h"
#include "lib/list.h"
#include "lib/table.h"

struct event_call;
struct fault;
struct handler;
struct handlers_host;
struct pending_call;

struct pending_calls {
    const struct handlers_host *host;
    struct table by_number, by_connection;
    struct list by_time;                /* the one that is due first is in front */
    uint64_t number;                    /* the last one given; the first is random, so that one of an earlier start is nobody's now */
    uint64_t wake_ms;                   /* when a tick was asked for; 0: none is */
};

MUST_CHECK int pending_init(struct pending_calls *calls, const struct handlers_host *host);    /* -EIO: the kernel has no random bytes */
void pending_done(struct pending_calls *calls);

/* Gives the event a number and its time. -EAGAIN: there are too many; -ENOMEM; *ret_problem says it for the client. */
MUST_CHECK int pending_open(struct pending_calls *calls, struct event_call *event, struct pending_call **ret, const char **ret_problem);
/* Whose it is; and that it is nobody's. */
void pending_give(struct pending_call *call, struct handler *handler);
void pending_take_back(struct pending_call *call);
void pending_close(struct pending_calls *calls, struct pending_call *call);

/* See handlers.h. */
MUST_CHECK int pending_reply(struct pending_calls *calls, uint64_t number, struct bytes data);
MUST_CHECK int pending_fail(struct pending_calls *calls, uint64_t number, struct bytes code, struct bytes message);
void pending_drop_handler(struct pending_calls *calls, struct handler *handler);
void pending_tick(struct pending_calls *calls);

/* Tells a client that its event came to nothing. */
void pending_refuse(struct pending_calls *calls, uint64_t handle, uint64_t id, const struct fault *fault);

/*
 * Event call: what a client sent to the server, on its way from the connection's worker to the main thread, where those are who handle it.
 * Its reply goes to the connection as any message does, by the handle, which is looked up again then: the connection may be gone, or have
 * another transport. Knows no handler.
 */
#pragma once

#include "lib/envelope.h"

#include <stdatomic.h>

struct connection;
struct exchange;

/* What workers ask before they make one. Shared by all threads. */
struct event_calls {
    atomic_uint handler_count;          /* 0: nobody would take it */
    _Atomic size_t bytes;               /* of those on their way: at most handlers.queue-bytes */
};

/* One block of memory; the slices point into it. */
struct event_call {
    uint64_t handle;                    /* of the connection */
    uint64_t id;                        /* of the client's request; 0: it wants no reply */
    bool is_seen;                       /* by observers: where no reply is wanted, nobody need handle it */
    struct bytes name;
    struct bytes data;                  /* JSON on one line; empty: null */
    struct bytes from;                  /* a JSON object: who sent it (notice_add_sender) */
    struct bytes connection_id;
    struct bytes user;                  /* empty: anonymous */

    uint64_t number;                    /* set on the main thread: by this handlers_reply() knows it; 0: no reply is wanted */
    uint64_t timeout_ms;                /* for the reply */
    size_t size;
    char bytes[];
};

/*
 * Sends it to the main thread. 0: it will be answered from there; -ENOENT: there are no handlers at all; -EAGAIN: too much is on its way;
 * -EBADMSG: the data has no form in JSON; -ENOMEM.
 */
MUST_CHECK int event_call_send(struct connection *connection, const struct envelope *envelope, bool is_seen);
/* Once it has arrived. */
void event_call_free(struct event_calls *calls, struct event_call *call);
/* Puts an answer into the way to the connection: JSON; `id` 0: an error without a request. Any thread. -ENOMEM. */
MUST_CHECK int event_call_answer(struct exchange *exchange, uint64_t handle, uint64_t id, bool is_error, struct bytes json);

/*
 * Handlers: who answers what clients send to the server. Each is given the events whose names match its pattern, and exactly one gets an
 * event; observers (rtcctl listen) are no business of this. Keeps the calls that wait for a reply, by their numbers, and gives up those
 * whose handler is too slow or gone. Of the main thread.
 */
#pragma once

#include "daemon/core/event_call.h"
#include "lib/list.h"

struct config;
struct handlers;
struct metrics;

enum { HANDLERS_MAX = 1024 };

struct handler {
    const char *pattern;                /* of event names, with * and ? */
    const char *about;                  /* what it is, for people: "webhook orders", "pid 17 (uid 1000)" */
    bool is_program;                    /* it came while the daemon runs; else it is of the config */
    /*
     * Takes the event, which is gone when this returns: what is kept must be copied. With a number it is to be answered by
     * handlers_reply() or handlers_fail(), now or later. False: too much waits for it already; nothing was done. No handler is added or
     * removed in here.
     */
    bool (*take)(struct handler *handler, const struct event_call *call);

    struct list node;                   /* the rest is the registry's */
    uint64_t taken, pending;            /* events; of which so many are not yet answered */
    uint64_t served, tried;             /* the last turn in which it took one, or was asked */
    unsigned rank;
};

/* Where they are at home. */
struct handlers_host {
    struct exchange *exchange;
    struct metrics *metrics;                            /* the main thread's own */
    struct config *(*config)(void *argument);           /* the snapshot in force; borrowed */
    void (*wake)(void *argument, uint64_t in_ms);       /* has handlers_tick() called then, and not when it was asked to before */
    void *argument;
};

struct handlers *handlers_new(const struct handlers_host *host);        /* NULL: out of memory, or of random bytes */
void handlers_free(struct handlers *handlers);                          /* all handlers have been removed; NULL is fine */

/*
 * Which handler has an event: of those whose patterns match, the one with the most bytes in its pattern that are neither * nor ?. Of equal
 * ones, those of the config come first, in the order in which they were added; then programs, first the one with the fewest calls
 * unanswered, and of equal ones each in its turn. One that takes no more is passed over for its equals, never for a less specific one.
 */
MUST_CHECK int handlers_add(struct handlers *handlers, struct handler *handler);       /* -E2BIG: there are HANDLERS_MAX */
/* The calls that it has not answered end with no-handler at once. */
void handlers_remove(struct handlers *handlers, struct handler *handler);
struct handler *handlers_next(const struct handlers *handlers, const struct handler *after);   /* NULL: the first; NULL at the end */

/* A LETTER_EVENT came to the main mailbox: the event is the registry's afterwards. */
void handlers_take(struct handlers *handlers, struct event_call *event);

/*
 * Answers a call: with JSON data on one line (empty: null), or an error. -ENOENT: nobody waits for it, it was answered before, or it took
 * too long (counted); -EMSGSIZE: the data is longer than connection.message-bytes, and the client has an error instead; -ENOMEM: nothing
 * was done.
 */
MUST_CHECK int handlers_reply(struct handlers *handlers, uint64_t number, struct bytes data);
MUST_CHECK int handlers_fail(struct handlers *handlers, uint64_t number, struct bytes code, struct bytes message);
/* Time has passed. */
void handlers_tick(struct handlers *handlers);

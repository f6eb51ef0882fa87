/*
 * Keeper: who writes histories down, so that they outlive the process, as a table of functions; the archive tells it all that becomes of
 * them. What is told of one group comes in the group's order, under its stripe's lock, and takes no time: the writing is done elsewhere.
 */
#pragma once

#include "daemon/core/history.h"
#include "daemon/core/metrics.h"

struct answered_entry;
struct message;
struct place;

#define KEEPER_NOBODY UINT32_MAX

/* Who is to hear that a message is stored: a connection, or a request on the main thread. */
struct keeper_wait {
    uint64_t handle;                    /* of the connection; 0: the main thread gets LETTER_STORED */
    uint64_t id;                        /* of the request */
    uint64_t client;                    /* who made it, of the main thread's */
    uint32_t recipients;                /* that it went to; KEEPER_NOBODY: it was no publish */
    struct answered_entry *kept;        /* the main thread's own: it has an idempotency key; or NULL */
};

struct keeper {
    struct metrics metrics;             /* of whoever writes */
    bool is_awaited;                    /* who publishes is answered once it is stored */
    /* False: publishers must wait. */
    bool (*has_room)(struct keeper *keeper);
    /* The newest message, or NULL: it is not held, but its offset is given. `replaced`: as history_replaced(). What the message's stored_by is to be; 0: there is nothing to wait for. */
    uint64_t (*put)(struct keeper *keeper, struct place *place, const struct history *history, struct message *message);
    /* One was let go; all were; the group remembers nothing any more. */
    void (*forget)(struct keeper *keeper, struct place *place, const struct history *history, uint64_t offset);
    void (*clear)(struct keeper *keeper, struct place *place, const struct history *history);
    void (*end)(struct keeper *keeper, struct place *place, const struct history *history);
    /* What all that was told so far is stored by, as a message's stored_by. */
    uint64_t (*told)(struct keeper *keeper);
    /* True: `wait` is told once that is stored; false: it is already. Any thread. */
    bool (*wait)(struct keeper *keeper, uint64_t stored_by, const struct keeper_wait *wait);
};

/*
 * Hub: one worker's connections, and the delivery of messages to them. Touched by its worker's thread alone.
 * Between two hubs there is only the exchange.
 */
#pragma once

#include "daemon/core/announcer.h"
#include "daemon/core/closed.h"
#include "daemon/core/connection.h"
#include "daemon/core/farewells.h"
#include "daemon/core/grant.h"
#include "daemon/core/labels.h"
#include "daemon/core/letter.h"
#include "daemon/core/metrics.h"
#include "daemon/core/slot_queue.h"

struct config;
struct exchange;

enum { FANOUT_LETTERS = 64 };

struct hub {
    unsigned worker;
    struct exchange *exchange;
    struct config *config;              /* its own reference; swapped by LETTER_CONFIG */
    uint64_t now_ms;                    /* set by the worker at each turn */
    struct wheel wheel;
    struct metrics metrics;

    struct connection **slots;          /* slot → connection; free slots are NULL */
    uint32_t *free_slots;               /* stack of them; as long as `slots` */
    uint32_t slot_count, slot_capacity, free_count;
    uint32_t generation;                /* part of the next handle */

    struct slot_queue dirty;            /* those with something to send, flushed at the end of the turn */
    struct slot_queue bulk;             /* the same of fan-outs to many: a slice of them a turn, so what comes meanwhile for those
                                         * who wait leaves with it */
    struct slot_queue probes;           /* those to be asked for an acknowledgement, once this turn's messages are sent */
    bool is_bulk;                       /* such a fan-out is being delivered */
    bool is_pressed;                    /* some queue is over its limits: flush before more is delivered */
    uint32_t turn_deliveries;           /* since the last flush */
    struct list parked;                 /* oldest first, each with the end of its resume window in timer.due_tick */
    struct timer parked_timer;          /* for the oldest: one for them all */
    struct list graveyard;              /* closed ones, freed at the end of the turn */
    struct farewells farewells;
    struct closed_list closed;
    struct announcer announcer;
    struct grants grants;               /* of the connections that showed a token */
    struct table labels;                /* of the connections that have some: labels.h */
    _Atomic uint32_t state_counts[CONNECTION_STATE_COUNT];

    unsigned char random[1024];         /* fresh, from the front; a system call for each secret would cost more than the secret */
    size_t random_left;

    struct letter fanout[FANOUT_LETTERS];       /* the delivery under way, in slices: one letter, or several to one place */
    uint32_t fanout_count;              /* 0: none is under way */
    uint32_t fanout_slot;               /* LETTER_ALL: next slot */
};

struct hub *hub_new(unsigned worker, struct exchange *exchange, struct config *config, uint64_t now_ms);
void hub_free(struct hub *hub);

/* The connection with this handle, or NULL. Handles name the worker: hub_handle_worker(). */
struct connection *hub_find(struct hub *hub, uint64_t handle);
static inline unsigned hub_handle_worker(uint64_t handle) { return (unsigned)(handle >> 56); }

/* A connection's secret as the client shows it, taken apart: it names the worker and the slot. */
struct token { unsigned char raw[TOKEN_BYTES]; };
MUST_CHECK int token_parse(struct bytes text, struct token *ret);            /* -EBADMSG: not a token */
unsigned token_worker(const struct token *token);
bool token_is_same(const struct token *a, const struct token *b);            /* takes the same time wherever they differ */
/* NULL: no such connection here (compared in constant time). */
struct connection *hub_find_token(struct hub *hub, const struct token *token);

/* Handles a PLACE, CONNECTION, ALL or VISIT letter, or up to FANOUT_LETTERS of PLACE to one place, which are delivered member by
 * member. False: the delivery is not finished, call hub_continue in a later turn and hand in no other letter before. */
MUST_CHECK bool hub_handle(struct hub *hub, const struct letter *letters, uint32_t count);
MUST_CHECK bool hub_continue(struct hub *hub);

/* This turn has done enough, by what is to be flushed and by what was delivered. */
bool hub_is_full(const struct hub *hub);

/* End of a turn: flushes the dirty ones, closes the doomed, frees the dead. */
void hub_finish_turn(struct hub *hub);
/* There is more to deliver or to flush: the next turn must not wait. */
static inline bool hub_is_busy(const struct hub *hub) { return hub->fanout_count || slot_queue_waiting(&hub->bulk); }

/* Shutdown: tells every connection and closes it. */
void hub_close_all(struct hub *hub, enum fault_id why);
/* The same as far as the main thread keeps up with their life-cycle events. True: all are closed; else to be called again. */
MUST_CHECK bool hub_close_in_step(struct hub *hub, enum fault_id why);

/* Random bytes fit for secrets. -EIO: the kernel has none. */
MUST_CHECK int hub_draw_random(struct hub *hub, void *ret, size_t length);
void hub_count_state(struct hub *hub, enum connection_state from, enum connection_state to);
/* The connection has no transport from now on: it is closed when its resume window is over. */
void hub_park(struct hub *hub, struct connection *connection);
void hub_mark_dirty(struct hub *hub, struct connection *connection);
/* The client is asked for an acknowledgement of what was sent to it, at the end of the turn; where its transport can. */
void hub_probe(struct hub *hub, struct connection *connection);
MUST_CHECK int hub_add(struct hub *hub, struct connection *connection);        /* gives it a slot and a handle; -ENOMEM */
void hub_remove(struct hub *hub, struct connection *connection);

/*
 * Notices: where notices arrive on the main thread, and who gets them there. A sink is whoever wants some kinds: those who listen on
 * the admin socket are one. Knows nothing of what a sink does with them.
 */
#pragma once

#include "daemon/core/exchange.h"
#include "daemon/core/metrics.h"
#include "daemon/core/notice.h"

/* Never waits: what it cannot take at once it keeps, within its own bound, or loses and counts. */
struct notice_sink {
    struct list node;
    /* Asked for each notice, and for all kinds by notices_refresh(). */
    bool (*wants)(const struct notice_sink *sink, enum notice_kind kind);
    /* Life-cycle events come in the order of their numbers. The notice is borrowed. May take its own sink out, no other. */
    void (*take)(struct notice_sink *sink, const struct notice *notice);
    /* When the daemon ends it waits some time until no sink has anything left to do; NULL: it never has. */
    bool (*is_busy)(const struct notice_sink *sink);
};

struct notices {
    struct exchange *exchange;
    struct metrics *metrics;            /* the main thread's own */
    struct list sinks;
    uint64_t lost;                      /* life-cycle events that never came, as far as sinks were told */
};

void notices_init(struct notices *notices, struct exchange *exchange, struct metrics *metrics);

/* From now on the sink gets what it wants. Returns the last number given so far: life-cycle events with higher ones are told to it
 * without a gap, but some with lower ones may be on their way still, if another sink wants them. */
uint64_t notices_add(struct notices *notices, struct notice_sink *sink);
void notices_remove(struct notices *notices, struct notice_sink *sink);
/* A sink wants other kinds from now on. Returns as notices_add() does. */
uint64_t notices_refresh(struct notices *notices);

/* Before there is any connection: tells rtc.epoch, the first life-cycle event, to the sinks there are. */
void notices_begin(struct notices *notices);
/* A LETTER_NOTICE came. Takes it over. */
void notices_take(struct notices *notices, struct notice *notice);
/* Is any sink busy? */
bool notices_are_busy(const struct notices *notices);
/* All letters there were have been taken: says what was lost behind the last of them. */
void notices_settle(struct notices *notices);

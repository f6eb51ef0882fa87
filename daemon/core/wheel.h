/*
 * Wheel: coarse timers for a hundred thousand connections. Setting and stopping one costs a list operation, putting one off
 * nothing: it stays in its slot and finds its new one when that is looked at. A timer fires up to WHEEL_TICK_MS late and
 * never early. One thread owns a wheel. It has no clock of its own: the owner says what time it is (milliseconds of a clock
 * that never jumps).
 */
#pragma once

#include "lib/list.h"

enum { WHEEL_TICK_MS = 50, WHEEL_SLOTS = 1024 };

struct timer {
    struct list node;
    uint32_t due_tick;          /* WHEEL_TICK_MS since the clock began: enough for six years */
    uint32_t slot_tick;         /* of the slot it stands in: not later than it is due, unless it was due at once */
    void (*fire)(struct timer *timer);
};

struct wheel {
    struct list slots[WHEEL_SLOTS];
    uint32_t tick;              /* the last tick that was run */
    size_t count;
};

void wheel_init(struct wheel *wheel, uint64_t now_ms);
/* Runs what is due. A timer is stopped before its `fire` is called, and may be set again there. */
void wheel_run(struct wheel *wheel, uint64_t now_ms);

void timer_init(struct timer *timer, void (*fire)(struct timer *timer));
static inline bool timer_is_set(const struct timer *timer) { return !list_is_empty(&timer->node); }
/* The first tick that is not before this time. */
static inline uint32_t wheel_tick_of(uint64_t ms) { return (uint32_t)((ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS); }
void timer_set(struct wheel *wheel, struct timer *timer, uint64_t due_ms);
void timer_stop(struct wheel *wheel, struct timer *timer);

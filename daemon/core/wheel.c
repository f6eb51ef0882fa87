/*
 * Wheel: see wheel.h. A timer further away than one turn of the wheel waits in its slot and is put back there
 * each time the wheel comes round, until it is due.
 */
#include "daemon/core/wheel.h"

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    wheel->tick = now_ms / WHEEL_TICK_MS;
    wheel->count = 0;
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
    list_init(&timer->node);
    timer->due_ms = 0;
    timer->fire = fire;
}

static void wheel_place(struct wheel *wheel, struct timer *timer)
{
    uint64_t tick = (timer->due_ms + WHEEL_TICK_MS - 1) / WHEEL_TICK_MS;
    /* What is due already goes to the next tick, not into a slot that has just been passed. */
    if (tick <= wheel->tick)
        tick = wheel->tick + 1;
    list_append(&wheel->slots[tick % WHEEL_SLOTS], &timer->node);
}

void timer_set(struct wheel *wheel, struct timer *timer, uint64_t due_ms)
{
    timer_stop(wheel, timer);
    timer->due_ms = due_ms;
    wheel_place(wheel, timer);
    wheel->count++;
}

void timer_stop(struct wheel *wheel, struct timer *timer)
{
    if (!timer_is_set(timer))
        return;
    list_remove(&timer->node);
    wheel->count--;
}

static void wheel_run_slot(struct wheel *wheel, uint64_t now_ms)
{
    struct list due;
    list_init(&due);
    list_move_all(&due, &wheel->slots[wheel->tick % WHEEL_SLOTS]);

    while (!list_is_empty(&due)) {
        struct timer *timer = CONTAINER_OF(due.next, struct timer, node);
        list_remove(&timer->node);
        if (timer->due_ms > now_ms) {
            wheel_place(wheel, timer);
            continue;
        }
        wheel->count--;
        timer->fire(timer);
    }
}

void wheel_run(struct wheel *wheel, uint64_t now_ms)
{
    uint64_t tick = now_ms / WHEEL_TICK_MS;
    /* After a long stall one whole turn visits every slot; more would only visit them again. */
    if (tick > wheel->tick + WHEEL_SLOTS)
        wheel->tick = tick - WHEEL_SLOTS;
    while (wheel->tick < tick) {
        wheel->tick++;
        wheel_run_slot(wheel, now_ms);
    }
}

/*
 * Wheel: see wheel.h. A timer further away than one turn of the wheel waits in its slot and is put back there
 * each time the wheel comes round, until it is due.
 */
#include "daemon/core/wheel.h"

void wheel_init(struct wheel *wheel, uint64_t now_ms)
{
    for (size_t i = 0; i < WHEEL_SLOTS; i++)
        list_init(&wheel->slots[i]);
    wheel->tick = (uint32_t)(now_ms / WHEEL_TICK_MS);
    wheel->count = 0;
}

void timer_init(struct timer *timer, void (*fire)(struct timer *timer))
{
    list_init(&timer->node);
    timer->due_tick = timer->slot_tick = 0;
    timer->fire = fire;
}

static void wheel_place(struct wheel *wheel, struct timer *timer)
{
    /* What is due already goes to the next tick, not into a slot that has just been passed. */
    timer->slot_tick = MAX(timer->due_tick, wheel->tick + 1);
    list_append(&wheel->slots[timer->slot_tick % WHEEL_SLOTS], &timer->node);
}

void timer_set(struct wheel *wheel, struct timer *timer, uint64_t due_ms)
{
    timer->due_tick = wheel_tick_of(due_ms);
    if (timer_is_set(timer) && timer->slot_tick <= timer->due_tick)
        return;
    timer_stop(wheel, timer);
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

static void wheel_run_slot(struct wheel *wheel)
{
    struct list due;
    list_init(&due);
    list_move_all(&due, &wheel->slots[wheel->tick % WHEEL_SLOTS]);

    while (!list_is_empty(&due)) {
        struct timer *timer = CONTAINER_OF(due.next, struct timer, node);
        list_remove(&timer->node);
        if (timer->due_tick > wheel->tick) {
            wheel_place(wheel, timer);
            continue;
        }
        wheel->count--;
        timer->fire(timer);
    }
}

void wheel_run(struct wheel *wheel, uint64_t now_ms)
{
    uint32_t tick = (uint32_t)(now_ms / WHEEL_TICK_MS);
    /* After a long stall one whole turn visits every slot; more would only visit them again. */
    if (tick > wheel->tick + WHEEL_SLOTS)
        wheel->tick = tick - WHEEL_SLOTS;
    while (wheel->tick < tick) {
        wheel->tick++;
        wheel_run_slot(wheel);
    }
}

/*
 * Io: see io.h.
 */
#include "lib/client/io.h"

#include <limits.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 16 };               /* of timers that timers set; the rest waits until the caller has had its turn */

#define TIMER(item) CONTAINER_OF(item, struct io_timer, node)

int io_init(struct io *io)
{
    *io = (struct io){0};
    list_init(&io->timers);
    list_init(&io->finishing);
    io_refresh(io);
    io->epoll = epoll_create1(EPOLL_CLOEXEC);
    return io->epoll < 0 ? -errno : 0;
}

void io_done(struct io *io)
{
    LIST_EACH(item, &io->timers)
        io_timer_stop(io, TIMER(item));
    close(io->epoll);
}

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void io_refresh(struct io *io)
{
    io->now_ms = clock_ms();
}

int io_watch_set(struct io *io, struct io_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (epoll_ctl(io->epoll, EPOLL_CTL_ADD, watch->descriptor, &event) < 0)
        return -errno;
    watch->is_set = true;
    return 0;
}

void io_watch_change(struct io *io, struct io_watch *watch, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = watch};
    if (watch->is_set)
        epoll_ctl(io->epoll, EPOLL_CTL_MOD, watch->descriptor, &event);
}

void io_watch_stop(struct io *io, struct io_watch *watch)
{
    if (!watch->is_set)
        return;
    watch->is_set = false;
    epoll_ctl(io->epoll, EPOLL_CTL_DEL, watch->descriptor, NULL);
    for (int i = 0; i < io->ready_count; i++)
        if (io->ready[i].data.ptr == watch)
            io->ready[i].data.ptr = NULL;
}

void io_timer_set(struct io *io, struct io_timer *timer, uint64_t ms)
{
    io_timer_stop(io, timer);
    if (__builtin_add_overflow(ms ? clock_ms() : io->now_ms, ms, &timer->due_ms))
        timer->due_ms = UINT64_MAX;
    timer->is_set = true;
    /* Most are further away than those before them. */
    struct list *item = io->timers.previous;
    while (item != &io->timers && TIMER(item)->due_ms > timer->due_ms)
        item = item->previous;
    list_append(item->next, &timer->node);
}

void io_timer_stop(struct io *io, struct io_timer *timer)
{
    if (!timer->is_set)
        return;
    timer->is_set = false;
    list_remove(&timer->node);
}

int io_timeout_ms(const struct io *io)
{
    if (list_is_empty(&io->timers))
        return -1;
    uint64_t due_ms = TIMER(io->timers.next)->due_ms, now_ms = clock_ms();
    return due_ms <= now_ms ? 0 : (int)MIN(due_ms - now_ms, (uint64_t)INT_MAX);
}

static void io_run_ready(struct io *io)
{
    io->ready_count = epoll_wait(io->epoll, io->ready, IO_BATCH, 0);
    for (int i = 0; i < io->ready_count; i++) {
        struct io_watch *watch = io->ready[i].data.ptr;
        if (watch)
            watch->on_ready(watch, io->ready[i].events);
    }
    io->ready_count = 0;
}

static bool io_run_due(struct io *io)
{
    struct list due;
    list_init(&due);
    while (!list_is_empty(&io->timers) && TIMER(io->timers.next)->due_ms <= io->now_ms) {
        struct list *item = io->timers.next;
        list_remove(item);
        list_append(&due, item);
    }
    bool has_run = !list_is_empty(&due);
    while (!list_is_empty(&due)) {
        struct io_timer *timer = TIMER(due.next);
        list_remove(&timer->node);
        timer->is_set = false;
        timer->on_due(timer);
    }
    return has_run;
}

void io_process(struct io *io)
{
    io_refresh(io);
    io_run_ready(io);
    for (int i = 0; i < ROUNDS_MAX && io_run_due(io); i++)
        ;
}

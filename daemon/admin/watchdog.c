/*
 * Watchdog: see watchdog.h.
 */
#include "daemon/admin/watchdog.h"

#include "daemon/admin/notify.h"
#include "daemon/core/hub.h"

#include <stdlib.h>

struct round_trip {
    struct visit visit;
    struct watchdog *watchdog;
    bool is_under_way;
};

struct watchdog {
    struct exchange *exchange;
    struct event *timer;
    struct round_trip trips[WORKERS_MAX];
};

static bool trip_run(struct visit *visit, struct hub *hub)
{
    return false;
}

static void trip_arrive(struct visit *visit)
{
    CONTAINER_OF(visit, struct round_trip, visit)->is_under_way = false;
}

static void on_interval(evutil_socket_t descriptor, short what, void *argument)
{
    struct watchdog *watchdog = argument;
    struct ports *ports = &watchdog->exchange->ports;
    bool is_alive = true;
    for (unsigned worker = 0; worker < watchdog->exchange->worker_count; worker++)
        is_alive = is_alive && !watchdog->trips[worker].is_under_way;
    if (is_alive)
        notify_watchdog();
    for (unsigned worker = 0; worker < watchdog->exchange->worker_count; worker++) {
        struct round_trip *trip = &watchdog->trips[worker];
        struct letter letter = {.kind = LETTER_VISIT, .visit = &trip->visit};
        if (trip->is_under_way)
            continue;
        trip->visit.is_over = false;
        trip->is_under_way = ports->post(ports->argument, worker, &letter) == 0;
    }
}

int watchdog_new(struct event_base *base, struct exchange *exchange, struct watchdog **ret)
{
    uint64_t interval_ms = notify_watchdog_ms();
    *ret = NULL;
    if (interval_ms == 0)
        return 0;
    struct watchdog *watchdog = calloc(1, sizeof(*watchdog));
    if (!watchdog)
        return -ENOMEM;
    watchdog->exchange = exchange;
    for (unsigned i = 0; i < WORKERS_MAX; i++)
        watchdog->trips[i] = (struct round_trip){.visit = {trip_run, trip_arrive}, .watchdog = watchdog};
    /* Four times an interval: a trip that is a little late does not cost the daemon its life. */
    uint64_t period_us = interval_ms * 1000 / 4;
    struct timeval period = {(time_t)(period_us / 1000000), (suseconds_t)(period_us % 1000000)};
    watchdog->timer = event_new(base, -1, EV_PERSIST, on_interval, watchdog);
    if (!watchdog->timer || event_add(watchdog->timer, &period) < 0) {
        watchdog_free(watchdog);
        return -ENOMEM;
    }
    *ret = watchdog;
    return 0;
}

void watchdog_free(struct watchdog *watchdog)
{
    if (!watchdog)
        return;
    if (watchdog->timer)
        event_free(watchdog->timer);
    free(watchdog);
}

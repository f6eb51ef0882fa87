/*
 * Watchdog: tells systemd that the daemon lives, but only while every worker's loop turns: each is asked by a visit, and
 * all must have come back since the last time.
 */
#pragma once

#include "daemon/core/exchange.h"

#include <event2/event.h>

struct watchdog;

/* *ret stays NULL when systemd does not ask for it. */
MUST_CHECK int watchdog_new(struct event_base *base, struct exchange *exchange, struct watchdog **ret);
void watchdog_free(struct watchdog *watchdog);

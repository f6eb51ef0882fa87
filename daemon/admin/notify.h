/*
 * Notify: what systemd is told (sd_notify(3)). Without systemd every call does nothing.
 */
#pragma once

#include "lib/base.h"

void notify_ready(void);
void notify_reloading(void);        /* with MONOTONIC_USEC, as Type=notify-reload needs it */
void notify_stopping(void);
void notify_watchdog(void);
/* How often systemd wants to hear (WATCHDOG_USEC); 0: not at all. */
uint64_t notify_watchdog_ms(void);

/*
 * Policy: how long to wait before the next attempt to connect. Pure: the caller draws the random number and keeps the time.
 */
#pragma once

#include "lib/client/options.h"

/* Milliseconds, or -1: give up. `random` is evenly spread over all its values. */
int64_t policy_delay_ms(const struct options *options, const struct rtc_retry *retry, uint32_t random);

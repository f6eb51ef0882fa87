/*
 * Kinds: which transports there are, and which of them a client uses, best first.
 */
#pragma once

#include "lib/client/options.h"

/* Fills at most OFFERS_MAX. RTC_BAD_ARGUMENT: a name that nobody has, one that is named twice, or none at all. */
enum rtc_code kinds_choose(const struct options *options, const struct rtc_transport_kind **ret, size_t *ret_count, struct rtc_error *error);
bool kinds_is_built_in(const char *name);

/*
 * Policy: see policy.h.
 */
#include "lib/client/policy.h"

int64_t policy_delay_ms(const struct options *options, const struct rtc_retry *retry, uint32_t random)
{
    if (options->policy) {
        int64_t delay_ms = options->policy(retry, options->policy_argument);
        return delay_ms < 0 ? -1 : delay_ms;
    }
    if (options->delay_count == 0)
        return -1;
    uint64_t delay_ms = options->delays_ms[MIN((size_t)retry->attempt, options->delay_count - 1)];
    /* Only ever shorter: the longest wait is what was asked for, and clients of one broken server spread over the rest. */
    uint64_t spread_ms = delay_ms * options->jitter_percent / 100;
    return (int64_t)(delay_ms - (spread_ms * random >> 32));
}

/*
 * Reserve: see reserve.h.
 */
#include "daemon/net/reserve.h"

#include "daemon/config/config.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    FILES = 16,                         /* beside the admin's connections: what is opened for a moment */
    SHARE = 8,                          /* one part in so many at most, where few may be open at all */
};

int reserve_start(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur > INT_MAX)
        return INT_MAX;
    rlim_t reserve = MIN((rlim_t)config->admin.max_connections + FILES, limit.rlim_cur / SHARE);
    return (int)(limit.rlim_cur - reserve);
}

bool reserve_is_reached(int start, int some_descriptor)
{
    int lowest = fcntl(some_descriptor, F_DUPFD_CLOEXEC, 0);
    if (lowest >= 0)
        close(lowest);
    return lowest < 0 || lowest >= start;
}

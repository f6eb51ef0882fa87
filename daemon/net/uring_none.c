/*
 * Uring: see uring.h. Built without liburing there is none, and nobody gets past uring_new.
 */
#include "daemon/net/uring.h"

int uring_new(unsigned sends_max, struct uring **ret)
{
    return -ENOSYS;
}

void uring_free(struct uring *uring)
{
}

void uring_add(struct uring *uring, int descriptor, const struct msghdr *message)
{
}

int uring_run(struct uring *uring, ssize_t *results)
{
    return -ENOSYS;
}

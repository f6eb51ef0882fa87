/*
 * Random: see random.h.
 */
#include "cli/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sysexits.h>

static void random_fill(struct random_pool *pool)
{
    size_t got = 0;
    while (got < sizeof(pool->bytes)) {
        ssize_t r = getrandom(pool->bytes + got, sizeof(pool->bytes) - got, 0);
        if (r < 0 && errno != EINTR) {
            fprintf(stderr, "rtcctl: there are no random bytes: %s\n", strerror(errno));
            exit(EX_OSERR);
        }
        got += r > 0 ? (size_t)r : 0;
    }
    pool->left = got;
}

void random_take(struct random_pool *pool, void *ret, size_t length)
{
    assert(length <= sizeof(pool->bytes));
    if (pool->left < length)
        random_fill(pool);
    pool->left -= length;
    memcpy(ret, pool->bytes + pool->left, length);
}

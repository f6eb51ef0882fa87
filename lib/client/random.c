/*
 * Random: see random.h.
 */
#include "lib/client/random.h"

#include <string.h>
#include <sys/random.h>

void random_take(struct random_draw *draw, void *ret, size_t length)
{
    assert(length <= sizeof(draw->bytes));
    if (draw->left < length) {
        /* So few bytes come at once and never fail, once the kernel has any at all: which this waits for. */
        ssize_t got;
        do
            got = getrandom(draw->bytes, sizeof(draw->bytes), 0);
        while (got < 0 && errno == EINTR);
        assert(got == (ssize_t)sizeof(draw->bytes));
        draw->left = sizeof(draw->bytes);
    }
    draw->left -= length;
    memcpy(ret, draw->bytes + draw->left, length);
}

uint32_t random_below(struct random_draw *draw, uint32_t limit)
{
    uint64_t value;
    random_take(draw, &value, sizeof(value));
    return limit ? (uint32_t)(value % limit) : 0;
}

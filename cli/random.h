/*
 * Random: strong random bytes, many small pieces for one call of the kernel.
 */
#pragma once

#include "lib/base.h"

/* All-zero is valid, and empty. */
struct random_pool {
    unsigned char bytes[4096];
    size_t left;
};

/* `length` at most sizeof(bytes). Ends the program where the kernel has none to give. */
void random_take(struct random_pool *pool, void *ret, size_t length);

/*
 * Random: bytes that nobody can guess (masks and keys of WebSocket, jitter), a few at a time from one draw.
 */
#pragma once

#include "lib/base.h"

struct random_draw {
    unsigned char bytes[256];
    size_t left;
};

void random_take(struct random_draw *draw, void *ret, size_t length);   /* at most 256 */
uint32_t random_below(struct random_draw *draw, uint32_t limit);        /* 0 … limit - 1; even enough for delays */

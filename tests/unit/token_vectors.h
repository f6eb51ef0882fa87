/*
 * Token vectors: keys and tokens that another implementation made for this build (tests/integration/tokens.py).
 */
#pragma once

#include "lib/base.h"

struct vector_key {
    const char *name, *text;
    size_t length;
};

struct vector {
    const char *what, *token;
    size_t length;
    const char *user;               /* NULL: it is to be refused */
    const char *detail;             /* part of what is said then */
};

extern const uint64_t vectors_now_s;    /* the time at which they are good */
extern const struct vector_key vector_keys[];
extern const size_t vector_key_count;
extern const struct vector vectors[];
extern const size_t vector_count;

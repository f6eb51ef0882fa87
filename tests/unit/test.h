/*
 * What every unit test includes: cmocka with what it needs, and feeding a decoder in pieces.
 */
#pragma once

#include "lib/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEST(name) cmocka_unit_test(name)

static inline void assert_bytes(struct bytes got, const char *expected)
{
    assert_int_equal(got.length, strlen(expected));
    assert_memory_equal(got.data ? got.data : (const unsigned char *)"", expected, got.length);
}

/* A repeatable source of odd numbers. */
static inline uint32_t test_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

/* The length of the next piece: all, one byte, or something between, by `way`. */
static inline size_t test_piece(unsigned way, size_t left, uint32_t *state)
{
    size_t piece = way == 0 ? left : way == 1 ? 1 : 1 + test_random(state) % 7;
    return piece < left ? piece : left;
}
enum { TEST_WAYS = 12 };        /* whole, byte by byte, ten random cuts */

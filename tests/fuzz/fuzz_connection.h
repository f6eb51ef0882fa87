/*
 * The target for the whole life of connections, for who plays its inputs in another way.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

/* Called before and after an input's steps, between which memory may run out. NULL: it does not. */
extern void (*fuzz_connection_on_steps)(bool begin);

/*
 * Dialects: the list. A new one is a file, an extern and a line here; its index is its place in the list.
 */
#pragma once

#include "daemon/net/router.h"

extern const struct dialect_front native_front, echo_front;

extern const struct dialect_front *const dialect_fronts[];
extern const size_t dialect_count;

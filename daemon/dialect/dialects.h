/*
 * Dialects: the list. A new one is a file, an extern and a line here; its index is its place in the list.
 */
#pragma once

#include "daemon/net/router.h"

extern const struct dialect_front native_front;

enum { DIALECT_COUNT = 1 };
extern const struct dialect_front *const dialect_fronts[DIALECT_COUNT];

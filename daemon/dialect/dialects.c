/*
 * Dialects: see dialects.h.
 */
#include "daemon/dialect/dialects.h"

const struct dialect_front *const dialect_fronts[DIALECT_COUNT] = {
    &native_front,
};

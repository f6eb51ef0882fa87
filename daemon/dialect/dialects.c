/*
 * Dialects: see dialects.h.
 */
#include "daemon/dialect/dialects.h"

const struct dialect_front *const dialect_fronts[] = {
    &native_front,
#ifdef TEST_DIALECTS
    &echo_front,
#endif
};

const size_t dialect_count = COUNT_OF(dialect_fronts);

/*
 * Scarce memory: see scarce.h. Owns the count.
 */
#include "tests/scarce/scarce.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WRAPPED(result, name, ...) \
    result __real_##name(__VA_ARGS__); \
    result __wrap_##name(__VA_ARGS__)

static unsigned left;           /* 0: none fails, or it has failed */
static bool has_failed;

void scarce_begin(unsigned number)
{
    left = number;
    has_failed = false;
}

bool scarce_end(void)
{
    left = 0;
    return has_failed;
}

static bool must_fail(void)
{
    if (left == 0 || --left > 0)
        return false;
    has_failed = true;
    errno = ENOMEM;
    return true;
}

WRAPPED(void *, malloc, size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

WRAPPED(void *, calloc, size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

WRAPPED(void *, realloc, void *block, size_t size)
{
    return must_fail() ? NULL : __real_realloc(block, size);
}

WRAPPED(void *, aligned_alloc, size_t alignment, size_t size)
{
    return must_fail() ? NULL : __real_aligned_alloc(alignment, size);
}

WRAPPED(char *, strdup, const char *text)
{
    return must_fail() ? NULL : __real_strdup(text);
}

WRAPPED(char *, strndup, const char *text, size_t length)
{
    return must_fail() ? NULL : __real_strndup(text, length);
}

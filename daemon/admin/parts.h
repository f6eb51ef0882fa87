/*
 * Parts: the versions of the daemon and of the libraries that it is linked with, as they say themselves at run time.
 */
#pragma once

#include <stddef.h>

struct part_version {
    const char *name, *version;
};

/* Row `index`; a NULL name is beyond the last. */
struct part_version part_version(size_t index);

/*
 * HTTP oracle: what an independent parser (http-parser) makes of a request head. In a file of its own, since its names
 * are also ours.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct oracle {
    const char *method, *problem;
    unsigned minor_version;
    uint64_t content_length;
    bool is_chunked, is_unknown_method;
};

/* Does it accept these bytes as exactly one head? */
bool oracle_read(const char *bytes, size_t length, struct oracle *ret);

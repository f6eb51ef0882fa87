/*
 * OpenAPI: the description of the API, for programs that make clients of it.
 */
#pragma once

#include "lib/buf.h"

/* Appends the whole document. */
void openapi_write(const char *base_path, struct buf *out);

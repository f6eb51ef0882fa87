/*
 * File: reading one that is open to its end.
 */
#pragma once

#include "lib/buf.h"

/* Appends all from where the descriptor stands. 0, or negative errno. */
MUST_CHECK int file_read_all(int descriptor, struct buf *out);

/*
 * File: what the C library leaves out of reading and keeping files.
 */
#pragma once

#include "lib/buf.h"

/* Appends all from where the descriptor stands. 0, or negative errno. */
MUST_CHECK int file_read_all(int descriptor, struct buf *out);
/* Writes the folder of this absolute path to the disk, so that a name that is new in it lasts. 0, or negative errno. */
MUST_CHECK int file_sync_folder(const char *path);

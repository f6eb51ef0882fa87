/*
 * State path: where a file or folder stands that outlives the daemon, if the config does not say: in $STATE_DIRECTORY, which systemd sets.
 */
#pragma once

#include "lib/buf.h"

/* Appends the path: what was given, or NAME in the state directory. -ENOENT: neither is there; -ENOMEM. */
MUST_CHECK int state_path_add(const char *given, const char *name, struct buf *out);

/*
 * Revocation file: where revocations outlive the daemon: auth.revocations-file, or in $STATE_DIRECTORY. Written whole under another
 * name and then renamed, so that there is always a whole one.
 */
#pragma once

#include "lib/base.h"

struct config;
struct revocations;

/* 0 where there is no file yet. Negative errno after logging why: a list that cannot be read must not look like an empty one. */
MUST_CHECK int revocation_file_load(const struct config *config, struct revocations *revocations, uint64_t now_s);
/* -ENOENT: there is no place for it; others after logging why. */
MUST_CHECK int revocation_file_save(const struct config *config, struct revocations *revocations, uint64_t now_s);

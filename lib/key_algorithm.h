/*
 * Key algorithms: those by which tokens may be signed here, and their names (RFC 7518 section 3.1, RFC 8037 section 3.1).
 */
#pragma once

#include "lib/buf.h"

enum key_algorithm { KEY_HS256, KEY_RS256, KEY_PS256, KEY_ES256, KEY_EDDSA, KEY_ALGORITHM_COUNT };

/* "RS256"; the exact spelling, in both directions. False: not one of ours. */
const char *key_algorithm_name(enum key_algorithm algorithm);
bool key_algorithm_find(struct bytes name, enum key_algorithm *ret);

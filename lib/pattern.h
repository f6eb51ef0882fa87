/*
 * Pattern: which names of groups a rule is for. A name is segments with `.`, `:` or `/` between them; `*` stands for any run of
 * bytes within a segment, none as well, and `**` for any run at all; everything else stands for itself, case and separators
 * included. There is no escape: a star in a name is met by stars alone.
 */
#pragma once

#include "lib/buf.h"

enum { PATTERN_MAX_BYTES = 255 };

/* NULL; or what would be right: it is empty, longer than PATTERN_MAX_BYTES, no UTF-8, or has control characters or three stars
 * in a row. */
const char *pattern_problem(struct bytes pattern);

/* Does it match the whole name? Takes time by the name's length times the pattern's at most, whatever they are. False for a
 * pattern that is too long. */
bool pattern_matches(struct bytes pattern, struct bytes name);

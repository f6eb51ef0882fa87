/*
 * Rights: what somebody may whom the rules do not let, by lists of patterns: which groups to join, to publish to, to ask about, and
 * whether to publish to users, connections and all. Said by an access token's claim, or wherever else a list of patterns stands.
 *
 * They are one packed text without pointers: made in a buf by rights_add, copied as bytes, judged where they lie.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/envelope.h"

enum { RIGHTS_PATTERNS_MAX = 64, RIGHTS_BYTES_MAX = 4096 };

struct rights {
    struct bytes packed;                /* empty: none */
};

/* "join", "publish", "presence", "history": in claims, options and commands. */
const char *group_action_name(enum group_action action);

/* One more pattern. -EINVAL: *ret_problem says what is wrong; running out of memory shows in buf_status(). */
MUST_CHECK int rights_add(struct buf *packed, enum group_action action, struct bytes pattern, const char **ret_problem);
/* To publish to TARGET_USER, TARGET_CONNECTION or TARGET_ALL, by name: "user", "connection", "all". -EINVAL: another one. */
MUST_CHECK int rights_add_target(struct buf *packed, struct bytes name, const char **ret_problem);

/* From a claim, a value that the JSON reader has returned: {"join":[PATTERN…],"publish":[…],"presence":[…],"history":[…],"to":["user","connection","all"]}. Members with other
 * names are passed over. DECODE_BAD: INVALID_TOKEN; running out of memory as above. */
enum decode rights_read(struct bytes claim, const char *claim_name, struct buf *packed, struct fault *fault);

/* Does a pattern allow it? *ret_pattern (NULL is fine) is the first that does. */
bool rights_allow(struct rights rights, enum group_action action, struct bytes group, struct bytes *ret_pattern);
bool rights_allow_target(struct rights rights, enum target_kind kind);

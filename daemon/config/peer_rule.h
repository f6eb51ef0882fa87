/*
 * Peer rule: one item of admin.viewers, admin.operators and admin.admins, read and checked. Looks no name up.
 */
#pragma once

#include "lib/base.h"

enum peer_rule_kind { PEER_UID, PEER_GID, PEER_USER, PEER_GROUP };

struct peer_rule {
    enum peer_rule_kind kind;
    uint32_t id;                        /* UID and GID */
    const char *name;                   /* USER and GROUP, within the text */
};

/* "uid:1000", "gid:100", "user:ann", "group:staff". -EINVAL. */
MUST_CHECK int peer_rule_parse(const char *text, struct peer_rule *ret);

/*
 * Roster: one worker's members of one group, or its connections of one user, stored densely so that a fan-out is a walk
 * along an array. Owned by the hub while it has members; the place in the directory points at it.
 */
#pragma once

#include "lib/base.h"

struct connection;
struct directory;
struct place;

struct member {
    struct connection *connection;
    uint32_t membership;                /* index in the connection's memberships (groups only) */
};

struct roster {
    struct place *place;
    struct member *members;
    uint32_t count, capacity;
    uint32_t cursor;                    /* members before it had their copy of the fan-out under way */
    uint64_t newest_join;               /* the place's sequence at the latest join: older letters need a look */
};

/* What a connection holds for each group it is in. */
struct membership {
    struct roster *roster;
    uint32_t index;                     /* in roster->members */
    uint64_t joined_at;                 /* the place's sequence: older messages are not its business */
};

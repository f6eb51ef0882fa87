/*
 * Roster: one worker's members of one group, or its connections of one user, stored densely so that a fan-out is a walk
 * along an array. Owned by the hub while it has members; the place in the directory points at it.
 */
#pragma once

#include "daemon/core/directory.h"

struct connection;

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

/*
 * Adds a member to this worker's roster of that name, making it if need be. *ret_index is where it stands, until
 * roster_remove moves another there. NULL: out of memory.
 */
struct roster *roster_add(struct directory *directory, enum space space, struct bytes name, unsigned worker,
                          struct member member, uint32_t *ret_index, uint64_t *ret_joined_at);

/* Takes out the member at `index`; `on_moved` is told of each member that stands elsewhere now. The roster is freed
 * with its last member. */
void roster_remove(struct directory *directory, struct roster *roster, uint32_t index, unsigned worker,
                   void (*on_moved)(struct roster *roster, uint32_t index));

/* What a connection holds for each group it is in. */
struct membership {
    struct roster *roster;
    uint32_t index;                     /* in roster->members */
    uint64_t joined_at;                 /* the place's sequence: older messages are not its business */
};

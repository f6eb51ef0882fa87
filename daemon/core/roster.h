/*
 * Roster: one worker's members of one group, or its connections of one user, stored densely so that a fan-out is a walk
 * along an array. Owned by the hub while it has members; the place in the directory points at it.
 */
#pragma once

#include "daemon/core/directory.h"

struct group_rule;
struct hub;

struct member {
    uint32_t slot;                      /* of the connection in its hub */
    uint32_t membership;                /* index in the connection's memberships (groups only) */
};

struct roster {
    struct place *place;
    union {                             /* most users have one connection */
        struct member one;
        struct member *many;            /* once there have been more: `capacity` of them */
    } members;
    uint32_t count, capacity;
    uint32_t cursor;                    /* members before it had their copy of the fan-out under way */
    uint32_t rule : 8;                  /* of a group: which of the config's rules holds, from 1; 0: none. Of that generation: */
    uint32_t rule_generation : 24;
    uint64_t newest_join;               /* the place's sequence at the latest join: older letters need a look */
};

static inline struct member *roster_members(struct roster *roster)
{
    return roster->capacity ? roster->members.many : &roster->members.one;
}

/*
 * Adds a member to this worker's roster of that name, making it if need be. *ret_index is where it stands, until
 * roster_remove moves another there. `catch_up`: see archive.h; NULL: nothing is asked for. NULL: out of memory.
 */
struct roster *roster_add(struct hub *hub, enum space space, struct bytes name, struct member member, struct catch_up *catch_up,
                          uint32_t *ret_index, uint64_t *ret_joined_at);

/* Takes out the member at `index`; `on_moved` is told of each member that stands elsewhere now. The roster is freed
 * with its last member. */
typedef void roster_moved_fn(struct hub *hub, struct roster *roster, uint32_t index);
void roster_remove(struct hub *hub, struct roster *roster, uint32_t index, roster_moved_fn *on_moved);

/* The rule that holds for this group, by the hub's config; NULL: none does. Looked up when the group is entered and once after
 * each reload. */
const struct group_rule *roster_rule(const struct hub *hub, struct roster *roster);

/* What a connection holds for each group it is in. */
struct membership {
    struct roster *roster;
    uint64_t joined_at;                 /* the place's sequence: older messages are not its business */
    uint32_t index;                     /* among the roster's members */
    bool is_by_token;                   /* it joined because its access token allows it, and stays no longer than that holds */
    uint8_t announced;                  /* enum config_presence: as what it was counted in, see announcer.h */
};

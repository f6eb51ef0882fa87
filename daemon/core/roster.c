/*
 * Roster: see roster.h.
 */
#include "daemon/core/roster.h"

#include <stdlib.h>

enum { SMALLEST_ROSTER = 2, SHRINK_ABOVE = 64 };

static void roster_close(struct directory *directory, struct roster *roster, unsigned worker)
{
    roster->place->rosters[worker] = NULL;
    directory_leave(directory, roster->place, worker);
    free(roster->members);
    free(roster);
}

static int roster_grow(struct roster *roster)
{
    uint32_t capacity = roster->capacity ? roster->capacity + roster->capacity / 2 + 1 : SMALLEST_ROSTER;
    struct member *members = realloc(roster->members, capacity * sizeof(*members));
    if (!members)
        return -ENOMEM;
    roster->members = members;
    roster->capacity = capacity;
    return 0;
}

struct roster *roster_add(struct directory *directory, enum space space, struct bytes name, unsigned worker,
                          struct member member, uint32_t *ret_index, uint64_t *ret_joined_at)
{
    uint64_t sequence;
    struct place *place = directory_enter(directory, space, name, worker, &sequence);
    if (!place)
        return NULL;

    struct roster *roster = place->rosters[worker];
    if (!roster) {
        roster = calloc(1, sizeof(*roster));
        if (!roster) {
            directory_leave(directory, place, worker);
            return NULL;
        }
        roster->place = place;
        place->rosters[worker] = roster;
    }
    if (roster->count == roster->capacity && roster_grow(roster) < 0) {
        if (roster->count == 0)
            roster_close(directory, roster, worker);
        return NULL;
    }
    *ret_index = roster->count;
    *ret_joined_at = roster->newest_join = sequence;
    roster->members[roster->count++] = member;
    atomic_fetch_add_explicit(&place->member_count, 1, memory_order_relaxed);
    return roster;
}

static void roster_move(struct roster *roster, uint32_t from, uint32_t to,
                        void (*on_moved)(struct roster *roster, uint32_t index))
{
    if (from == to)
        return;
    roster->members[to] = roster->members[from];
    on_moved(roster, to);
}

void roster_remove(struct directory *directory, struct roster *roster, uint32_t index, unsigned worker,
                   void (*on_moved)(struct roster *roster, uint32_t index))
{
    assert(index < roster->count);
    atomic_fetch_sub_explicit(&roster->place->member_count, 1, memory_order_relaxed);

    /* The gap is filled from behind, but never across the cursor: that would serve a member twice, or not at all. */
    if (index < roster->cursor) {
        roster->cursor--;
        roster_move(roster, roster->cursor, index, on_moved);
        index = roster->cursor;
    }
    roster_move(roster, roster->count - 1, index, on_moved);
    roster->count--;

    if (roster->count == 0) {
        roster_close(directory, roster, worker);
        return;
    }
    if (roster->capacity > SHRINK_ABOVE && roster->count < roster->capacity / 4) {
        struct member *members = realloc(roster->members, roster->capacity / 2 * sizeof(*members));
        if (members) {
            roster->members = members;
            roster->capacity /= 2;
        }
    }
}

/*
 * Roster: see roster.h.
 */
#include "daemon/core/roster.h"

#include "daemon/config/groups.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"

#include <stdlib.h>

enum { SMALLEST_ROSTER = 4, SHRINK_ABOVE = 64, GENERATION_MASK = 0xffffff };
_Static_assert(GROUP_RULES_MAX <= 255, "a roster has 8 bits for its rule");

static void roster_find_rule(const struct hub *hub, struct roster *roster)
{
    const struct config *config = hub->config;
    const struct group_rule *rule = config_group_rule(config, place_name(roster->place));
    roster->rule = rule ? (uint8_t)(rule - config->groups + 1) : 0;
    roster->rule_generation = config->generation & GENERATION_MASK;
}

const struct group_rule *roster_rule(const struct hub *hub, struct roster *roster)
{
    if (roster->rule_generation != (hub->config->generation & GENERATION_MASK))
        roster_find_rule(hub, roster);
    return roster->rule ? &hub->config->groups[roster->rule - 1] : NULL;
}

static void roster_close(struct hub *hub, struct roster *roster)
{
    roster->place->rosters[hub->worker] = NULL;
    directory_leave(hub->exchange->directory, roster->place, hub->worker);
    if (roster->capacity)
        free(roster->members.many);
    free(roster);
}

/* At most one letter of a place is on its way, so it needs not ask for room. What comes before the main thread sees to it that a change
 * behind its look at the count is told: see waiter_holds(). */
static void roster_tell_count(struct hub *hub, struct place *place)
{
    const struct ports *ports = &hub->exchange->ports;
    struct letter letter = {.kind = LETTER_COUNTED, .place = place};
    if (!atomic_load(&place->is_watched) || !atomic_exchange(&place->is_watched, false))
        return;
    place_ref(place);
    if (ports->post(ports->argument, MAIN_MAILBOX, &letter) == 0)
        return;
    atomic_store(&place->is_watched, true);
    place_unref(place);
}

static int roster_grow(struct roster *roster)
{
    uint32_t capacity = roster->capacity ? roster->capacity + roster->capacity / 4 + 1 : SMALLEST_ROSTER;
    struct member *old = roster->capacity ? roster->members.many : NULL;
    struct member *members = realloc(old, capacity * sizeof(*members));
    if (!members)
        return -ENOMEM;
    if (!old)
        members[0] = roster->members.one;
    roster->members.many = members;
    roster->capacity = capacity;
    return 0;
}

/* The roster of a place that a member enters. */
static struct roster *roster_open(struct hub *hub, struct place *place)
{
    struct roster *roster = place->rosters[hub->worker];
    if (roster)
        return roster;
    roster = calloc(1, sizeof(*roster));
    if (!roster) {
        directory_leave(hub->exchange->directory, place, hub->worker);
        return NULL;
    }
    roster->place = place;
    if (place->space == SPACE_GROUP)
        roster_find_rule(hub, roster);
    place->rosters[hub->worker] = roster;
    return roster;
}

struct roster *roster_add(struct hub *hub, enum space space, struct bytes name, struct member member, struct catch_up *catch_up,
                          uint32_t *ret_index, uint64_t *ret_joined_at)
{
    uint64_t sequence;
    struct arrival arrival = {.worker = hub->worker, .config = hub->config, .now_ms = hub->now_ms, .catch_up = catch_up};
    struct place *place = directory_enter(hub->exchange->directory, space, name, &arrival, &sequence);
    struct roster *roster = place ? roster_open(hub, place) : NULL;
    if (!roster || (roster->count == MAX(roster->capacity, 1u) && roster_grow(roster) < 0))
        return NULL;
    *ret_index = roster->count;
    *ret_joined_at = roster->newest_join = sequence;
    roster_members(roster)[roster->count++] = member;
    atomic_fetch_add(&place->member_count, 1);
    roster_tell_count(hub, place);
    return roster;
}

static void roster_move(struct hub *hub, struct roster *roster, uint32_t from, uint32_t to, roster_moved_fn *on_moved)
{
    if (from == to)
        return;
    roster_members(roster)[to] = roster_members(roster)[from];
    on_moved(hub, roster, to);
}

void roster_remove(struct hub *hub, struct roster *roster, uint32_t index, roster_moved_fn *on_moved)
{
    assert(index < roster->count);
    atomic_fetch_sub(&roster->place->member_count, 1);
    roster_tell_count(hub, roster->place);

    /* The gap is filled from behind, but never across the cursor: that would serve a member twice, or not at all. */
    if (index < roster->cursor) {
        roster->cursor--;
        roster_move(hub, roster, roster->cursor, index, on_moved);
        index = roster->cursor;
    }
    roster_move(hub, roster, roster->count - 1, index, on_moved);
    roster->count--;

    if (roster->count == 0) {
        roster_close(hub, roster);
        return;
    }
    if (roster->capacity > SHRINK_ABOVE && roster->count < roster->capacity / 4) {
        struct member *members = realloc(roster->members.many, roster->capacity / 2 * sizeof(*members));
        if (members) {
            roster->members.many = members;
            roster->capacity /= 2;
        }
    }
}

/*
 * Store groups: see store_groups.h.
 */
#include "daemon/store/store_groups.h"

#include "daemon/core/directory.h"
#include "daemon/core/message.h"

#include <limits.h>
#include <stdlib.h>
#include <sys/random.h>

enum { BURIED_AT_ONCE = 4096 };

static struct bytes group_name(const void *entry)
{
    const struct store_group *group = entry;
    return bytes_of(group->name, group->name_length);
}

int store_groups_init(struct store_groups *groups)
{
    struct table_seed seed;
    *groups = (struct store_groups){.next_id = 1};
    list_init(&groups->used);
    list_init(&groups->dirty);
    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return -EIO;
    table_init(&groups->by_name, &seed, group_name);
    return 0;
}

void store_groups_done(struct store_groups *groups)
{
    LIST_EACH(node, &groups->used)
        free(CONTAINER_OF(node, struct store_group, node));
    table_done(&groups->by_name);
    free(groups->dying);
    buf_done(&groups->scratch);
}

static void group_touch(struct store_groups *groups, struct store_group *group)
{
    list_remove(&group->dirty);
    list_append(&groups->dirty, &group->dirty);
    list_remove(&group->node);
    list_append(&groups->used, &group->node);
}

struct store_group *store_groups_add(struct store_groups *groups, struct bytes name, const struct store_group_record *record, bool is_dirty)
{
    struct store_group *group = calloc(1, sizeof(*group) + name.length);
    if (!group)
        return NULL;
    group->record = *record;
    group->name_length = name.length;
    memcpy(group->name, name.data, name.length);
    if (table_insert(&groups->by_name, group) < 0) {
        free(group);
        return NULL;
    }
    list_init(&group->node);
    list_init(&group->dirty);
    list_append(&groups->used, &group->node);
    if (is_dirty)
        group_touch(groups, group);
    groups->next_id = MAX(groups->next_id, record->id + 1);
    return group;
}

int store_groups_doom(struct store_groups *groups, uint64_t id)
{
    groups->next_id = MAX(groups->next_id, id + 1);
    if (groups->dying_count == groups->dying_capacity) {
        size_t capacity = MAX(groups->dying_capacity * 2, (size_t)16);
        uint64_t *dying = realloc(groups->dying, capacity * sizeof(*dying));
        if (!dying)
            return -ENOMEM;
        groups->dying = dying;
        groups->dying_capacity = capacity;
    }
    groups->dying[groups->dying_count++] = id;
    return 0;
}

int store_groups_end(struct store_groups *groups, struct store_group *group)
{
    int r = group->is_dead ? 0 : store_groups_doom(groups, group->record.id);
    if (r < 0)
        return r;
    group->is_dead = true;
    group_touch(groups, group);
    return 0;
}

struct store_group *store_groups_oldest(struct store_groups *groups)
{
    LIST_EACH(node, &groups->used) {
        struct store_group *group = CONTAINER_OF(node, struct store_group, node);
        if (!group->is_dead)
            return group;
    }
    return NULL;
}

static bool is_of(const struct store_group *group, const struct store_change *change)
{
    return group && !group->is_dead && memcmp(group->record.state.epoch, change->epoch, HISTORY_EPOCH_TEXT) == 0;
}

/* Nothing that was before stands in the file: so whoever was at an older offset lacks something. */
static struct store_group *group_begin(struct store_groups *groups, struct store_group *present, const struct store_change *change)
{
    struct store_group_record record = {.id = groups->next_id++};
    memcpy(record.state.epoch, change->epoch, HISTORY_EPOCH_TEXT);
    record.state.forgotten = change->offset - 1;
    record.state.has_lost_values = change->keeps_latest && change->offset - 1 > change->forgotten;
    if (!present)
        return store_groups_add(groups, place_name(change->place), &record, true);
    if (store_groups_end(groups, present) < 0)
        return NULL;
    present->record = record;
    present->is_dead = false;
    return present;
}

static void group_follow(struct store_groups *groups, struct store_group *group, const struct store_change *change)
{
    struct history_state *state = &group->record.state;
    state->keeps_latest = change->keeps_latest;
    state->has_lost_values |= change->has_lost_values;
    state->forgotten = MAX(state->forgotten, change->forgotten);
    if (change->kind == CHANGE_PUT)
        state->offset = change->offset;
    while (state->gap_count && state->gaps[0].to <= state->forgotten) {
        state->gap_count--;
        memmove(state->gaps, state->gaps + 1, state->gap_count * sizeof(*state->gaps));
    }
    group_touch(groups, group);
}

static int group_put(struct store_groups *groups, struct store_file *file, struct store_group *group, const struct store_change *change)
{
    int r = 0;
    if (change->message) {
        buf_clear(&groups->scratch);
        store_write_message(change->message, change->at_ms, &groups->scratch);
        r = buf_status(&groups->scratch);
        if (r == 0)
            r = store_file_put_message(file, group->record.id, change->offset, buf_bytes(&groups->scratch));
    }
    if (r == 0 && change->replaced)
        r = store_file_drop_messages(file, group->record.id, change->replaced, change->replaced, 1);
    return r;
}

/* All that is as old as what was forgotten went, or, of the latest of each key, that one. */
static int group_forget(struct store_file *file, const struct store_group *group, const struct store_change *change)
{
    if (!change->keeps_latest)
        return store_file_drop_messages(file, group->record.id, 0, change->forgotten, UINT_MAX);
    return change->kind == CHANGE_FORGET ? store_file_drop_messages(file, group->record.id, change->offset, change->offset, 1) : 0;
}

int store_groups_apply(struct store_groups *groups, struct store_file *file, const struct store_change *change)
{
    struct store_group *group = table_find(&groups->by_name, place_name(change->place));
    int r = 0;
    if (!is_of(group, change)) {
        if (change->kind != CHANGE_PUT)
            return 0;
        group = group_begin(groups, group, change);
        if (!group)
            return -ENOMEM;
    }
    if (change->kind == CHANGE_END)
        return store_groups_end(groups, group);
    uint64_t forgotten = group->record.state.forgotten;
    group_follow(groups, group, change);
    if (change->kind == CHANGE_CLEAR) {
        group->record.state.has_lost_values = change->has_lost_values;
        r = store_groups_doom(groups, group->record.id);
        group->record.id = groups->next_id++;
        return r;
    }
    if (change->kind == CHANGE_PUT)
        r = group_put(groups, file, group, change);
    if (r >= 0 && (change->kind == CHANGE_FORGET || forgotten != group->record.state.forgotten))
        r = group_forget(file, group, change);
    return MIN(r, 0);
}

int store_groups_write(struct store_groups *groups, struct store_file *file)
{
    int r = 0;
    LIST_EACH(node, &groups->dirty) {
        struct store_group *group = CONTAINER_OF(node, struct store_group, dirty);
        buf_clear(&groups->scratch);
        store_write_group(&group->record, &groups->scratch);
        if (group->is_dead)
            r = store_file_drop_group(file, group_name(group));
        else
            r = buf_status(&groups->scratch) < 0 ? -ENOMEM : store_file_put_group(file, group_name(group), buf_bytes(&groups->scratch));
        if (r < 0)
            break;
    }
    return r;
}

int store_groups_bury(struct store_groups *groups, struct store_file *file)
{
    unsigned left = BURIED_AT_ONCE;
    while (groups->dying_count && left) {
        int r = store_file_drop_messages(file, groups->dying[groups->dying_count - 1], 0, UINT64_MAX, left);
        if (r < 0)
            return r;
        /* Should the transaction fail, the messages are orphans, which the next start finds. */
        if ((unsigned)r < left)
            groups->dying_count--;
        left -= (unsigned)r;
    }
    return 0;
}

void store_groups_settle(struct store_groups *groups)
{
    LIST_EACH(node, &groups->dirty) {
        struct store_group *group = CONTAINER_OF(node, struct store_group, dirty);
        list_remove(&group->dirty);
        list_init(&group->dirty);
        if (!group->is_dead)
            continue;
        list_remove(&group->node);
        table_remove(&groups->by_name, group_name(group));
        free(group);
    }
}

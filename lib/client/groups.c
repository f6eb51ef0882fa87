/*
 * Groups: see groups.h.
 */
#include "lib/client/groups.h"

#include "lib/json.h"

#include <stdlib.h>

#define GROUP(item) CONTAINER_OF(item, struct group, node)

void groups_init(struct groups *groups)
{
    list_init(&groups->list);
}

void groups_done(struct groups *groups)
{
    LIST_EACH(item, &groups->list)
        groups_remove(groups, GROUP(item));
}

struct group *groups_find(const struct groups *groups, struct bytes name)
{
    for (struct list *item = groups->list.next; item != &groups->list; item = item->next)
        if (bytes_is(name, GROUP(item)->name))
            return GROUP(item);
    return NULL;
}

struct group *groups_add(struct groups *groups, const char *name, const struct rtc_since *since)
{
    struct group *group = groups_find(groups, bytes_text(name));
    char *epoch = since && since->epoch ? strdup(since->epoch) : NULL;
    if (since && since->epoch && !epoch)
        return NULL;
    if (!group) {
        group = calloc(1, sizeof(*group) + strlen(name) + 1);
        if (!group) {
            free(epoch);
            return NULL;
        }
        memcpy(group->name, name, strlen(name) + 1);
        list_append(&groups->list, &group->node);
    }
    if (since) {
        free(group->epoch);
        group->epoch = epoch;
        group->offset = since->offset;
        group->last = since->last;
    }
    return group;
}

void groups_remove(struct groups *groups, struct group *group)
{
    list_remove(&group->node);
    free(group->epoch);
    free(group);
}

void group_note_joined(struct group *group, struct bytes json)
{
    struct buf scratch = {0};
    struct bytes epoch;
    uint64_t offset, first;
    bool is_recovered = false;
    group->is_joined = true;
    group->last = 0;
    if (json_string(json_member(json, "epoch"), &scratch, &epoch) == 0 && json_uint(json_member(json, "offset"), &offset) == 0) {
        if (json_bool(json_member(json, "recovered"), &is_recovered) < 0)
            is_recovered = false;
        /* What was missed is still to come: until it has, its end is not where the client is. Without `first` nothing is. */
        if (!is_recovered || !group->epoch || !bytes_is(epoch, group->epoch))
            group->offset = json_uint(json_member(json, "first"), &first) == 0 && first ? first - 1 : offset;
        char *copy = strndup((const char *)epoch.data, epoch.length);
        free(group->epoch);
        /* Without memory for it, the next join asks for no history, and says so in its reply. */
        group->epoch = copy;
    }
    buf_done(&scratch);
}

void group_note_offset(struct group *group, uint64_t offset)
{
    group->offset = MAX(group->offset, offset);
}

void group_add_join(const struct group *group, struct buf *out)
{
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "group");
    json_add_text(&json, group->name);
    if (group->epoch) {
        json_key(&json, "since");
        json_begin_object(&json);
        json_key(&json, "epoch");
        json_add_text(&json, group->epoch);
        json_key(&json, "offset");
        json_add_uint(&json, group->offset);
        json_end_object(&json);
    } else if (group->last) {
        json_key(&json, "last");
        json_add_uint(&json, group->last);
    }
    json_end_object(&json);
}

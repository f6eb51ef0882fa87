/*
 * Replies: see replies.h.
 */
#include "lib/client/replies.h"

#include <stdlib.h>
#include <string.h>

#define REPLY(item) CONTAINER_OF(item, struct reply, node)

void replies_init(struct replies *replies)
{
    *replies = (struct replies){0};
    list_init(&replies->list);
}

void replies_done(struct replies *replies)
{
    struct reply *reply;
    while ((reply = replies_take_first(replies)))
        reply_free(reply);
}

void replies_move(struct replies *ret, struct replies *replies)
{
    replies_init(ret);
    list_move_all(&ret->list, &replies->list);
}

struct reply *reply_new(struct replies *replies, enum reply_kind kind, const char *group, uint64_t due_ms)
{
    struct reply *reply = calloc(1, sizeof(*reply) + strlen(group) + 1);
    if (!reply)
        return NULL;
    *reply = (struct reply){.kind = kind, .id = ++replies->last_id, .due_ms = due_ms};
    memcpy(reply->group, group, strlen(group) + 1);
    list_init(&reply->node);
    return reply;
}

void reply_free(struct reply *reply)
{
    free(reply);
}

void replies_add(struct replies *replies, struct reply *reply)
{
    list_append(&replies->list, &reply->node);
}

struct reply *replies_find(const struct replies *replies, uint64_t id)
{
    /* Answers come in the order of the requests, more or less: the first one is mostly it. */
    for (struct list *item = replies->list.next; item != &replies->list; item = item->next)
        if (REPLY(item)->id == id)
            return REPLY(item);
    return NULL;
}

struct reply *replies_take(struct replies *replies, uint64_t id)
{
    struct reply *reply = replies_find(replies, id);
    if (reply)
        list_remove(&reply->node);
    return reply;
}

struct reply *replies_take_first(struct replies *replies)
{
    if (list_is_empty(&replies->list))
        return NULL;
    struct reply *reply = REPLY(replies->list.next);
    list_remove(&reply->node);
    return reply;
}

struct reply *replies_take_due(struct replies *replies, uint64_t now_ms)
{
    for (struct list *item = replies->list.next; item != &replies->list; item = item->next) {
        if (REPLY(item)->due_ms > now_ms)
            continue;
        list_remove(item);
        return REPLY(item);
    }
    return NULL;
}

uint64_t replies_due_ms(const struct replies *replies)
{
    uint64_t due_ms = UINT64_MAX;
    for (struct list *item = replies->list.next; item != &replies->list; item = item->next)
        due_ms = MIN(due_ms, REPLY(item)->due_ms);
    return due_ms;
}

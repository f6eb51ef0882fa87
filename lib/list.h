/*
 * List: an intrusive, doubly linked ring. The head is a node too; an empty list points at itself.
 * A node that is in no list points at itself as well, so taking it out twice is harmless.
 */
#pragma once

#include "lib/base.h"

struct list {
    struct list *next, *previous;
};

/* Walks the list; the current node may be taken out, no other. */
#define LIST_EACH(item, head) \
    for (struct list *item = (head)->next, *item##_next = item->next; item != (head); \
         item = item##_next, item##_next = item->next)

static inline void list_init(struct list *node) { node->next = node->previous = node; }
static inline bool list_is_empty(const struct list *list) { return list->next == list; }

static inline void list_append(struct list *list, struct list *node)
{
    node->previous = list->previous;
    node->next = list;
    list->previous->next = node;
    list->previous = node;
}

static inline void list_remove(struct list *node)
{
    node->previous->next = node->next;
    node->next->previous = node->previous;
    list_init(node);
}

/* Moves all nodes of `from` to the end of `to`; `from` is empty afterwards. */
static inline void list_move_all(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->previous = to->previous;
    from->previous->next = to;
    to->previous->next = from->next;
    to->previous = from->previous;
    list_init(from);
}

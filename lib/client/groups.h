/*
 * Groups: where the client wants to be, and how far it has come in their history, so that it can join again. Knows no I/O.
 */
#pragma once

#include "lib/buf.h"
#include "lib/list.h"
#include "lib/rtc.h"

struct group {
    struct list node;
    char *epoch;                        /* of its history, or what the caller said; NULL: unknown */
    uint64_t offset;                    /* the newest that came */
    unsigned last;                      /* as the caller said, until the first join has succeeded */
    bool is_joined;                     /* a join has succeeded, on this connection or an earlier one */
    uint64_t join_id;                   /* of the join that is under way, or 0 */
    char name[];
};

struct groups { struct list list; };

void groups_init(struct groups *groups);
void groups_done(struct groups *groups);
struct group *groups_find(const struct groups *groups, struct bytes name);          /* NULL */
/* The group, made if it is not there; `since` (may be NULL) replaces what was known. NULL: out of memory. */
struct group *groups_add(struct groups *groups, const char *name, const struct rtc_since *since);
void groups_remove(struct groups *groups, struct group *group);

/* The join was answered: `json` is {"group":G,"epoch":E,"offset":O,…}. */
void group_note_joined(struct group *group, struct bytes json);
void group_note_offset(struct group *group, uint64_t offset);
/* Appends the data of an rtc.join. */
void group_add_join(const struct group *group, struct buf *out);

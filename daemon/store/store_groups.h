/*
 * Store groups: what stands in the file of each group that has a history there, and how a change of a history becomes changes of the file.
 * The store's thread's own.
 *
 * A change may be applied again when the transaction that it was in failed: nothing here is taken back, and applied in the same order all
 * comes out the same.
 */
#pragma once

#include "daemon/store/store_file.h"
#include "daemon/store/store_record.h"
#include "lib/list.h"
#include "lib/table.h"

struct message;
struct place;

enum store_change_kind { CHANGE_PUT, CHANGE_FORGET, CHANGE_CLEAR, CHANGE_END };

/* What became of a history, and how it was afterwards. */
struct store_change {
    enum store_change_kind kind;
    struct place *place;                /* a reference */
    struct message *message;            /* PUT: a reference, or NULL: an offset was given, and nothing is held */
    uint64_t offset, replaced;          /* PUT: of the message, and of the one whose place it took, or 0; FORGET: of that one */
    uint64_t at_ms;                     /* PUT: Unix milliseconds */
    uint64_t forgotten;
    bool keeps_latest, has_lost_values;
    char epoch[HISTORY_EPOCH_TEXT + 1];
};

struct store_group {
    struct list node;                   /* among `used`; whichever was written longest ago is first */
    struct list dirty;                  /* among those whose record is to be written */
    bool is_dead;                       /* it is to go from the file */
    struct store_group_record record;
    size_t name_length;
    char name[];
};

struct store_groups {
    struct table by_name;
    struct list used, dirty;
    uint64_t next_id;
    uint64_t *dying;                    /* ids whose messages are to go */
    size_t dying_count, dying_capacity;
    struct buf scratch;
};

MUST_CHECK int store_groups_init(struct store_groups *groups);
void store_groups_done(struct store_groups *groups);

/* As the file has it, or is to have it: then it is dirty. NULL: out of memory. */
struct store_group *store_groups_add(struct store_groups *groups, struct bytes name, const struct store_group_record *record, bool is_dirty);
/* It goes; its messages, too, in their time. -ENOMEM */
MUST_CHECK int store_groups_end(struct store_groups *groups, struct store_group *group);
MUST_CHECK int store_groups_doom(struct store_groups *groups, uint64_t id);
struct store_group *store_groups_oldest(struct store_groups *groups);      /* that is not dead; NULL: there is none */

/* All of these within a transaction, before whose end the records are written. */
MUST_CHECK int store_groups_apply(struct store_groups *groups, struct store_file *file, const struct store_change *change);
MUST_CHECK int store_groups_write(struct store_groups *groups, struct store_file *file);
/* Some messages of those that are dying. */
MUST_CHECK int store_groups_bury(struct store_groups *groups, struct store_file *file);
/* The transaction was committed. */
void store_groups_settle(struct store_groups *groups);

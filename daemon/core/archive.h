/*
 * Archive: which groups remember what was published to them, as the rules of the config say (groups.history-envelopes). A group that does
 * stays in the directory without members, until all that it holds is too old, or others are used more (history.groups).
 *
 * What takes a stripe is called with its lock held, and so knows the group's one order.
 */
#pragma once

#include "daemon/core/directory.h"
#include "daemon/core/history.h"
#include "daemon/core/keeper.h"

struct config;

struct remembered {
    struct list node;                   /* in its stripe: whichever was used longest ago is first */
    struct place *place;
    struct history *history;
    struct keeper *keeper;              /* NULL: nobody writes it down */
    struct history_sink sink;           /* that tells the keeper */
    struct history_limits limits;
    uint64_t used_ms;                   /* the last join or publish */
};

/* What somebody who comes, or comes back, lacks. */
struct catch_up {
    /* Asked for: what followed this offset of this epoch (empty: nothing), else the last so many. At most so much. */
    struct bytes epoch;
    uint64_t offset, last, count_max, bytes_max;
    bool takes_pages;                   /* of what followed, the oldest will do where all are too many */

    /* The answer: where the group is, and what is to be delivered, in order, with a reference each. */
    bool has_history;
    bool is_complete;                   /* all that was asked for is there */
    bool has_more;                      /* it is a page: nothing is missing before it and in it, and more follows */
    bool is_snapshot;                   /* what is delivered are the values of keys */
    char now_epoch[HISTORY_EPOCH_TEXT + 1];
    uint64_t now_offset;
    struct message **messages;
    uint32_t count;
};
void catch_up_done(struct catch_up *catch_up);      /* what was not taken out is let go */

/* The group's memory, from now on if it had none; NULL: it keeps none (any more). Then a place without members is the caller's to drop. */
struct remembered *archive_open(struct directory *directory, struct stripe *stripe, struct place *place, const struct config *config,
                                uint64_t now_ms);
/* Gives the message its offset, and keeps it. Without memory nothing is kept, and who asks later is told so. */
void archive_append(struct stripe *stripe, struct remembered *remembered, struct message *message, uint64_t now_ms);
/* May something be published there? False: it could not be written down, at present. */
static inline bool archive_has_room(const struct remembered *remembered)
{
    return !remembered->keeper || remembered->keeper->has_room(remembered->keeper);
}
/* At the start: a group's history comes back, without its messages. NULL: the rules keep none of that group, or no memory (*ret). */
struct remembered *archive_restore(struct directory *directory, struct bytes group, const struct history_state *state,
                                   const struct config *config, uint64_t now_ms, int *ret);
/* `remembered` may be NULL. */
void archive_answer(const struct remembered *remembered, struct catch_up *catch_up);

/* Any thread, without a lock held. False: there is no such group, or it keeps nothing. */
bool archive_read(struct directory *directory, struct bytes group, const struct config *config, uint64_t now_ms, struct catch_up *catch_up);
/* Forgets what was published; offsets go on. */
bool archive_clear(struct directory *directory, struct bytes group);
/* Lets go what is too old. Any thread; to be called now and then, and when it is due. */
void archive_sweep(struct directory *directory, uint64_t now_ms);
uint64_t archive_due_ms(const struct directory *directory);

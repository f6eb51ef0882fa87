/*
 * History: what a group remembers, so that whoever comes later can catch up: its last messages, each with its offset
 * (rtc-protocol(7), "Groups with history"). Bounded in number, bytes and age. Knows no group and takes no lock: whoever holds the
 * group's lock may use it.
 *
 * Offsets run from 1 within an epoch, a random word: who names another one speaks of a history that is gone.
 *
 * It keeps all messages, or the latest of each key: then a newer one takes the older one's place, one without data takes the key's value
 * away, and one without a key is numbered but not held. Who comes from an offset is told all changes since, unless one of them is
 * forgotten: only what the limits, or history_clear(), let go counts as that, not what a newer one replaced.
 */
#pragma once

#include "lib/base.h"
#include "lib/buf.h"

struct message;

enum { HISTORY_EPOCH_TEXT = 11 };           /* 64 random bits in base64url */
enum { HISTORY_GAPS_MAX = 4 };

struct history_limits {
    uint32_t count;
    uint64_t bytes, age_ms;
};

/* Offsets between these two were given to messages that nobody knows any more. */
struct history_gap {
    uint64_t from, to;
};

/* All of a history but its messages. */
struct history_state {
    char epoch[HISTORY_EPOCH_TEXT + 1];
    bool keeps_latest, has_lost_values;
    uint64_t offset, forgotten;             /* the newest one's; the newest that was let go, or 0 */
    uint64_t covered_from;                  /* whoever is at an older offset may lack something, whatever is held */
    uint32_t gap_count;
    struct history_gap gaps[HISTORY_GAPS_MAX];      /* in their order; of more, those before the last ones are not known: covered_from */
};
void history_state_renew(struct history_state *state, uint64_t random);      /* another epoch */
void history_state_skip(struct history_state *state, uint64_t count);        /* a gap of so many offsets behind the newest */

/* Whoever wants to know what is let go; not what a newer message replaced. */
struct history_sink {
    void (*on_forgotten)(struct history_sink *sink, uint64_t offset);
    void (*on_cleared)(struct history_sink *sink);          /* in place of each */
};

struct history;

struct history *history_new(uint64_t random);               /* whence its epoch; NULL: out of memory */
/* One that was, without its messages: those are put back in their order. */
struct history *history_restore(const struct history_state *state);
/* A message with an offset, of which none as new is there; takes a reference of its own. -ENOMEM. */
MUST_CHECK int history_put_back(struct history *history, struct message *message, uint64_t at_ms);
void history_free(struct history *history);                 /* NULL is fine */
void history_tell(struct history *history, struct history_sink *sink);     /* from now on; NULL: nobody */
void history_state(const struct history *history, struct history_state *ret);
/* The offset whose place the newest one took; 0: none's. */
uint64_t history_replaced(const struct history *history);

const char *history_epoch(const struct history *history);
uint64_t history_offset(const struct history *history);     /* the newest one's; 0 before the first */
uint32_t history_count(const struct history *history);      /* of those that are held */

/* The latest of each key from now on, or all; a change makes it forget. -ENOMEM, -EIO: it stays as it was. */
MUST_CHECK int history_keep_latest(struct history *history, bool is_latest);
bool history_keeps_latest(const struct history *history);
/* Was there no room for some key's value, since it was empty? */
bool history_has_lost_values(const struct history *history);

/* The next message, whose envelope gets its offset; takes a reference of its own. What the limits leave no room for is forgotten: of
 * those without data, and of all others, the oldest first. -ENOMEM: then nothing is held any more, as what came before it completes nothing. */
MUST_CHECK int history_append(struct history *history, struct message *message, const struct history_limits *limits, uint64_t now_ms);
/* Forgets what is too old, or too much by new limits. */
void history_trim(struct history *history, const struct history_limits *limits, uint64_t now_ms);
/* Forgets all; offsets go on. */
void history_clear(struct history *history);

/* Is everything held that whoever has got as far as this offset lacks? */
bool history_covers(const struct history *history, uint64_t offset);
/* The message with this offset; NULL: it is not held. Borrowed. */
struct message *history_message(const struct history *history, uint64_t offset);
/* The oldest one behind this offset; NULL: none is held. Borrowed. */
struct message *history_after(const struct history *history, uint64_t offset);
/* From the newest to the oldest; NULL at the end. Begin with zeros; the history must not change meanwhile. */
struct history_walk { uint32_t walked; };
struct message *history_older(const struct history *history, struct history_walk *walk);

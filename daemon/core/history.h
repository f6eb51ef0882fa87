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

struct history_limits {
    uint32_t count;
    uint64_t bytes, age_ms;
};

struct history;

struct history *history_new(uint64_t random);               /* whence its epoch; NULL: out of memory */
void history_free(struct history *history);                 /* NULL is fine */

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
/* From the newest to the oldest; NULL at the end. Begin with zeros; the history must not change meanwhile. */
struct history_walk { uint32_t walked; };
struct message *history_older(const struct history *history, struct history_walk *walk);

/*
 * History: what a group remembers, so that whoever comes later can catch up: its last messages, each with its offset
 * (rtc-protocol(7), "Groups with history"). Bounded in number, bytes and age. Knows no group and takes no lock: whoever holds the
 * group's lock may use it.
 *
 * Offsets run from 1 within an epoch, a random word: who names another one speaks of a history that is gone.
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

/* The next message, whose envelope gets its offset; takes a reference of its own. What the limits leave no room for is forgotten.
 * -ENOMEM: then nothing is held any more, as what came before it completes nothing. */
MUST_CHECK int history_append(struct history *history, struct message *message, const struct history_limits *limits, uint64_t now_ms);
/* Forgets what is too old, or too much by new limits. */
void history_trim(struct history *history, const struct history_limits *limits, uint64_t now_ms);
/* Forgets all; offsets go on. */
void history_clear(struct history *history);

/* How many are held behind `offset`, all that followed it: the answer to "since". -ERANGE: some that followed are forgotten, or
 * there never was such an offset. */
MUST_CHECK int history_since(const struct history *history, uint64_t offset, uint32_t *ret_count);
/* The message with this offset, which is held. Borrowed. */
struct message *history_message(const struct history *history, uint64_t offset);

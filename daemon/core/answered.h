/*
 * Answered: what calls with an idempotency key were answered, so that one that is sent once more is answered alike and not carried out
 * again. Knows no command and no clock. One thread's alone.
 *
 * Bounded by what all answers weigh together. Beyond it whoever has among the most gives up its oldest: keys are counted for each caller and
 * group by itself, and where one uses many, those of others stay.
 */
#pragma once

#include "lib/buf.h"

struct answered;
struct answered_entry;

/* A call as it came. Who asks, the key and what was asked for make it the same once more; the group only counts for whose it is. */
struct answered_call {
    struct bytes caller, key, group;
    unsigned command;
    struct bytes data;
};

enum answered_state {
    ANSWERED_NEW,               /* it is to be carried out, and its entry ended or dropped */
    ANSWERED_BEFORE,            /* and here is what it was answered */
    ANSWERED_UNDER_WAY,         /* the first one has no answer yet */
    ANSWERED_OTHERWISE,         /* the key was used for something else */
    ANSWERED_NO_MEMORY,
};

enum { IDEMPOTENCY_KEY_MAX = 255, ANSWERED_WEIGHT_BYTES = 256 };

/* 1 to 255 visible ASCII characters? */
bool idempotency_key_is_valid(struct bytes key);
/* From a header's value: as it stands, or in quotes (RFC 8941 section 3.3.3). -EINVAL: it is none. */
MUST_CHECK int idempotency_key_read(struct bytes value, struct buf *ret);

struct answered *answered_new(void);            /* NULL: out of memory */
void answered_free(struct answered *answered);  /* with what is under way; NULL is fine */

/* *ret of a new one; *ret_answer, until the next call here, of one that was answered before. Those older than the window are gone. */
enum answered_state answered_begin(struct answered *answered, const struct answered_call *call, uint64_t window_ms, uint64_t now_ms,
                                   struct answered_entry **ret, struct bytes *ret_answer);
/* It was carried out. Returns how many others were forgotten before their time, as all together weighed more than `weight_max`: each a
 * place, and another for every 256 bytes of its answer. */
size_t answered_end(struct answered *answered, struct answered_entry *entry, struct bytes answer, uint64_t weight_max, uint64_t now_ms);
/* Nothing was done: as if it had never come. */
void answered_drop(struct answered *answered, struct answered_entry *entry);

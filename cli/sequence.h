/*
 * Sequence: what one receiver has had of one sender's numbered messages: new, late or doubled. Constant memory: the
 * highest number and which of the 64 before it have come. Pure.
 */
#pragma once

#include "lib/base.h"

enum sequence_verdict {
    SEQUENCE_NEXT,                      /* new, and after all others: numbers between may still be missing */
    SEQUENCE_LATE,                      /* new, after one that should have come later */
    SEQUENCE_DOUBLE,                    /* had before */
};

/* All-zero: nothing has come. Numbers begin with 0. */
struct sequence {
    uint64_t next;                      /* the highest that has come, plus 1 */
    uint64_t had;                       /* bit i: next-1-i has come */
};

/* A number more than 64 behind counts as late: whether it came before is no longer known. */
enum sequence_verdict sequence_take(struct sequence *sequence, uint64_t number);

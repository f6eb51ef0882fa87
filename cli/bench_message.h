/*
 * Bench message: what each message carries besides padding, found again in whatever envelope the daemon puts it: plain
 * text that JSON and MessagePack leave as it is, behind a random mark. So a delivery costs a search, not a decoder.
 */
#pragma once

#include "lib/buf.h"

enum {
    BENCH_MARK = 16,                    /* characters: random, the same for a whole run */
    BENCH_PUBLISHER_DIGITS = 4, BENCH_NUMBER_DIGITS = 12, BENCH_TIME_DIGITS = 16,
    BENCH_MESSAGE_BYTES = BENCH_MARK + BENCH_PUBLISHER_DIGITS + BENCH_NUMBER_DIGITS + BENCH_TIME_DIGITS,
};

struct bench_stamp {
    uint64_t publisher, number;         /* the publisher's how-manieth message, from 0 */
    uint64_t due_ns;
};

/* The envelope of all messages of a run, and where in it the mark stands. */
struct bench_message {
    char mark[BENCH_MARK + 1];
    struct buf envelope;
    size_t mark_at;
    size_t found_at;                    /* in the last delivery; in most others too */
};

/* `mark_bytes` are random. -ENOMEM. */
MUST_CHECK int bench_message_init(struct bench_message *message, const unsigned char mark_bytes[static BENCH_MARK / 2],
                                  const char *group, size_t data_bytes, bool is_msgpack);
void bench_message_done(struct bench_message *message);

/* The envelope with this stamp; valid until the next. */
struct bytes bench_message_stamp(struct bench_message *message, const struct bench_stamp *stamp);

/* false: it is none of ours. */
bool bench_message_find(struct bench_message *message, struct bytes delivered, struct bench_stamp *ret);

/*
 * Store record: how a message and the state of a history are written down, and read again. No I/O, and no trust: each ends with a checksum,
 * and whatever is too short, too long or out of bounds is refused.
 */
#pragma once

#include "daemon/core/history.h"
#include "lib/buf.h"

struct message;

/* A group, as the disk knows it. */
struct store_group_record {
    uint64_t id;                        /* of its messages; never used for another */
    struct history_state state;
};

/* Puts the checksum behind what stands from `start` on, as all that is written here has it. */
void store_seal(struct buf *record, size_t start);

void store_write_group(const struct store_group_record *group, struct buf *out);
MUST_CHECK int store_read_group(struct bytes record, struct store_group_record *ret);                /* -EBADMSG */

/* `at_ms`: when it was published, Unix milliseconds. The group and the offset are not in it. */
void store_write_message(const struct message *message, uint64_t at_ms, struct buf *out);
/* -EBADMSG, -ENOMEM */
MUST_CHECK int store_read_message(struct bytes record, struct bytes group, uint64_t offset, struct message **ret, uint64_t *ret_at_ms);

/*
 * Spool record: how what waits for webhooks stands in the spool file, which begins with SPOOL_MAGIC and goes on with records:
 *
 *     4 bytes  length of the body, little endian as all numbers
 *     4 bytes  CRC-32 of the body (that of zlib and gzip)
 *     body     1 byte kind: 1 an event, 2 its end; 8 bytes its number; and of an event 8 bytes time (Unix milliseconds), 1 byte length of
 *              the webhook's name, the name, and the CloudEvent to the body's end
 *
 * Does no I/O.
 */
#pragma once

#include "lib/buf.h"

#define SPOOL_MAGIC "rtcdspl1"

enum { SPOOL_MAGIC_BYTES = 8, SPOOL_HEAD_BYTES = 8, SPOOL_EVENT_BYTES = 18 /* of a body, beside name and CloudEvent */,
       SPOOL_BODY_MAX = 1024 * 1024 };

enum spool_kind { SPOOL_EVENT = 1, SPOOL_END = 2 };

struct spool_record {
    enum spool_kind kind;
    uint64_t number;                    /* grows in the file; an end has that of its event */
    uint64_t time_ms;
    struct bytes name, json;
};

/* Takes one off the front of *text; the slices point into it. MORE: it is cut off; BAD: it is none. *text is as before then. */
enum decode spool_record_take(struct bytes *text, struct spool_record *ret);
void spool_record_add(struct buf *out, const struct spool_record *record);

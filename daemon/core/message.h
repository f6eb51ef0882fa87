/*
 * Message: one envelope on its way to any number of connections. Immutable once made, counted across threads.
 *
 * Keeps one encoding for each (dialect, codec) that somebody has asked for, each made once, with room in front
 * for its WebSocket header, so that every member of a group sends the very same bytes.
 */
#pragma once

#include "lib/envelope.h"

#include <stdatomic.h>

struct dialect;

enum { MESSAGE_DIALECTS_MAX = 4 };

struct encoding {
    uint32_t length;                    /* of the payload */
    uint8_t header_length;              /* of the WebSocket header right before it */
    bool is_emptied;                    /* the data had no form in this codec and went out as null */
    unsigned char bytes[];              /* room for the header, then the payload */
};

/* The payload alone, and with its WebSocket header. */
struct bytes encoding_payload(const struct encoding *encoding);
struct bytes encoding_frame(const struct encoding *encoding);

struct message {
    atomic_uint references;
    uint32_t size;                      /* what it is charged with in queues: name, data and a fixed part */
    struct encoding *_Atomic encodings[MESSAGE_DIALECTS_MAX][CODEC_COUNT];
    struct envelope envelope;           /* its slices point behind this struct */
};

/* Copies all that the envelope points at. One reference is the caller's. NULL: out of memory. */
struct message *message_new(const struct envelope *envelope);
void message_ref_many(struct message *message, unsigned count);
void message_unref(struct message *message);        /* NULL is fine */
static inline void message_free(struct message *message) { message_unref(message); }
DEFINE_SCOPED(message)

/* Any thread; NULL: out of memory. Owned by the message. */
const struct encoding *message_encoding(struct message *message, const struct dialect *dialect, enum codec_id codec);

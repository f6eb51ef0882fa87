/*
 * Message: one envelope on its way to any number of connections. Immutable once made, counted across threads.
 *
 * Keeps one encoding for each (dialect, codec) that somebody has asked for, each made once, with room in front
 * for its WebSocket header, so that every member of a group sends the very same bytes. An encoding keeps its compressed form.
 */
#pragma once

#include "daemon/config/config.h"
#include "daemon/core/ports.h"
#include "lib/ws_frame.h"

#include <stdatomic.h>

enum { MESSAGE_DIALECTS_MAX = 4 };

struct metrics;
struct packer;
struct trace;

struct encoding {
    struct encoding *_Atomic packed;    /* as a compressed message; itself: it stays as it is; NULL: nobody asked yet */
    uint32_t length;                    /* of the payload */
    uint8_t header_length;              /* of the WebSocket header right before it */
    unsigned char bytes[];              /* room for the header, then the payload */
};

/* The payload alone, and with its WebSocket header. */
static inline struct bytes encoding_payload(const struct encoding *encoding)
{
    return bytes_of(encoding->bytes + WS_SERVER_HEADER_MAX, encoding->length);
}

static inline struct bytes encoding_frame(const struct encoding *encoding)
{
    return bytes_of(encoding->bytes + WS_SERVER_HEADER_MAX - encoding->header_length,
                    encoding->header_length + (size_t)encoding->length);
}

/* What goes to those with permessage-deflate; NULL: nobody asked yet. */
static inline const struct encoding *encoding_packed(const struct encoding *encoding)
{
    return atomic_load_explicit(&encoding->packed, memory_order_acquire);
}
/* Makes it, or decides that the encoding stays as it is, for once and for all: it has less than `min_bytes`, does not shrink, or there is
 * no memory (or packer) for it. Any thread, each with a packer of its own. Owned by the message. */
const struct encoding *encoding_pack(struct encoding *encoding, struct packer *packer, unsigned level, size_t min_bytes);

struct message {
    atomic_uint references;
    uint32_t size;                      /* what it is charged with in queues: name, data and a fixed part */
    uint32_t lost;                      /* of a gap notice: how many it stands for; else 0 */
    uint8_t slow;                       /* enum config_slow: what becomes of it where too much waits; set by message_set_slow() */
    bool has_more;                      /* there is more to do when it is queued: it replaces others, or is traced */
    struct trace *trace;                /* its own reference; NULL: nobody asks what becomes of it */
    struct encoding *_Atomic encodings[MESSAGE_DIALECTS_MAX][CODEC_COUNT];
    uint64_t stored_by;                 /* the write of the keeper that is to be waited for; 0: none. The publisher's */
    struct envelope envelope;           /* its slices point behind this struct */
};

/* Copies all that the envelope points at. One reference is the caller's. NULL: out of memory. */
struct message *message_new(const struct envelope *envelope);
/* A gap notice (rtc.gap) for a group, which has lost nothing yet. It belongs to one outbox, and may count on there until it is
 * sent. NULL: out of memory. */
struct message *message_new_gap(struct bytes group);
void message_count_lost(struct message *gap, uint32_t more);
/* Before anybody else has it. */
void message_set_slow(struct message *message, enum config_slow slow);
void message_set_trace(struct message *message, struct trace *trace);
void message_ref_many(struct message *message, unsigned count);
void message_unref_many(struct message *message, unsigned count);
static inline void message_unref(struct message *message) { message_unref_many(message, 1); }      /* NULL is fine */
static inline void message_free(struct message *message) { message_unref(message); }
DEFINE_SCOPED(message)

/* Any thread; NULL: out of memory. Owned by the message. Data that has no form in the codec goes out as null, which `metrics`, the
 * caller's, count. */
const struct encoding *message_encode(struct message *message, const struct dialect *dialect, enum codec_id codec, struct metrics *metrics);
/* The same, cheap where it has been made before: for each member but the first. */
static inline const struct encoding *message_encoding(struct message *message, const struct dialect *dialect, enum codec_id codec,
                                                      struct metrics *metrics)
{
    const struct encoding *present = atomic_load_explicit(&message->encodings[dialect->index][codec], memory_order_acquire);
    return present ? present : message_encode(message, dialect, codec, metrics);
}

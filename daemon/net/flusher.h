/*
 * Flusher: how a worker hands bytes to its sockets. What goes to one socket is gathered into a parcel, and a parcel is one
 * send. By `net.flush: write` it goes out at once; by `uring` the parcels of a turn's end wait for each other, and many go
 * out in one system call. Owns the room that parcels are gathered in; what is in them is its caller's business.
 */
#pragma once

#include "daemon/net/uring.h"

#include <sys/uio.h>

struct config;
struct connection;
struct encoding;

enum {
    STREAM_PIECES_MAX = 3, STREAM_SCRATCH = 48,         /* of one envelope */
    PARCEL_ENVELOPES = 64,
    PARCEL_PIECES = PARCEL_ENVELOPES * STREAM_PIECES_MAX + 1,
    FLAT_PARCEL_MAX = 8192,             /* several pieces of no more bytes in all are copied together: that costs less than a list */
    FLUSH_PARCELS = 128, FLUSH_PIECES = 4096, FLUSH_ENVELOPES = 2048, FLUSH_FLAT_BYTES = 256 * 1024,
};

/* How one numbered envelope looks on this transport: fills `pieces`, returns how many. `scratch` lives as long as they do. */
typedef int stream_frame_fn(const struct connection *connection, uint64_t number, const struct encoding *encoding,
                            struct iovec pieces[static STREAM_PIECES_MAX], char scratch[static STREAM_SCRATCH]);

struct parcel {
    struct connection *connection;
    stream_frame_fn *frame;
    struct msghdr head;                 /* its pieces */
    size_t bytes, queued_bytes;         /* in all; of them those that are not of numbered envelopes */
    uint32_t envelope_count;
    char (*scratches)[STREAM_SCRATCH];  /* one for each envelope */
};

struct flusher {
    struct uring *uring;                /* NULL: by write */
    void (*on_sent)(struct parcel *parcel, ssize_t result);
    /* What waits never exceeds the FLUSH_ bounds; behind it is room for one more parcel, which goes out at once. */
    unsigned parcel_count, piece_count, envelope_count, flat_bytes;
    ssize_t results[FLUSH_PARCELS];
    struct parcel parcels[FLUSH_PARCELS + 1];
    struct iovec pieces[FLUSH_PIECES + PARCEL_PIECES];
    char scratches[FLUSH_ENVELOPES + PARCEL_ENVELOPES][STREAM_SCRATCH];
    unsigned char flat[FLUSH_FLAT_BYTES + FLAT_PARCEL_MAX];
};

/* On the worker's own thread. Says in the log which way is taken where it is not the one that was asked for. `on_sent` is told
 * of each parcel that waited what came of it: bytes, or negative errno. */
void flusher_init(struct flusher *flusher, const struct config *config, void (*on_sent)(struct parcel *parcel, ssize_t result));
void flusher_done(struct flusher *flusher);

/* An empty parcel to be filled. It is the same one again until flusher_wait keeps it. */
struct parcel *flusher_parcel(struct flusher *flusher);
/* The parcel is filled: its pieces may become one. */
void flusher_flatten(struct flusher *flusher, struct parcel *parcel);
/* The parcel goes out with others, in flusher_run; that may be now. Only with a uring. */
void flusher_wait(struct flusher *flusher, struct parcel *parcel, int descriptor);
/* Sends all that waits. */
void flusher_run(struct flusher *flusher);

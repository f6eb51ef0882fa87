/*
 * Flusher: see flusher.h.
 */
#include "daemon/net/flusher.h"

#include "daemon/config/config.h"
#include "lib/log.h"

#include <string.h>

static void flusher_empty(struct flusher *flusher)
{
    flusher->parcel_count = flusher->piece_count = flusher->envelope_count = flusher->flat_bytes = 0;
}

void flusher_init(struct flusher *flusher, const struct config *config, void (*on_sent)(struct parcel *parcel, ssize_t result))
{
    flusher->on_sent = on_sent;
    flusher_empty(flusher);
    int r = config->net.flush == FLUSH_URING ? uring_new(FLUSH_PARCELS, &flusher->uring) : 0;
    if (r < 0)
        log_warning(LOG_AREA_NET, NULL, "net.flush: io_uring cannot be had here (%s); using write, which costs more processor time "
                    "and loses nothing", r == -ENOSYS ? "this kernel or this build has none" : strerror(-r));
}

void flusher_done(struct flusher *flusher)
{
    uring_free(flusher->uring);
    flusher->uring = NULL;
}

struct parcel *flusher_parcel(struct flusher *flusher)
{
    struct parcel *parcel = &flusher->parcels[flusher->parcel_count];
    parcel->head.msg_iov = flusher->pieces + flusher->piece_count;
    parcel->head.msg_iovlen = 0;
    parcel->scratches = flusher->scratches + flusher->envelope_count;
    parcel->bytes = parcel->queued_bytes = 0;
    parcel->envelope_count = 0;
    return parcel;
}

/* The next parcel must fit into what the bounds leave. */
static bool flusher_is_full(const struct flusher *flusher)
{
    return flusher->parcel_count == FLUSH_PARCELS || flusher->piece_count + PARCEL_PIECES > FLUSH_PIECES
        || flusher->envelope_count + PARCEL_ENVELOPES > FLUSH_ENVELOPES || flusher->flat_bytes + FLAT_PARCEL_MAX > FLUSH_FLAT_BYTES;
}

void flusher_flatten(struct flusher *flusher, struct parcel *parcel)
{
    struct iovec *pieces = parcel->head.msg_iov;
    if (parcel->head.msg_iovlen < 2 || parcel->bytes > FLAT_PARCEL_MAX)
        return;
    unsigned char *start = flusher->flat + flusher->flat_bytes, *at = start;
    for (size_t i = 0; i < parcel->head.msg_iovlen; i++) {
        memcpy(at, pieces[i].iov_base, pieces[i].iov_len);
        at += pieces[i].iov_len;
    }
    pieces[0] = (struct iovec){start, parcel->bytes};
    parcel->head.msg_iovlen = 1;
}

void flusher_wait(struct flusher *flusher, struct parcel *parcel, int descriptor)
{
    assert(flusher->uring && parcel == &flusher->parcels[flusher->parcel_count]);
    uring_add(flusher->uring, descriptor, &parcel->head);
    flusher->parcel_count++;
    flusher->piece_count += (unsigned)parcel->head.msg_iovlen;
    flusher->envelope_count += parcel->envelope_count;
    if (parcel->head.msg_iov->iov_base == flusher->flat + flusher->flat_bytes)
        flusher->flat_bytes += (unsigned)parcel->bytes;
    if (flusher_is_full(flusher))
        flusher_run(flusher);
}

/* The ring broke. Where it is not known what has gone out, the link is given up: its client comes back, and says itself what it
 * has. */
static void flusher_fall_back(struct flusher *flusher, int reason)
{
    log_warning(LOG_AREA_NET, NULL, "net.flush: io_uring failed (%s); using write from now on", strerror(-reason));
    flusher_done(flusher);
    for (unsigned i = 0; i < flusher->parcel_count; i++)
        if (flusher->results[i] == -ECANCELED)
            flusher->results[i] = -ECONNABORTED;
}

void flusher_run(struct flusher *flusher)
{
    if (flusher->parcel_count == 0)
        return;
    int r = uring_run(flusher->uring, flusher->results);
    if (r < 0)
        flusher_fall_back(flusher, r);
    /* What is sent meanwhile uses the room behind these. */
    for (unsigned i = 0; i < flusher->parcel_count; i++)
        flusher->on_sent(&flusher->parcels[i], flusher->results[i]);
    flusher_empty(flusher);
}

/*
 * Stream: see stream.h. A batch is gathered into one sendmsg: first the rest of a half sent envelope, then what is
 * unnumbered, then whole envelopes. Afterwards the bytes taken are dealt out in that order.
 */
#include "daemon/net/stream.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"

enum {
    BATCH_ENVELOPES = 64,
    QUEUE_BYTES_MAX = 64 * 1024,        /* unnumbered bytes a peer may leave unread before it is read no more */
};

struct batch {
    struct iovec pieces[BATCH_ENVELOPES * STREAM_PIECES_MAX + 1];
    uint32_t sizes[BATCH_ENVELOPES];    /* of each envelope, all its pieces */
    char scratch[BATCH_ENVELOPES][STREAM_SCRATCH];
    int piece_count;
    uint32_t envelope_count;
    size_t bytes, queued_bytes;
};

static void batch_skip(struct iovec *pieces, int count, size_t bytes)
{
    for (int i = 0; i < count && bytes; i++) {
        size_t part = MIN(bytes, pieces[i].iov_len);
        pieces[i].iov_base = (char *)pieces[i].iov_base + part;
        pieces[i].iov_len -= part;
        bytes -= part;
    }
}

static int batch_add_envelope(struct batch *batch, struct connection *connection, stream_frame_fn *frame)
{
    uint32_t index = batch->envelope_count;
    struct message *message = outbox_peek(&connection->outbox, index);
    if (!message)
        return -ENOENT;
    const struct encoding *encoding = message_encoding(message, connection->dialect, connection->codec);
    if (!encoding)
        return -ENOMEM;
    struct iovec *pieces = batch->pieces + batch->piece_count;
    uint64_t number = outbox_sent(&connection->outbox) + 1 + index;
    int count = frame(connection, number, encoding, pieces, batch->scratch[index]);
    uint32_t size = 0;
    for (int i = 0; i < count; i++)
        size += (uint32_t)pieces[i].iov_len;
    batch->sizes[index] = size;
    batch->envelope_count++;
    batch->piece_count += count;
    batch->bytes += size;
    return 0;
}

static void batch_add_queued(struct batch *batch, struct link *link)
{
    batch->queued_bytes = link_queued_bytes(link);
    if (batch->queued_bytes == 0)
        return;
    batch->pieces[batch->piece_count++] = (struct iovec){link->work->out.data + link->work->out_offset, batch->queued_bytes};
    batch->bytes += batch->queued_bytes;
}

/* -ENOMEM: an envelope could not be encoded. */
static int batch_gather(struct batch *batch, struct connection *connection, stream_frame_fn *frame)
{
    batch->piece_count = 0;
    batch->envelope_count = 0;
    batch->bytes = 0;
    int r = 0;
    if (outbox_partial(&connection->outbox)) {
        r = batch_add_envelope(batch, connection, frame);
        if (r < 0)
            return r;
        batch_skip(batch->pieces, batch->piece_count, outbox_partial(&connection->outbox));
        batch->bytes -= outbox_partial(&connection->outbox);
    }
    batch_add_queued(batch, connection->link);
    while (r == 0 && batch->envelope_count < BATCH_ENVELOPES)
        r = batch_add_envelope(batch, connection, frame);
    return r == -ENOENT ? 0 : r;
}

/* Deals `sent` bytes out in the order in which they were gathered. */
static void batch_account(const struct batch *batch, struct connection *connection, size_t sent)
{
    struct link *link = connection->link;
    uint32_t done = 0, partial = outbox_partial(&connection->outbox);
    if (partial) {
        size_t rest = batch->sizes[0] - partial;
        if (sent < rest) {
            connection_mark_sent(connection, 0, partial + (uint32_t)sent);
            return;
        }
        sent -= rest;
        done = 1;
    }
    size_t queued = MIN(sent, batch->queued_bytes);
    sent -= queued;
    if (queued) {
        link->work->out_offset += queued;
        if (link_queued_bytes(link) == 0) {
            buf_done(&link->work->out);
            link->work->out_offset = 0;
        }
    }
    while (done < batch->envelope_count && sent >= batch->sizes[done])
        sent -= batch->sizes[done++];
    connection_mark_sent(connection, done, (uint32_t)sent);
}

void stream_flush(struct connection *connection, stream_frame_fn *frame)
{
    struct link *link = connection->link;
    struct batch batch;
    while (!link_waits_to_write(link) && (outbox_unsent_count(&connection->outbox) || link_queued_bytes(link))) {
        if (batch_gather(&batch, connection, frame) < 0) {
            connection_doom(connection, FAULT_INTERNAL);
            return;
        }
        ssize_t sent = link_write(link, batch.pieces, batch.piece_count);
        if (sent < 0)
            return;
        if (sent > 0) {
            connection->sent_ms = (uint32_t)connection->hub->now_ms;
            batch_account(&batch, connection, (size_t)sent);
        }
        if ((size_t)sent < batch.bytes)
            link_arm(link, true);
    }
    connection_watch_stall(connection);
    if (outbox_has_kept(&connection->outbox))
        connection_tend_within(connection, connection->hub->config->connection.keep_alive_ms);
    if (link->connection && link->is_paused && link_queued_bytes(link) == 0 && !link_is_stalled(link))
        link_resume(link);
    if (!link->is_closed)
        link_rest(link);
}

void stream_queue(struct connection *connection, struct bytes bytes)
{
    struct link *link = connection->link;
    link_send(link, bytes);
    if (link->is_closed)
        return;
    if (link_queued_bytes(link) > QUEUE_BYTES_MAX)
        link_pause(link);
    hub_mark_dirty(connection->hub, connection);
}

/* Not to a client that does not read, nor on a link that it has left for another: there it would get it twice. */
static bool stream_sends_the_rest(enum fault_id why)
{
    return why != FAULT_SLOW_CONSUMER && why != FAULT_INTERNAL && why != FAULT_TAKEN_OVER && why != FAULT_TIMEOUT;
}

void stream_finish(struct link *link, stream_frame_fn *frame, const struct fault *why)
{
    struct connection *connection = STEAL(link->connection);
    if (stream_sends_the_rest(why->id)) {
        connection->link = link;
        stream_flush(connection, frame);
        connection->link = NULL;
    }
    if (link->is_closed || !outbox_partial(&connection->outbox))
        return;

    struct buf rest = {0};
    struct iovec pieces[STREAM_PIECES_MAX];
    char scratch[STREAM_SCRATCH];
    struct message *message = outbox_peek(&connection->outbox, 0);
    const struct encoding *encoding = message_encoding(message, connection->dialect, connection->codec);
    int count = encoding ? frame(connection, outbox_sent(&connection->outbox) + 1, encoding, pieces, scratch) : 0;
    batch_skip(pieces, count, outbox_partial(&connection->outbox));
    for (int i = 0; i < count; i++)
        buf_add(&rest, pieces[i].iov_base, pieces[i].iov_len);
    struct link_work *work = link_work(link);
    if (!work) {
        buf_done(&rest);
        return;
    }
    buf_add(&rest, work->out.data + work->out_offset, link_queued_bytes(link));
    buf_done(&work->out);
    work->out = rest;
    work->out_offset = 0;
}

uint64_t stream_tend(struct connection *connection, uint64_t now_ms)
{
    const struct config *config = connection->hub->config;
    if (outbox_is_stalled(&connection->outbox, now_ms)) {
        struct fault why = {.id = FAULT_SLOW_CONSUMER};
        connection_close(connection, &why, true);
        return 0;
    }
    connection_watch_stall(connection);
    connection_tell_received(connection);
    connection_forget_old(connection);
    uint64_t next_ms = config->connection.keep_alive_ms;
    const struct owed *owed = connection->outbox.owed;
    if (owed && owed->stall_number)
        next_ms = MIN(next_ms, owed->stall_ms > now_ms ? owed->stall_ms - now_ms : 1);
    return next_ms;
}

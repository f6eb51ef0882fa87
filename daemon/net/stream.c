/*
 * Stream: see stream.h. A parcel is one send: first the rest of a half sent envelope, then what is unnumbered, then whole
 * envelopes. Afterwards the bytes taken are dealt out in that order.
 */
#include "daemon/net/stream.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/core/slow.h"

enum {
    QUEUE_BYTES_MAX = 64 * 1024,        /* unnumbered bytes a peer may leave unread before it is read no more */
};

static void pieces_skip(struct iovec *pieces, size_t count, size_t bytes)
{
    for (size_t i = 0; i < count && bytes; i++) {
        size_t part = MIN(bytes, pieces[i].iov_len);
        pieces[i].iov_base = (char *)pieces[i].iov_base + part;
        pieces[i].iov_len -= part;
        bytes -= part;
    }
}

static size_t pieces_bytes(const struct iovec *pieces, int count)
{
    size_t bytes = 0;
    for (int i = 0; i < count; i++)
        bytes += pieces[i].iov_len;
    return bytes;
}

/* The unsent envelope at `index` as it looks on the wire. How many pieces; -ENOMEM: it cannot be encoded. */
static inline int stream_frame_one(const struct connection *connection, stream_frame_fn *frame, uint32_t index,
                                   struct iovec pieces[static STREAM_PIECES_MAX], char scratch[static STREAM_SCRATCH])
{
    struct message *message = outbox_peek(&connection->outbox, index);
    const struct encoding *encoding = message_encoding(message, connection->dialect, connection->codec, &connection->hub->metrics);
    if (!encoding)
        return -ENOMEM;
    return frame(connection, outbox_sent(&connection->outbox) + 1 + index, encoding, pieces, scratch);
}

static void parcel_add_queued(struct parcel *parcel)
{
    const struct link *link = parcel->connection->link;
    size_t bytes = link_queued_bytes(link);
    if (bytes == 0)
        return;
    parcel->head.msg_iov[parcel->head.msg_iovlen++] = (struct iovec){link->work->out.data + link->work->out_offset, bytes};
    parcel->queued_bytes = bytes;
    parcel->bytes += bytes;
}

/* -ENOMEM: an envelope could not be encoded. */
static int parcel_gather(struct parcel *parcel, struct connection *connection, stream_frame_fn *frame)
{
    uint32_t partial = outbox_partial(&connection->outbox);
    uint32_t count = MIN(outbox_unsent_count(&connection->outbox), (uint32_t)PARCEL_ENVELOPES);
    parcel->connection = connection;
    parcel->frame = frame;
    if (!partial)
        parcel_add_queued(parcel);
    for (; parcel->envelope_count < count; parcel->envelope_count++) {
        uint32_t index = parcel->envelope_count;
        struct iovec *pieces = parcel->head.msg_iov + parcel->head.msg_iovlen;
        int added = stream_frame_one(connection, frame, index, pieces, parcel->scratches[index]);
        if (added < 0)
            return added;
        if (index == 0 && partial)
            pieces_skip(pieces, (size_t)added, partial);
        parcel->bytes += pieces_bytes(pieces, added);
        parcel->head.msg_iovlen += (size_t)added;
        if (index == 0 && partial)
            parcel_add_queued(parcel);
    }
    return 0;
}

/* Deals out what was sent of the parcel to the link's queue. Returns the rest. */
static size_t parcel_deal_queued(const struct parcel *parcel, size_t sent)
{
    struct link *link = parcel->connection->link;
    size_t queued = MIN(sent, parcel->queued_bytes);
    if (queued) {
        link->work->out_offset += queued;
        if (link_queued_bytes(link) == 0) {
            buf_done(&link->work->out);
            link->work->out_offset = 0;
        }
    }
    return sent - queued;
}

/* The socket took only a part: the envelopes are measured once more, to see where it ended. */
static void parcel_deal_part(const struct parcel *parcel, size_t sent)
{
    struct connection *connection = parcel->connection;
    struct iovec pieces[STREAM_PIECES_MAX];
    char scratch[STREAM_SCRATCH];
    uint32_t done = 0, partial = outbox_partial(&connection->outbox);
    bool has_queued_before = partial == 0;
    if (has_queued_before)
        sent = parcel_deal_queued(parcel, sent);
    for (sent += partial; done < parcel->envelope_count; done++) {
        int count = stream_frame_one(connection, parcel->frame, done, pieces, scratch);
        size_t bytes = pieces_bytes(pieces, count);
        if (sent < bytes)
            break;
        sent -= bytes;
        if (!has_queued_before) {
            sent = parcel_deal_queued(parcel, sent);
            has_queued_before = true;
        }
    }
    connection_mark_sent(connection, done, (uint32_t)sent);
}

/* True: the socket takes more, and there is more. */
static bool parcel_deal(const struct parcel *parcel, ssize_t result)
{
    struct connection *connection = parcel->connection;
    struct link *link = connection->link;
    ssize_t sent = link_count_sent(link, result);
    if (sent < 0)
        return false;
    if (sent > 0)
        connection->sent_ms = (uint32_t)connection->hub->now_ms;
    if ((size_t)sent == parcel->bytes) {
        parcel_deal_queued(parcel, parcel->queued_bytes);
        connection_mark_sent(connection, parcel->envelope_count, 0);
        return outbox_unsent_count(&connection->outbox) > 0;
    }
    parcel_deal_part(parcel, (size_t)sent);
    link_arm(link, true);
    return false;
}

static bool stream_has_more(const struct connection *connection)
{
    return outbox_unsent_count(&connection->outbox) || link_queued_bytes(connection->link);
}

/* What is looked after once a connection's turn to send is over. */
static void stream_settle(struct connection *connection)
{
    struct link *link = connection->link;
    if (!link || link->is_closed)
        return;
    connection_watch_stall(connection);
    if (outbox_has_kept(&connection->outbox))
        connection_tend_within(connection, connection->hub->config->connection.keep_alive_ms);
    if (link->connection && link->is_paused && link_queued_bytes(link) == 0 && !link->is_stalled)
        link_resume(link);
    if (!link->is_closed)
        link_rest(link);
}

/* The parcel with what goes out next; NULL: nothing does. */
static struct parcel *stream_gather(struct connection *connection, stream_frame_fn *frame)
{
    struct link *link = connection->link;
    if (link_waits_to_write(link) || !stream_has_more(connection))
        return NULL;
    struct parcel *parcel = flusher_parcel(&link->worker->flusher);
    if (parcel_gather(parcel, connection, frame) == 0) {
        flusher_flatten(&link->worker->flusher, parcel);
        return parcel;
    }
    connection_doom(connection, FAULT_INTERNAL);
    return NULL;
}

void stream_flush(struct connection *connection, stream_frame_fn *frame)
{
    struct link *link = connection->link;
    struct parcel *parcel;
    while (!link->is_closed && (parcel = stream_gather(connection, frame))
           && parcel_deal(parcel, link_try(link, parcel->head.msg_iov, parcel->head.msg_iovlen)))
        ;
    stream_settle(connection);
}

void stream_flush_turn(struct connection *connection, stream_frame_fn *frame)
{
    struct link *link = connection->link;
    struct flusher *flusher = &link->worker->flusher;
    /* What goes through TLS is not for the kernel to take from here. */
    struct parcel *parcel = flusher->uring && !link->is_tls ? stream_gather(connection, frame) : NULL;
    if (parcel)
        flusher_wait(flusher, parcel, link->source.descriptor);
    else
        stream_flush(connection, frame);
}

void stream_on_sent(struct parcel *parcel, ssize_t result)
{
    struct connection *connection = parcel->connection;
    if (parcel_deal(parcel, result))
        stream_flush(connection, parcel->frame);
    else
        stream_settle(connection);
}

void stream_queue(struct connection *connection, const struct buf *bytes)
{
    struct link *link = connection->link;
    if (buf_status(bytes) < 0) {
        connection_doom(connection, FAULT_INTERNAL);
        return;
    }
    link_send(link, buf_bytes(bytes));
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
    connection->link = link;
    int count = stream_frame_one(connection, frame, 0, pieces, scratch);
    connection->link = NULL;
    pieces_skip(pieces, (size_t)MAX(count, 0), outbox_partial(&connection->outbox));
    for (int i = 0; i < count; i++)
        buf_add(&rest, pieces[i].iov_base, pieces[i].iov_len);
    struct link_work *work = link_work(link);
    if (!work) {
        buf_done(&rest);
        return;
    }
    if (link_queued_bytes(link))
        buf_add(&rest, work->out.data + work->out_offset, link_queued_bytes(link));
    buf_done(&work->out);
    work->out = rest;
    work->out_offset = 0;
}

uint64_t stream_tend(struct connection *connection, uint64_t now_ms)
{
    const struct config *config = connection->hub->config;
    if (!slow_tend(connection)) {
        struct fault why = {.id = FAULT_SLOW_CONSUMER};
        connection_close(connection, &why, true);
        return 0;
    }
    connection_watch_stall(connection);
    connection_tell_received(connection);
    /* Telling it may have lost the link. */
    if (!connection->link)
        return 0;
    connection_forget_old(connection);
    return MIN(config->connection.keep_alive_ms, outbox_stalls_in_ms(&connection->outbox, now_ms));
}

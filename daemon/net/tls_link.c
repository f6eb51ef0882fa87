/*
 * TLS link: see tls_link.h.
 *
 * What OpenSSL encrypts is sent at once, and kept here where the socket takes only a part of it. As long as something is kept, the link
 * is told that its last byte is still to be sent: so it waits for the socket, and counts as having something to send, like any other
 * link whose socket is full. It offers that byte again, which is passed over.
 */
#include "daemon/net/tls_link.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/core/limits.h"
#include "daemon/net/http.h"
#include "lib/log.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>

enum {
    RECEIVE_BYTES = 32 * 1024,          /* what was read and what OpenSSL had kept, one record at most, fit into a worker's buffer */
    SEND_BYTES = 4 * TLS_RECORD_MAX,    /* encrypted for one send */
    KEPT_BYTES_MAX = 2 * SEND_BYTES,    /* what a peer may ask for without reading it */
    HANDSHAKES_PER_TURN = 1,            /* steps of them: each costs as much as a hundred deliveries, and others wait meanwhile */
};
_Static_assert(RECEIVE_BYTES + TLS_RECORD_MAX <= READ_BUFFER_BYTES, "a worker's buffer holds what was received");

struct kept {                           /* encrypted, and not taken by the socket */
    size_t offset, length;
    unsigned char bytes[];
};

struct tls_link {
    struct link link;
    struct tls_session session;
    struct kept *kept;
    struct list node;                   /* in the worker's `begun`, until the handshake is over */
    bool is_established;
    bool is_refused;                    /* what still comes is thrown away unread */
    bool is_due;                        /* its handshake had to wait, and may go on */
    bool owes_byte;                     /* the last byte that was encrypted is one that the link has not been told of */
    bool has_ended;
};

struct tls_worker {
    struct tls_desk desk;
    struct tls_store *store;
    struct list waiting;                /* links whose handshake could go on, in the order in which they came */
    struct list begun;                  /* links whose handshake is under way, oldest first: each costs as much as ten that are over */
    size_t begun_count;
    unsigned handshakes_left;           /* of this turn */
    unsigned char input[RECEIVE_BYTES];
    unsigned char record[TLS_RECORD_MAX];
};

static struct tls_link *tls_link_of(const struct link *link)
{
    return CONTAINER_OF(link, struct tls_link, link);
}

static ssize_t try_again(void)
{
    errno = EAGAIN;
    return -1;
}

/* Sending */

/* Puts what the socket did not take behind what is kept. */
static int tls_link_keep(struct tls_link *tls, const unsigned char *bytes, size_t length)
{
    size_t before = tls->kept ? tls->kept->length : 0;
    struct kept *kept = before + length <= KEPT_BYTES_MAX ? realloc(tls->kept, sizeof(*kept) + before + length) : NULL;
    if (!kept)
        return -ENOBUFS;
    if (!before)
        kept->offset = 0;
    memcpy(kept->bytes + before, bytes, length);
    kept->length = before + length;
    tls->kept = kept;
    return 0;
}

/* What lies on the desk goes to the socket. 0: all of it; -EAGAIN: the rest is kept; else the link is to be given up. */
static int tls_link_send_desk(struct tls_link *tls)
{
    struct buf *out = &tls->link.worker->tls->desk.out;
    ssize_t sent = 0;
    int r = buf_status(out);
    if (r == 0 && out->length && !tls->kept)
        sent = send(tls->link.source.descriptor, out->data, out->length, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0) {
        r = errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? 0 : -errno;
        sent = 0;
    }
    if (r == 0 && (size_t)sent < out->length)
        r = tls_link_keep(tls, out->data + sent, out->length - (size_t)sent);
    buf_clear(out);
    return r < 0 ? r : tls->kept ? -EAGAIN : 0;
}

int tls_link_flush(struct link *link)
{
    struct tls_link *tls = tls_link_of(link);
    struct kept *kept = tls->kept;
    if (!kept)
        return 0;
    ssize_t sent = send(link->source.descriptor, kept->bytes + kept->offset, kept->length - kept->offset, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent < 0)
        return errno == EAGAIN || errno == EINTR || errno == ENOBUFS ? -EAGAIN : -errno;
    kept->offset += (size_t)sent;
    if (kept->offset < kept->length)
        return -EAGAIN;
    free(STEAL(tls->kept));
    return 0;
}

/* As much as may be sent at once, behind the first `passed` bytes. Small pieces share a record. Bytes encrypted, or negative errno. */
static ssize_t tls_link_encrypt(struct tls_link *tls, const struct iovec *pieces, size_t count, size_t passed)
{
    struct tls_worker *own = tls->link.worker->tls;
    size_t taken = 0, filled = 0;
    int r = 0;
    for (size_t i = 0; i < count && taken < SEND_BYTES && r == 0; i++) {
        size_t at = MIN(passed, pieces[i].iov_len);
        passed -= at;
        while (at < pieces[i].iov_len && taken < SEND_BYTES && r == 0) {
            const unsigned char *data = (const unsigned char *)pieces[i].iov_base + at;
            size_t part = MIN(MIN(pieces[i].iov_len - at, (size_t)TLS_RECORD_MAX - filled), SEND_BYTES - taken);
            bool is_alone = filled == 0 && (part == TLS_RECORD_MAX || i + 1 == count);
            if (is_alone) {
                r = tls_session_write(&tls->session, &own->desk, data, part);
            } else {
                memcpy(own->record + filled, data, part);
                filled += part;
            }
            at += part;
            taken += part;
            if (filled == TLS_RECORD_MAX) {
                r = tls_session_write(&tls->session, &own->desk, own->record, filled);
                filled = 0;
            }
        }
    }
    if (r == 0 && filled)
        r = tls_session_write(&tls->session, &own->desk, own->record, filled);
    return r < 0 ? r : (ssize_t)taken;
}

ssize_t tls_link_send(struct link *link, const struct iovec *pieces, size_t count)
{
    struct tls_link *tls = tls_link_of(link);
    int r = tls_link_flush(link);
    if (r < 0)
        return r;
    if (!tls->is_established || tls->is_refused)
        return -ECONNRESET;
    size_t taken = tls->owes_byte ? 1 : 0;
    tls->owes_byte = false;
    ssize_t more;
    do {
        more = tls_link_encrypt(tls, pieces, count, taken);
        if (more < 0) {
            buf_clear(&link->worker->tls->desk.out);
            return more;
        }
        taken += (size_t)more;
        r = tls_link_send_desk(tls);
    } while (more == SEND_BYTES && r == 0);
    if (r == 0)
        return (ssize_t)taken;
    tls->owes_byte = r == -EAGAIN;
    return r == -EAGAIN ? (ssize_t)taken - 1 : r;
}

/* Receiving, and the handshake */

static size_t handshake_on_data(struct link *link, unsigned char *data, size_t length)
{
    return length;
}

static void handshake_on_drained(struct link *link)
{
}

/* Somebody began, and came to no end: that cost something. */
static void handshake_note(struct link *link)
{
    if (tls_link_of(link)->session.ssl)
        limits_note_handshake(link->worker->hub, &link->work->address);
}

static void handshake_on_lost(struct link *link, enum fault_id why)
{
    handshake_note(link);
    link_free(link);
}

static void tls_link_log(struct link *link, const char *reason)
{
    char address[PEER_TEXT_MAX];
    metrics_add(&link->worker->hub->metrics, METRIC_TLS_FAILED, 1);
    peer_address_print(&link->work->address, address);
    log_info(LOG_AREA_NET, LOG_FIELDS({"address", address}), "a TLS handshake failed: %s", reason);
}

static void handshake_on_deadline(struct link *link)
{
    tls_link_log(link, "it was not over in time (tls.handshake-timeout)");
    handshake_note(link);
    link_free(link);
}

static const struct link_handler handshake_handler = {
    .on_data = handshake_on_data,
    .on_drained = handshake_on_drained,
    .on_lost = handshake_on_lost,
    .on_deadline = handshake_on_deadline,
    .on_retry = link_resume,
};

struct link *tls_link_new(struct worker *worker, int descriptor, const struct peer_address *address)
{
    struct link *link = link_new(worker, descriptor, address, sizeof(struct tls_link));
    if (!link)
        return NULL;
    link->is_tls = true;
    list_init(&tls_link_of(link)->node);
    return link;
}

void tls_link_begin_handshake(struct link *link)
{
    /* Nothing is said: to be told so, one would need the handshake. */
    if (!limits_may_shake_hands(link->worker->hub, &link->work->address)) {
        link_free(link);
        return;
    }
    link_set_handler(link, &handshake_handler);
    link_set_deadline(link, link->worker->hub->config->tls.handshake_timeout_ms);
}

bool tls_link_stop(struct link *link)
{
    if (link->handler != &handshake_handler)
        return false;
    link_free(link);
    return true;
}

/* A worker turns to its other clients between any two handshakes: else a flood of them, good or bad, would hold all up. */
static bool tls_link_must_wait(struct tls_link *tls)
{
    struct tls_worker *own = tls->link.worker->tls;
    if (tls->is_due || (own->handshakes_left && list_is_empty(&own->waiting))) {
        own->handshakes_left -= !tls->is_due;
        tls->is_due = false;
        return false;
    }
    link_pause(&tls->link);
    if (!tls->link.is_closed)
        list_append(&own->waiting, &tls->link.work->stalled_node);
    return true;
}

void tls_worker_turn(struct tls_worker *own)
{
    own->handshakes_left = HANDSHAKES_PER_TURN;
    while (own->handshakes_left && !list_is_empty(&own->waiting)) {
        struct link *link = CONTAINER_OF(own->waiting.next, struct link_work, stalled_node)->link;
        own->handshakes_left--;
        list_remove(&link->work->stalled_node);
        tls_link_of(link)->is_due = true;
        link_resume(link);
    }
}

bool tls_worker_is_busy(const struct tls_worker *own)
{
    return !list_is_empty(&own->waiting);
}

/* The handshake is over, one way or the other. */
static void tls_link_leave_begun(struct tls_link *tls)
{
    if (list_is_empty(&tls->node))
        return;
    list_remove(&tls->node);
    tls->link.worker->tls->begun_count--;
}

/* -ENOMEM. */
static int tls_link_begin(struct tls_link *tls)
{
    struct tls_worker *own = tls->link.worker->tls;
    int r = tls_session_init(&tls->session, tls_store_take(own->store), &own->desk);
    if (r < 0)
        return r;
    list_append(&own->begun, &tls->node);
    if (++own->begun_count > tls->link.worker->hub->config->tls.handshakes) {
        struct tls_link *oldest = CONTAINER_OF(own->begun.next, struct tls_link, node);
        tls_link_log(&oldest->link, "others came, and there were too many at once (tls.handshakes)");
        tls_link_leave_begun(oldest);
        link_free(&oldest->link);
    }
    return 0;
}

/* TLS begins with a record's type, HTTP with a letter. Who speaks HTTP is told so, in HTTP: the link is a plain one from now on. */
static bool tls_link_is_plain(struct link *link, unsigned char first)
{
    if (first < 'A' || first > 'Z')
        return false;
    link->is_tls = false;
    link->is_misplaced = true;
    http_start(link);
    return true;
}

/* The peer is told why, by what OpenSSL has left on the desk. It may still be sending: a reset would take that message from it. */
static void tls_link_refuse(struct tls_link *tls)
{
    tls_link_log(&tls->link, tls->link.worker->tls->desk.failure);
    handshake_note(&tls->link);
    tls->is_refused = true;
    link_close_gracefully(&tls->link);
}

/* True: it is done, and the link HTTP's. */
static bool tls_link_shake_hands(struct tls_link *tls)
{
    struct link *link = &tls->link;
    struct metrics *metrics = &link->worker->hub->metrics;
    enum tls_progress progress = tls_session_accept(&tls->session, &link->worker->tls->desk);
    int r = tls_link_send_desk(tls);
    if (r < 0 && r != -EAGAIN) {
        link_lost(link, FAULT_LINK_LOST);
        return false;
    }
    if (r == -EAGAIN)
        link_arm(link, true);
    if (link->is_closed || progress == TLS_MORE)
        return false;
    tls_link_leave_begun(tls);
    if (progress == TLS_FAILED) {
        tls_link_refuse(tls);
        return false;
    }
    tls->is_established = true;
    metrics_add(metrics, METRIC_TLS_HANDSHAKES, 1);
    if (tls_session_is_resumed(&tls->session))
        metrics_add(metrics, METRIC_TLS_RESUMED, 1);
    http_start(link);
    return !link->is_closed;
}

static ssize_t tls_link_decrypt(struct tls_link *tls, void *room, size_t size)
{
    struct link *link = &tls->link;
    struct tls_desk *desk = &link->worker->tls->desk;
    bool is_over;
    size_t length = tls_session_read(&tls->session, desk, room, size, &is_over);
    if (desk->out.length) {
        int r = tls_link_send_desk(tls);
        is_over = is_over || (r < 0 && r != -EAGAIN);
        if (r == -EAGAIN)
            link_arm(link, true);
    }
    if (is_over && length == 0)
        return 0;
    /* What came before the end is told first; then the socket says that it has ended. */
    if (is_over)
        shutdown(link->source.descriptor, SHUT_RD);
    return length ? (ssize_t)length : try_again();
}

ssize_t tls_link_receive(struct link *link, void *room, size_t size)
{
    struct tls_link *tls = tls_link_of(link);
    struct tls_worker *own = link->worker->tls;
    bool is_shaking_hands = !tls->is_established && !tls->is_refused;
    if (is_shaking_hands && tls_link_must_wait(tls))
        return try_again();
    ssize_t got = recv(link->source.descriptor, own->input, sizeof(own->input), 0);
    if (got <= 0)
        return got;
    bool is_first = !tls->session.ssl;
    if (tls->is_refused || (is_first && tls_link_is_plain(link, own->input[0]))) {
        memcpy(room, own->input, (size_t)got);
        return got;
    }
    if (is_first && tls_link_begin(tls) < 0)
        return 0;
    own->desk.in = bytes_of(own->input, (size_t)got);
    if (is_shaking_hands && !tls_link_shake_hands(tls))
        return try_again();
    return tls_link_decrypt(tls, room, size);
}

bool tls_link_end(struct link *link)
{
    struct tls_link *tls = tls_link_of(link);
    if (tls->has_ended || !tls->is_established)
        return true;
    tls->has_ended = true;
    tls_session_end(&tls->session, &link->worker->tls->desk);
    return tls_link_send_desk(tls) != -EAGAIN;
}

void tls_link_settle(struct link *link)
{
    struct tls_link *tls = tls_link_of(link);
    tls_session_move(&tls->session, &link->worker->tls->desk);
    if (tls->kept)
        link_arm(link, true);
}

void tls_link_done(struct link *link)
{
    struct tls_link *tls = tls_link_of(link);
    tls_link_leave_begun(tls);
    tls_session_done(&tls->session);
    free(tls->kept);
}

const char *tls_link_user(const struct link *link)
{
    return link->is_tls ? tls_link_of(link)->session.user : NULL;
}

int tls_worker_new(struct tls_store *store, struct tls_worker **ret)
{
    struct tls_worker *own = *ret = calloc(1, sizeof(*own));
    if (!own)
        return -ENOMEM;
    own->store = store;
    own->handshakes_left = HANDSHAKES_PER_TURN;
    list_init(&own->waiting);
    list_init(&own->begun);
    int r = tls_desk_init(&own->desk);
    if (r < 0) {
        free(own);
        *ret = NULL;
    }
    return r;
}

void tls_worker_free(struct tls_worker *own)
{
    if (!own)
        return;
    tls_desk_done(&own->desk);
    free(own);
}

/*
 * Link: see link.h.
 */
#include "daemon/net/link.h"

#include "daemon/net/http.h"
#include "daemon/net/tls_link.h"

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    LINGER_MS = 2000,
    LINGER_BYTES_MAX = 256 * 1024,
    REQUESTS_PER_FEED = 4,      /* that came in one piece */
};

_Static_assert(sizeof(struct link) == LINK_BYTES, "set LINK_BYTES in ports.h");

static void link_feed(struct link *link, unsigned char *data, size_t length);

static void on_deadline(struct timer *timer)
{
    struct link *link = CONTAINER_OF(timer, struct link_work, timer)->link;
    link->handler->on_deadline(link);
}

struct link_work *link_work(struct link *link)
{
    struct link_work *work = link->work;
    if (work)
        return work;
    work = link->work = calloc(1, sizeof(*work));
    if (!work)
        return NULL;
    work->link = link;
    timer_init(&work->timer, on_deadline);
    list_init(&work->stalled_node);
    return work;
}

static void link_work_free(struct link_work *work)
{
    if (!work)
        return;
    buf_done(&work->in);
    buf_done(&work->out);
    upload_free(work->upload);
    if (work->state)
        work->free_state(work->state);
    free(work->origin);
    free(work->proxy);
    free(work);
}

void link_rest(struct link *link)
{
    struct link_work *work = link->work;
    if (!work || !link->is_streaming || work->in.length || work->out.length || work->state || timer_is_set(&work->timer)
        || !list_is_empty(&work->stalled_node))
        return;
    link_work_free(STEAL(link->work));
}

static void link_read(struct link *link)
{
    struct worker *worker = link->worker;
    unsigned char *room = worker->buffer;
    size_t size = sizeof(worker->buffer);
    bool has_kept = link->work && link->work->in.length;
    if (has_kept) {
        room = buf_room(&link->work->in, size);
        if (!room) {
            link_lost(link, FAULT_INTERNAL);
            return;
        }
    }
    ssize_t got = link->is_tls ? tls_link_receive(link, room, size) : recv(link->source.descriptor, room, size, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        link_lost(link, FAULT_LINK_LOST);
        return;
    }
    metrics_add(&worker->hub->metrics, METRIC_BYTES_RECEIVED, (uint64_t)got);
    if (!has_kept) {
        link_feed(link, worker->buffer, (size_t)got);
        return;
    }
    struct buf in = link->work->in;
    link->work->in = (struct buf){0};
    in.length += (size_t)got;
    link_feed(link, in.data, in.length);
    buf_done(&in);
}

/* A paused link is told only of what it waits for, and that only once it has come: most pauses end before. */
static void link_hear_paused(struct link *link, uint32_t events)
{
    if (link->is_listening && (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR))) {
        link_lost(link, FAULT_LINK_LOST);
        return;
    }
    uint32_t wanted = (link->source.armed & EPOLLOUT) | (link->is_listening ? EPOLLRDHUP : 0);
    if (poller_arm(&link->worker->poller, &link->source, wanted) < 0)
        link_lost(link, FAULT_INTERNAL);
}

/* Of TLS: what is encrypted already goes out. False: something is left, or the link was lost. */
static bool link_flush_tls(struct link *link)
{
    int r = tls_link_flush(link);
    if (r == -EAGAIN)
        link_arm(link, true);
    else if (r < 0)
        link_lost(link, FAULT_LINK_LOST);
    return r == 0;
}

/* The socket takes more. A stream puts what is queued where it belongs, which is not within an envelope that is half sent. */
static void link_hear_writable(struct link *link)
{
    link_arm(link, false);
    bool is_stream = link->is_streaming && link->connection;
    if (is_stream ? !link->is_tls || link_flush_tls(link) : link_flush(link))
        link->handler->on_drained(link);
}

static void on_ready(struct poll_source *source, uint32_t events)
{
    struct link *link = CONTAINER_OF(source, struct link, source);
    /* Each branch may end with the link closed, or on another worker: it is not looked at afterwards. What else has come is
     * told in the next turn. */
    if (link_waits_to_write(link) && (events & (EPOLLOUT | EPOLLHUP | EPOLLERR))) {
        link_hear_writable(link);
    } else if (link->is_paused) {
        link_hear_paused(link, events);
    } else {
        link_read(link);
    }
}

struct link *link_new(struct worker *worker, int descriptor, const struct peer_address *address, size_t size)
{
    struct link *link = calloc(1, size);
    if (!link || !link_work(link)) {
        free(link);
        close(descriptor);
        return NULL;
    }
    link->worker = worker;
    link->source = (struct poll_source){.on_ready = on_ready, .descriptor = descriptor, .is_stranger = true};
    link->work->address = *address;
    link->destination = (uint8_t)worker->index;
    list_append(&worker->links, &link->node);
    worker->link_count++;
    return link;
}

/* Leaves its worker: no timer or list of it knows the link afterwards. */
static void link_withdraw(struct link *link)
{
    if (link->work) {
        timer_stop(&link->worker->hub->wheel, &link->work->timer);
        list_remove(&link->work->stalled_node);
    }
    list_remove(&link->node);
    link->worker->link_count--;
}

void link_free(struct link *link)
{
    if (!link || link->is_closed)
        return;
    link->is_closed = true;
    poller_forget(&link->worker->poller, &link->source);
    link_withdraw(link);
    close(link->source.descriptor);
    list_append(&link->worker->graveyard, &link->node);
}

void link_bury(struct link *link)
{
    if (link->is_tls)
        tls_link_done(link);
    link_work_free(link->work);
    free(link);
}

void link_lost(struct link *link, enum fault_id why)
{
    if (!link->is_closed)
        link->handler->on_lost(link, why);
}

/* What a paused link waited for stays armed until it comes (link_hear_paused): that saves two system calls a poll. */
void link_arm(struct link *link, bool wants_write)
{
    if (link->is_closed)
        return;
    uint32_t wanted = EPOLLIN | EPOLLRDHUP;
    if (link->is_paused)
        wanted = (link->source.armed & (EPOLLIN | EPOLLRDHUP)) | (link->is_listening ? EPOLLRDHUP : 0);
    if (wants_write)
        wanted |= EPOLLOUT;
    if (poller_arm(&link->worker->poller, &link->source, wanted) < 0)
        link_lost(link, FAULT_INTERNAL);
}

void link_set_handler(struct link *link, const struct link_handler *handler)
{
    link->handler = handler;
    link_arm(link, link_waits_to_write(link));
}

void link_set_deadline(struct link *link, uint64_t ms)
{
    struct hub *hub = link->worker->hub;
    if (link->is_closed || (ms == 0 && !link->work))
        return;
    if (!link_work(link))
        link_lost(link, FAULT_INTERNAL);
    else if (ms)
        timer_set(&hub->wheel, &link->work->timer, hub->now_ms + ms);
    else
        timer_stop(&hub->wheel, &link->work->timer);
}

bool link_has_hung_up(const struct link *link)
{
    struct pollfd look = {.fd = link->source.descriptor, .events = POLLRDHUP};
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

void link_pause(struct link *link)
{
    link->is_paused = true;
    if (link->work && !link->is_stalled)
        list_remove(&link->work->stalled_node);
    link_arm(link, link_waits_to_write(link));
}

void link_resume(struct link *link)
{
    if (!link->is_paused || link->is_closed)
        return;
    link->is_paused = link->is_stalled = false;
    if (link->work)
        list_remove(&link->work->stalled_node);
    link_arm(link, link_waits_to_write(link));
    /* Not now: whoever resumes it may be in the middle of another link's request, or of a list that the next one changes. */
    if (!link->is_closed && link->work && link->work->in.length)
        list_append(&link->worker->resumed, &link->work->stalled_node);
}

/* Many requests came at once: others have their turn before the next of them. Nothing more is read meanwhile. */
static void link_yield(struct link *link)
{
    link->is_paused = link->is_yielding = true;
    list_append(&link->worker->resumed, &link->work->stalled_node);
}

void link_feed_kept(struct link *link)
{
    if (link->is_yielding && !link->is_closed) {
        link->is_paused = link->is_yielding = false;
        link_arm(link, link_waits_to_write(link));
    }
    if (link->is_closed || link->is_paused || !link->work->in.length)
        return;
    struct buf in = link->work->in;
    link->work->in = (struct buf){0};
    link_feed(link, in.data, in.length);
    buf_done(&in);
}

void link_stall(struct link *link)
{
    link_pause(link);
    if (link->is_closed)
        return;
    if (!link_work(link)) {
        link_lost(link, FAULT_INTERNAL);
        return;
    }
    list_remove(&link->work->stalled_node);
    list_append(&link->worker->stalled, &link->work->stalled_node);
    link->is_stalled = true;
}

void link_hand_over(struct link *link, unsigned worker)
{
    link->destination = (uint8_t)worker;
    link_pause(link);
}

static void link_move(struct link *link)
{
    struct worker *worker = link->worker;
    struct letter letter = {.kind = LETTER_ADOPT, .link = link};
    poller_remove(&worker->poller, &link->source);
    link_withdraw(link);
    if (mailbox_post(&worker->mailboxes[link->destination], &letter) < 0) {
        list_append(&worker->links, &link->node);
        worker->link_count++;
        link->destination = (uint8_t)worker->index;
        link_free(link);
    }
}

void link_adopt(struct link *link, struct worker *worker)
{
    link->worker = worker;
    list_append(&worker->links, &link->node);
    worker->link_count++;
    if (link->is_tls)
        tls_link_settle(link);
    link_resume(link);
}

/* Shows the handler all there is; a handler may change on the way. The rest is kept. */
static void link_feed(struct link *link, unsigned char *data, size_t length)
{
    size_t used = 0;
    unsigned rounds = 0;
    while (!link->is_closed && !link->is_paused && used < length && (link->is_streaming || rounds++ < REQUESTS_PER_FEED)) {
        size_t taken = link->handler->on_data(link, data + used, length - used);
        if (taken == 0)
            break;
        used += taken;
    }
    if (link->is_closed)
        return;
    struct link_work *work = used < length ? link_work(link) : NULL;
    if (work)
        buf_add(&work->in, data + used, length - used);
    if (used < length && (!work || buf_status(&work->in) < 0))
        link_lost(link, FAULT_INTERNAL);
    else if (link->destination != link->worker->index)
        link_move(link);
    else if (rounds > REQUESTS_PER_FEED && !link->is_paused)
        link_yield(link);
    else
        link_rest(link);
}

ssize_t link_try(struct link *link, const struct iovec *pieces, size_t count)
{
    if (link->is_tls)
        return tls_link_send(link, pieces, count);
    ssize_t sent = count == 1 ? send(link->source.descriptor, pieces->iov_base, pieces->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT)
        : sendmsg(link->source.descriptor, &(struct msghdr){.msg_iov = (struct iovec *)pieces, .msg_iovlen = count},
                  MSG_NOSIGNAL | MSG_DONTWAIT);
    return sent < 0 ? -errno : sent;
}

ssize_t link_count_sent(struct link *link, ssize_t result)
{
    if (result >= 0) {
        metrics_add(&link->worker->hub->metrics, METRIC_BYTES_SENT, (uint64_t)result);
        return result;
    }
    if (result == -EAGAIN || result == -EINTR || result == -ENOBUFS)
        return 0;
    link_lost(link, FAULT_LINK_LOST);
    return -1;
}

bool link_flush(struct link *link)
{
    struct link_work *work = link->work;
    if (link->is_tls && !link_flush_tls(link))
        return false;
    while (link_queued_bytes(link)) {
        struct iovec piece = {work->out.data + work->out_offset, link_queued_bytes(link)};
        ssize_t sent = link_count_sent(link, link_try(link, &piece, 1));
        if (sent < 0)
            return false;
        if (sent == 0) {
            link_arm(link, true);
            return false;
        }
        work->out_offset += (size_t)sent;
    }
    if (!work)
        return true;
    work->out_offset = 0;
    buf_done(&work->out);
    return true;
}

/* Keeps what is behind the first `sent` bytes until the socket takes more. */
static void link_queue(struct link *link, struct bytes first, struct bytes second, size_t sent)
{
    struct link_work *work = link_work(link);
    size_t of_first = MIN(sent, first.length), of_second = sent - of_first;
    if (work && of_first < first.length)
        buf_add(&work->out, first.data + of_first, first.length - of_first);
    if (work && of_second < second.length)
        buf_add(&work->out, second.data + of_second, second.length - of_second);
    if (!work || buf_status(&work->out) < 0)
        link_lost(link, FAULT_INTERNAL);
}

void link_send_both(struct link *link, struct bytes first, struct bytes second)
{
    if (link->is_closed)
        return;
    if (link->is_streaming || link_queued_bytes(link)) {
        link_queue(link, first, second, 0);
        return;
    }
    /* Nearly always the socket takes all of it, and nothing needs to be kept. */
    struct iovec pieces[] = {{(void *)first.data, first.length}, {(void *)second.data, second.length}};
    ssize_t sent = link_count_sent(link, link_try(link, pieces, second.length ? 2 : 1));
    if (sent < 0)
        return;
    if ((size_t)sent < first.length + second.length) {
        link_queue(link, first, second, (size_t)sent);
        link_arm(link, true);
    } else {
        link->handler->on_drained(link);
    }
}

void link_send(struct link *link, struct bytes bytes)
{
    link_send_both(link, bytes, (struct bytes){0});
}

void link_send_buf(struct link *link, const struct buf *buf)
{
    if (buf_status(buf) < 0)
        link_lost(link, FAULT_INTERNAL);
    else
        link_send(link, buf_bytes(buf));
}

/* Lingering: our FIN is out; the peer's last bytes are read and thrown away until it closes too. */

static size_t linger_on_data(struct link *link, unsigned char *data, size_t length)
{
    link->work->drained_bytes += (uint32_t)length;
    if (link->work->drained_bytes > LINGER_BYTES_MAX)
        link_free(link);
    return length;
}

static void linger_on_drained(struct link *link)
{
    link_set_deadline(link, LINGER_MS);
    if (link->is_tls && !tls_link_end(link))
        link_arm(link, true);
    else if (shutdown(link->source.descriptor, SHUT_WR) < 0)
        link_free(link);
}

static void linger_on_lost(struct link *link, enum fault_id why)
{
    link_free(link);
}

static const struct link_handler linger_handler = {
    .on_data = linger_on_data,
    .on_drained = linger_on_drained,
    .on_lost = linger_on_lost,
    .on_deadline = link_free,
    .on_retry = link_free,
};

void link_close_gracefully(struct link *link)
{
    if (link->is_closed)
        return;
    if (!link_work(link)) {
        link_free(link);
        return;
    }
    buf_done(&link->work->in);
    link->is_streaming = false;
    link->is_listening = false;
    link->is_paused = false;
    list_remove(&link->work->stalled_node);
    link_set_handler(link, &linger_handler);
    link_set_deadline(link, LINGER_MS);
    if (!link->is_closed && !link_waits_to_write(link) && link_flush(link))
        linger_on_drained(link);
}

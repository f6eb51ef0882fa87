/*
 * Link: see link.h.
 */
#include "daemon/net/link.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    LINGER_MS = 2000,
    LINGER_BYTES_MAX = 256 * 1024,
    KEPT_BUFFER_MAX = 4096,             /* an emptied `out` larger than this is given back */
};

static void link_feed(struct link *link, unsigned char *data, size_t length);

static void on_deadline(struct timer *timer)
{
    struct link *link = CONTAINER_OF(timer, struct link, timer);
    link->handler->on_deadline(link);
}

static void link_read(struct link *link)
{
    struct worker *worker = link->worker;
    unsigned char *room = worker->buffer;
    size_t size = sizeof(worker->buffer);
    if (link->in.length) {
        room = buf_room(&link->in, size);
        if (!room) {
            link_lost(link, FAULT_INTERNAL);
            return;
        }
    }
    ssize_t got = recv(link->descriptor, room, size, 0);
    if (got < 0) {
        if (errno != EAGAIN && errno != EINTR)
            link_lost(link, FAULT_LINK_LOST);
        return;
    }
    if (got == 0) {
        link_lost(link, FAULT_LINK_LOST);
        return;
    }
    metrics_add(&worker->hub->metrics, METRIC_BYTES_RECEIVED, (uint64_t)got);
    if (link->in.length == 0) {
        link_feed(link, worker->buffer, (size_t)got);
    } else {
        struct buf in = link->in;
        link->in = (struct buf){0};
        in.length += (size_t)got;
        link_feed(link, in.data, in.length);
        buf_done(&in);
    }
}

static void on_event(evutil_socket_t descriptor, short what, void *argument)
{
    struct link *link = argument;
    worker_now(link->worker);
    if (what & EV_WRITE) {
        link_arm(link, false);
        if (link_flush(link))
            link->handler->on_drained(link);
    }
    if (!link->is_closed && (what & EV_CLOSED))
        link_lost(link, FAULT_LINK_LOST);
    if (!link->is_closed && (what & EV_READ) && !link->is_paused)
        link_read(link);
}

struct link *link_new(struct worker *worker, int descriptor, const struct peer_address *address)
{
    struct link *link = calloc(1, sizeof(*link));
    if (!link) {
        close(descriptor);
        return NULL;
    }
    link->worker = worker;
    link->descriptor = descriptor;
    link->address = *address;
    link->destination = (uint8_t)worker->index;
    timer_init(&link->timer, on_deadline);
    list_init(&link->stalled_node);
    list_append(&worker->links, &link->node);
    worker->link_count++;
    event_assign(&link->event, worker->base, descriptor, EV_READ | EV_PERSIST, on_event, link);
    return link;
}

/* Leaves its worker: no event, timer or list of it knows the link afterwards. */
static void link_withdraw(struct link *link)
{
    event_del(&link->event);
    link->armed = 0;
    timer_stop(&link->worker->hub->wheel, &link->timer);
    list_remove(&link->stalled_node);
    list_remove(&link->node);
    link->worker->link_count--;
}

void link_free(struct link *link)
{
    if (!link || link->is_closed)
        return;
    link->is_closed = true;
    link_withdraw(link);
    close(link->descriptor);
    list_append(&link->worker->graveyard, &link->node);
}

void link_lost(struct link *link, enum fault_id why)
{
    if (!link->is_closed)
        link->handler->on_lost(link, why);
}

void link_arm(struct link *link, bool wants_write)
{
    if (link->is_closed)
        return;
    short wanted = EV_PERSIST;
    if (!link->is_paused)
        wanted |= EV_READ;
    else if (link->is_listening)
        wanted |= EV_CLOSED;
    if (wants_write)
        wanted |= EV_WRITE;
    if (wanted == link->armed)
        return;
    event_del(&link->event);
    if (wanted != EV_PERSIST) {
        event_assign(&link->event, link->worker->base, link->descriptor, wanted, on_event, link);
        event_add(&link->event, NULL);
    }
    link->armed = wanted;
}

void link_set_handler(struct link *link, const struct link_handler *handler)
{
    link->handler = handler;
    link_arm(link, link->armed & EV_WRITE);
}

void link_set_deadline(struct link *link, uint64_t ms)
{
    struct hub *hub = link->worker->hub;
    if (ms)
        timer_set(&hub->wheel, &link->timer, hub->now_ms + ms);
    else
        timer_stop(&hub->wheel, &link->timer);
}

void link_pause(struct link *link)
{
    link->is_paused = true;
    link_arm(link, link->armed & EV_WRITE);
}

void link_resume(struct link *link)
{
    if (!link->is_paused || link->is_closed)
        return;
    link->is_paused = false;
    list_remove(&link->stalled_node);
    link_arm(link, link->armed & EV_WRITE);
    if (link->in.length) {
        struct buf in = link->in;
        link->in = (struct buf){0};
        link_feed(link, in.data, in.length);
        buf_done(&in);
    }
}

void link_stall(struct link *link)
{
    link_pause(link);
    list_remove(&link->stalled_node);
    list_append(&link->worker->stalled, &link->stalled_node);
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
    link_resume(link);
}

/* Shows the handler all there is; a handler may change on the way. The rest is kept. */
static void link_feed(struct link *link, unsigned char *data, size_t length)
{
    size_t used = 0;
    while (!link->is_closed && !link->is_paused && used < length) {
        size_t taken = link->handler->on_data(link, data + used, length - used);
        if (taken == 0)
            break;
        used += taken;
    }
    if (link->is_closed)
        return;
    buf_add(&link->in, data + used, length - used);
    if (buf_status(&link->in) < 0)
        link_lost(link, FAULT_INTERNAL);
    else if (link->destination != link->worker->index)
        link_move(link);
}

ssize_t link_write(struct link *link, const struct iovec *pieces, int count)
{
    struct msghdr message = {.msg_iov = (struct iovec *)pieces, .msg_iovlen = (size_t)count};
    ssize_t sent = sendmsg(link->descriptor, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent >= 0) {
        metrics_add(&link->worker->hub->metrics, METRIC_BYTES_SENT, (uint64_t)sent);
        return sent;
    }
    if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS)
        return 0;
    link_lost(link, FAULT_LINK_LOST);
    return -1;
}

bool link_flush(struct link *link)
{
    while (link_queued_bytes(link)) {
        struct iovec piece = {link->out.data + link->out_offset, link_queued_bytes(link)};
        ssize_t sent = link_write(link, &piece, 1);
        if (sent < 0)
            return false;
        if (sent == 0) {
            link_arm(link, true);
            return false;
        }
        link->out_offset += (size_t)sent;
    }
    link->out_offset = 0;
    buf_clear(&link->out);
    if (link->out.capacity > KEPT_BUFFER_MAX || link->connection)
        buf_done(&link->out);
    return true;
}

void link_send(struct link *link, struct bytes bytes)
{
    if (link->is_closed)
        return;
    buf_add_bytes(&link->out, bytes);
    if (buf_status(&link->out) < 0) {
        link_lost(link, FAULT_INTERNAL);
        return;
    }
    if (!link->is_corked && !(link->armed & EV_WRITE) && link_flush(link))
        link->handler->on_drained(link);
}

/* Lingering: our FIN is out; the peer's last bytes are read and thrown away until it closes too. */

static size_t linger_on_data(struct link *link, unsigned char *data, size_t length)
{
    link->drained_bytes += (uint32_t)length;
    if (link->drained_bytes > LINGER_BYTES_MAX)
        link_free(link);
    return length;
}

static void linger_on_drained(struct link *link)
{
    if (shutdown(link->descriptor, SHUT_WR) < 0)
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
    buf_done(&link->in);
    link->is_corked = false;
    link->is_listening = false;
    link->is_paused = false;
    list_remove(&link->stalled_node);
    link_set_handler(link, &linger_handler);
    link_set_deadline(link, LINGER_MS);
    if (!(link->armed & EV_WRITE) && link_flush(link))
        linger_on_drained(link);
}

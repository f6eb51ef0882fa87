/*
 * Proxy link: carries bytes between a client and the daemon, and does the damage. It knows nothing of HTTP but what an
 * upgrade to WebSocket, the request for an event stream, and the end of a head look like.
 */
#include "tests/clients/proxy.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

static const char head_end[] = "\r\n\r\n";

static void close_end(struct end *end, bool is_reset)
{
    struct linger now = {.l_onoff = 1};
    if (is_reset)
        setsockopt(end->descriptor, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
    close(end->descriptor);
}

static void link_close(struct proxy *proxy, struct link *link, bool is_reset)
{
    if (link->is_dead)
        return;
    link->is_dead = true;
    close_end(&link->ends[UP], is_reset);
    close_end(&link->ends[DOWN], is_reset);
    list_remove(&link->node);
    list_append(&proxy->dead, &link->node);
}

void link_free(struct link *link)
{
    list_remove(&link->node);
    buf_done(&link->ways[UP].held);
    buf_done(&link->ways[DOWN].held);
    free(link);
}

static bool is_held_back(const struct link *link, enum direction direction)
{
    return direction == DOWN && link->is_holding && !link->ways[DOWN].is_over;
}

/* Tells epoll what each end waits for now. */
static void link_wait(struct proxy *proxy, struct link *link)
{
    for (enum direction side = UP; side <= DOWN && !link->is_dead; side++) {
        struct end *end = &link->ends[side];
        const struct way *from = &link->ways[side], *to = &link->ways[!side];
        uint32_t events = 0;
        if (!link->is_connected)
            events = side == DOWN ? EPOLLOUT : 0;
        else if (!link->is_stalled)
            events = (!from->is_over && !from->due && from->held.length < (is_held_back(link, side) ? HELD_MAX : 1) ? EPOLLIN : 0)
                   | (to->held.length && !is_held_back(link, !side) ? EPOLLOUT : 0);
        if (events == end->events)
            continue;
        struct epoll_event event = {.events = events, .data.ptr = end};
        if (epoll_ctl(proxy->epoll, EPOLL_CTL_MOD, end->descriptor, &event) < 0)
            err(1, "epoll_ctl");
        end->events = events;
    }
}

/* Sends what is held on a way as far as it goes; then what had to wait for that is done. */
static void way_flush(struct proxy *proxy, struct link *link, enum direction direction)
{
    struct way *way = &link->ways[direction];
    if (link->is_dead || is_held_back(link, direction))
        return;
    if (way->held.length && !way->is_shut) {
        ssize_t sent = send(link->ends[!direction].descriptor, way->held.data, way->held.length, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) {
            link_close(proxy, link, true);
            return;
        }
        if (sent > 0)
            buf_consume(&way->held, (size_t)sent);
    }
    if (way->held.length)
        return;
    if (way->due)
        link_damage(proxy, link, direction, way->due);
    if (link->is_dead || !way->is_over || way->is_shut)
        return;
    way->is_shut = true;
    shutdown(link->ends[!direction].descriptor, SHUT_WR);
}

void link_damage(struct proxy *proxy, struct link *link, enum direction direction, enum damage damage)
{
    struct way *way = &link->ways[direction];
    way->due = DAMAGE_NONE;
    link->place->damaged++;
    switch (damage) {
    case DAMAGE_NONE:
        break;
    case DAMAGE_RESET:
    case DAMAGE_END:
        link_close(proxy, link, damage == DAMAGE_RESET);
        break;
    case DAMAGE_HALF:
        way->is_shut = true;
        buf_clear(&way->held);
        shutdown(link->ends[!direction].descriptor, SHUT_WR);
        break;
    case DAMAGE_STALL:
        link->is_stalled = true;
        break;
    }
    link_wait(proxy, link);
}

/* What the client asks for decides how some manners go on. False: it was answered here, and the link is closed. */
static bool look_at_request(struct proxy *proxy, struct link *link, struct bytes data)
{
    static const char refusal[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    const unsigned char *line_end = memchr(data.data, '\r', data.length);
    size_t line = line_end ? (size_t)(line_end - data.data) : data.length;
    enum manner manner = link->place->manner;
    if (manner == MANNER_BUFFER)
        link->is_holding = line > 4 && memcmp(data.data, "GET ", 4) == 0 && memmem(data.data, line, "/sse", 4);
    if (manner != MANNER_NO_UPGRADE && manner != MANNER_MUTE && (manner != MANNER_LATE || link->place->has_refused))
        return true;
    if (line <= 4 || memcmp(data.data, "GET ", 4) != 0 || !memmem(data.data, line, "/websocket", 10))
        return true;
    link->is_muted = manner == MANNER_MUTE;
    if (manner == MANNER_MUTE)
        return true;
    link->place->has_refused = true;
    send(link->ends[UP].descriptor, refusal, sizeof(refusal) - 1, MSG_NOSIGNAL);
    link_close(proxy, link, false);
    return false;
}

/* How much of what comes down a muted link is still the answer's head. */
static size_t mute(struct link *link, struct bytes data)
{
    size_t passed = 0;
    while (passed < data.length && link->head_matched < sizeof(head_end) - 1) {
        unsigned char byte = data.data[passed++];
        link->head_matched = byte == head_end[link->head_matched] ? link->head_matched + 1 : byte == '\r';
    }
    return passed;
}

static void carry(struct proxy *proxy, struct link *link, enum direction direction, struct bytes data)
{
    struct place *place = link->place;
    struct way *way = &link->ways[direction];
    if (way->is_shut || (direction == UP && !look_at_request(proxy, link, data)))
        return;
    if (link->is_muted && direction == DOWN)
        data.length = mute(link, data);
    if (place->damage && place->direction == direction && place->bytes[direction] + data.length >= place->offset) {
        data.length = (size_t)(place->offset - place->bytes[direction]);
        way->due = place->damage;
        place->damage = DAMAGE_NONE;
    }
    place->bytes[direction] += data.length;
    buf_add_bytes(&way->held, data);
    if (way->held.failed)
        errx(1, "out of memory");
    way_flush(proxy, link, direction);
}

static void take(struct proxy *proxy, struct link *link, enum direction direction)
{
    static unsigned char buffer[64 * 1024];
    ssize_t length = recv(link->ends[direction].descriptor, buffer, sizeof(buffer), 0);
    if (length > 0) {
        carry(proxy, link, direction, bytes_of(buffer, (size_t)length));
    } else if (length == 0) {
        link->ways[direction].is_over = true;
        way_flush(proxy, link, direction);
        if (link->ways[UP].is_shut && link->ways[DOWN].is_shut)
            link_close(proxy, link, false);
    } else if (errno != EAGAIN) {
        link_close(proxy, link, true);
    }
}

void link_on_event(struct proxy *proxy, struct end *end, uint32_t events)
{
    struct link *link = end->link;
    enum direction side = end == &link->ends[UP] ? UP : DOWN;
    if (link->is_dead)
        return;
    if (link->is_stalled) {
        /* The other side is not told; this one need not be heard of again. */
        epoll_ctl(proxy->epoll, EPOLL_CTL_DEL, end->descriptor, NULL);
        return;
    }
    if (events & EPOLLERR || (events & EPOLLHUP && !(end->events & EPOLLIN))) {
        link_close(proxy, link, true);
        return;
    }
    if (events & EPOLLOUT && !link->is_connected)
        link->is_connected = true;
    else if (events & EPOLLOUT)
        way_flush(proxy, link, !side);
    if (events & (EPOLLIN | EPOLLHUP) && !link->is_dead && end->events & EPOLLIN)
        take(proxy, link, side);
    if (!link->is_dead && link->ways[UP].is_shut && link->ways[DOWN].is_shut && link->ways[UP].is_over && link->ways[DOWN].is_over)
        link_close(proxy, link, false);
    link_wait(proxy, link);
}

/* The daemon sees the client come from the place's address: so each has as many ports as it needs, and limits of its own. */
static int connect_to_daemon(const struct proxy *proxy, uint32_t address)
{
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
    int on = 1, descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        err(1, "socket");
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    setsockopt(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    if (bind(descriptor, (struct sockaddr *)&own, sizeof(own)) < 0)
        err(1, "bind");
    if (connect(descriptor, (struct sockaddr *)proxy->daemon, sizeof(*proxy->daemon)) == 0 || errno == EINPROGRESS)
        return descriptor;
    close(descriptor);
    return -1;
}

void link_open(struct proxy *proxy, struct place *place, int descriptor)
{
    struct link *link = calloc(1, sizeof(*link));
    int on = 1;
    if (!link)
        errx(1, "out of memory");
    link->place = place;
    place->opened++;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    link->ends[UP] = (struct end){.link = link, .descriptor = descriptor};
    link->ends[DOWN] = (struct end){.link = link, .descriptor = place->manner == MANNER_REFUSE ? -1 : connect_to_daemon(proxy, place->address)};
    if (link->ends[DOWN].descriptor < 0) {
        close_end(&link->ends[UP], true);
        free(link);
        return;
    }
    list_append(&place->links, &link->node);
    link->ends[DOWN].events = EPOLLOUT;
    for (enum direction side = UP; side <= DOWN; side++) {
        struct epoll_event event = {.events = link->ends[side].events, .data.ptr = &link->ends[side]};
        if (epoll_ctl(proxy->epoll, EPOLL_CTL_ADD, link->ends[side].descriptor, &event) < 0)
            err(1, "epoll_ctl");
    }
}

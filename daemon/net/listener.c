/*
 * Listener: accepting. Opening the sockets is listen_open.c.
 */
#include "daemon/net/listener.h"

#include "daemon/config/config.h"
#include "daemon/net/http.h"
#include "daemon/net/proxy_link.h"
#include "daemon/net/reserve.h"
#include "daemon/net/tls_link.h"
#include "lib/log.h"

#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    ACCEPTS_PER_TURN = 8,
    PAUSE_MS = 250,
};

struct listener {
    struct list node;
    struct worker *worker;
    struct poll_source source;
    struct timer pause;
    int reserve;                        /* clients' descriptors are below it */
    bool is_tls, is_proxied;
};

static void listener_welcome(struct listener *listener, int descriptor, const struct sockaddr_storage *from)
{
    struct peer_address address = peer_address_of_socket(from);
    struct link *link = listener->is_tls ? tls_link_new(listener->worker, descriptor, &address)
        : link_new(listener->worker, descriptor, &address, sizeof(struct link));
    if (!link)
        return;
    if (listener->is_proxied)
        proxy_link_start(link);
    else if (listener->is_tls)
        tls_link_begin_handshake(link);
    else
        http_start(link);
}

/* Out of descriptors or memory: spinning on the backlog would help nobody. */
static void listener_pause(struct listener *listener, int reason)
{
    struct hub *hub = listener->worker->hub;
    log_warning(LOG_AREA_NET, NULL, "cannot accept more clients: %s; trying again every %d ms%s", strerror(reason), PAUSE_MS,
                reason == EMFILE || reason == ENFILE ? " (raise LimitNOFILE or lower limits.connections)" : "");
    metrics_add(&hub->metrics, METRIC_ACCEPT_PAUSED, 1);
    poller_remove(&listener->worker->poller, &listener->source);
    timer_set(&hub->wheel, &listener->pause, hub->now_ms + PAUSE_MS);
}

static void on_pause_over(struct timer *timer)
{
    struct listener *listener = CONTAINER_OF(timer, struct listener, pause);
    struct hub *hub = listener->worker->hub;
    listener->reserve = reserve_start(hub->config);
    if (reserve_is_reached(listener->reserve, listener->source.descriptor)
        || poller_arm(&listener->worker->poller, &listener->source, EPOLLIN) < 0)
        timer_set(&hub->wheel, timer, hub->now_ms + PAUSE_MS);
}

static void on_acceptable(struct poll_source *source, uint32_t events)
{
    struct listener *listener = CONTAINER_OF(source, struct listener, source);
    unsigned failures = 0;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from = {0};
        socklen_t length = sizeof(from);
        int accepted = accept4(source->descriptor, (struct sockaddr *)&from, &length, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (accepted >= 0) {
            listener_welcome(listener, accepted, &from);
            if (accepted < listener->reserve)
                continue;
            listener_pause(listener, EMFILE);
            return;
        }
        if (errno == EAGAIN)
            return;
        /* Others concern only the client that was to be accepted (accept(2)), unless they come again and again. */
        bool is_ours = errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM;
        if (is_ours || ++failures == ACCEPTS_PER_TURN) {
            listener_pause(listener, errno);
            return;
        }
    }
}

/* Accepted sockets inherit these (tcp(7)), which spares each of them the calls. On a Unix socket they fail, and mean nothing. */
static void listener_set_options(struct listener *listener)
{
    int one = 1, descriptor = listener->source.descriptor;
    unsigned timeout_ms = (unsigned)listener->worker->hub->config->connection.timeout_ms;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    /* A dead peer shows as a failed write within this time (rtc-protocol(7), "Keep-alive"). */
    setsockopt(descriptor, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout_ms, sizeof(timeout_ms));
}

void listener_take_config(struct worker *worker)
{
    LIST_EACH(node, &worker->listeners) {
        struct listener *listener = CONTAINER_OF(node, struct listener, node);
        listener->reserve = reserve_start(worker->hub->config);
        listener_set_options(listener);
    }
}

static int listener_add(struct worker *worker, const struct listen_socket *socket)
{
    struct listener *listener = calloc(1, sizeof(*listener));
    if (!listener)
        return -ENOMEM;
    listener->worker = worker;
    listener->is_tls = socket->is_tls;
    listener->reserve = reserve_start(worker->hub->config);
    listener->is_proxied = socket->is_proxied;
    listener->source = (struct poll_source){.on_ready = on_acceptable, .descriptor = socket->descriptor, .is_stranger = true};
    timer_init(&listener->pause, on_pause_over);
    list_append(&worker->listeners, &listener->node);
    listener_set_options(listener);
    return poller_arm(&worker->poller, &listener->source, EPOLLIN);
}

int listener_add_all(struct worker *worker, const struct listen_sockets *sockets, struct tls_store *tls)
{
    int r = sockets->has_tls ? tls_worker_new(tls, &worker->tls) : 0;
    for (size_t i = 0; i < sockets->count && r == 0; i++) {
        if (sockets->items[i].worker >= 0 && sockets->items[i].worker != (int)worker->index)
            continue;
        r = listener_add(worker, &sockets->items[i]);
    }
    return r;
}

void listener_free_all(struct worker *worker)
{
    LIST_EACH(node, &worker->listeners) {
        struct listener *listener = CONTAINER_OF(node, struct listener, node);
        list_remove(&listener->node);
        timer_stop(&worker->hub->wheel, &listener->pause);
        poller_remove(&worker->poller, &listener->source);
        free(listener);
    }
}

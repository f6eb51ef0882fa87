/*
 * Proxy link: see proxy_link.h.
 */
#include "daemon/net/proxy_link.h"

#include "daemon/config/config.h"
#include "daemon/config/network.h"
#include "daemon/net/http.h"
#include "daemon/net/proxy_header.h"
#include "daemon/net/tls_link.h"
#include "lib/log.h"

#include <stdlib.h>
#include <sys/socket.h>

/* The link's state until the header is there. */
struct proxy_wait {
    void (*on_ready)(struct poll_source *source, uint32_t events);      /* who hears of the socket afterwards */
    size_t length;
    unsigned char bytes[PROXY_HEADER_MAX];
};

static void proxy_link_refuse(struct link *link, const char *why)
{
    char address[PEER_TEXT_MAX];
    metrics_add(&link->worker->hub->metrics, METRIC_PROXY_HEADERS_REFUSED, 1);
    peer_address_print(&link->work->address, address);
    log_info(LOG_AREA_NET, LOG_FIELDS({"address", address}), "no PROXY header was taken: %s", why);
    link_free(link);
}

static size_t proxy_on_data(struct link *link, unsigned char *data, size_t length)
{
    return 0;
}

static void proxy_on_drained(struct link *link)
{
}

static void proxy_on_lost(struct link *link, enum fault_id why)
{
    proxy_link_refuse(link, "the connection ended before it");
}

static void proxy_on_deadline(struct link *link)
{
    proxy_link_refuse(link, "it did not come in time (http.head-timeout)");
}

static const struct link_handler proxy_handler = {
    .on_data = proxy_on_data,
    .on_drained = proxy_on_drained,
    .on_lost = proxy_on_lost,
    .on_deadline = proxy_on_deadline,
    .on_retry = link_resume,
};

/* What follows waits in the socket, and is told of in the next turn. */
static void proxy_link_finish(struct link *link, const struct proxy_header *header)
{
    struct proxy_wait *wait = STEAL(link->work->state);
    link->source.on_ready = wait->on_ready;
    free(wait);
    if (header->has_address)
        link->work->address = header->address;
    if (link->is_tls)
        tls_link_begin_handshake(link);
    else
        http_start(link);
}

static void on_header_ready(struct poll_source *source, uint32_t events)
{
    struct link *link = CONTAINER_OF(source, struct link, source);
    struct proxy_wait *wait = link->work->state;
    struct proxy_header header;
    struct fault fault = {0};
    size_t wanted;
    enum decode result;
    while ((result = proxy_header_read(bytes_of(wait->bytes, wait->length), &header, &wanted, &fault)) == DECODE_MORE) {
        ssize_t got = recv(source->descriptor, wait->bytes + wait->length, wanted - wait->length, 0);
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (got <= 0) {
            link_lost(link, FAULT_LINK_LOST);
            return;
        }
        wait->length += (size_t)got;
    }
    if (result == DECODE_BAD)
        proxy_link_refuse(link, fault_message(&fault));
    else
        proxy_link_finish(link, &header);
}

void proxy_link_start(struct link *link)
{
    const struct config *config = link->worker->hub->config;
    const struct peer_address *peer = &link->work->address;
    if (!networks_hold(&config->http.trusted_proxies, peer->family, &peer->ip)) {
        proxy_link_refuse(link, "the peer is no trusted proxy (http.trusted-proxies)");
        return;
    }
    struct proxy_wait *wait = calloc(1, sizeof(*wait));
    if (!wait) {
        link_free(link);
        return;
    }
    wait->on_ready = link->source.on_ready;
    link->source.on_ready = on_header_ready;
    link->work->state = wait;
    link->work->free_state = free;
    link_set_handler(link, &proxy_handler);
    link_set_deadline(link, config->http.head_timeout_ms);
}

bool proxy_link_stop(struct link *link)
{
    if (link->handler != &proxy_handler)
        return false;
    link_free(link);
    return true;
}

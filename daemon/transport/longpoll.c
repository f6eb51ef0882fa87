/*
 * Long polling: a poll that waits for envelopes, up to transports.poll-wait.
 */
#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/net/link.h"
#include "daemon/transport/polling.h"
#include "daemon/transport/transports.h"

static void longpoll_open(struct link *link, const struct request *request)
{
    uint64_t cap_ms = link->worker->hub->config->transports.poll_wait_ms;
    uint64_t wait_ms = polling_wait_ms(request, &link->worker->scratch, cap_ms);
    polling_open(link, request, longpoll_front.transport, MIN(wait_ms, cap_ms));
}

static bool longpoll_claims(const struct request *request)
{
    struct buf scratch = {0};
    bool waits = polling_wait_ms(request, &scratch, 1) != 0;
    buf_done(&scratch);
    return waits;
}

static bool longpoll_is_on(const struct config *config)
{
    return config->transports.longpoll;
}

static const struct transport longpoll = POLLING_TRANSPORT("longpoll");

const struct transport_front longpoll_front = {
    .transport = &longpoll,
    .is_on = longpoll_is_on,
    .claims = longpoll_claims,
    .open = longpoll_open,
};

/*
 * Short polling: a poll with wait=0, answered at once.
 */
#include "daemon/config/config.h"
#include "daemon/net/link.h"
#include "daemon/transport/polling.h"
#include "daemon/transport/transports.h"

static void shortpoll_open(struct link *link, const struct request *request)
{
    polling_open(link, request, shortpoll_front.transport, 0);
}

static bool shortpoll_claims(const struct request *request)
{
    struct buf scratch = {0};
    bool waits = polling_wait_ms(request, &scratch, 1) != 0;
    buf_done(&scratch);
    return !waits;
}

static bool shortpoll_is_on(const struct config *config)
{
    return config->transports.shortpoll;
}

static const struct transport shortpoll = POLLING_TRANSPORT("shortpoll");

const struct transport_front shortpoll_front = {
    .transport = &shortpoll,
    .is_on = shortpoll_is_on,
    .claims = shortpoll_claims,
    .open = shortpoll_open,
};

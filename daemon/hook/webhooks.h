/*
 * Webhooks: all receivers of the config in force. Gives each the life-cycle events that it wants, as CloudEvents.
 */
#pragma once

#include "daemon/hook/notices.h"
#include "daemon/hook/webhook.h"

struct webhooks {
    struct webhook_host host;
    struct spool spool;
    struct notices *notices;
    struct notice_sink sink;
    struct gate_judge judge;
    struct config *config;              /* in force: a reference */
    struct webhook *items[WEBHOOKS_MAX];        /* in the config's order */
    size_t count, orphan_count;         /* events in the spool that were for nobody */
    enum webhook_event events[NOTICE_KIND_COUNT];       /* what a kind of notice is called in the config; WEBHOOK_EVENT_COUNT: nothing */
    struct buf scratch;                 /* one event */
};

MUST_CHECK int webhooks_init(struct webhooks *webhooks, const struct webhook_host *host, struct notices *notices, struct config *config);
/* The daemon ends: receivers that have taken all so far get the rest now, as far as there is time (notices_are_busy). */
void webhooks_hurry(struct webhooks *webhooks);
/* What waits stays in the spool, or is lost: said once for each. */
void webhooks_done(struct webhooks *webhooks);

/* From now on this config holds. What waits for a webhook whose name is still there goes on waiting. -ENOMEM, -E2BIG: something is
 * missing. */
MUST_CHECK int webhooks_take_config(struct webhooks *webhooks, struct config *config);

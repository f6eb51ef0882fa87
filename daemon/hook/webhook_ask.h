/*
 * Webhook ask: a question to a webhook's receiver, which somebody waits for: asked once and at once, beside what the receiver is told,
 * and never tried again. Knows not what is asked.
 */
#pragma once

#include "daemon/hook/cloud_event.h"
#include "daemon/hook/webhook.h"

/* Part of whatever waits. */
struct webhook_ask {
    struct webhook *webhook;            /* all is webhook_ask.c's, but `done` */
    struct list node;
    struct fetch *fetch;
    /* Called once. The answer has a problem, or a status of 2xx, 401 or 403. The ask is the callee's from then on. NULL: that was of use, or
     * there was no answer; else what is wrong with it. */
    const char *(*done)(struct webhook_ask *ask, const struct fetch_answer *answer);
};

/* Asks; `event` wants no id and time. 0; -EAGAIN: too many wait, or the breaker is open; -ENOMEM: then it was not asked. */
MUST_CHECK int webhook_ask(struct webhook *webhook, struct webhook_ask *ask, struct cloud_event *event);
/* Nobody will answer: all are told so. */
void webhook_end_asks(struct webhook *webhook);

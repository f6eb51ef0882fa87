/*
 * Webhook ask: see webhook_ask.h.
 */
#include "daemon/hook/webhook_ask.h"

#include <stdio.h>

static const char *ask_end(struct webhook_ask *ask, const struct fetch_answer *answer)
{
    list_remove(&ask->node);
    ask->webhook->ask_count--;
    ask->fetch = NULL;
    return ask->done(ask, answer);
}

static void on_answered(void *argument, const struct fetch_answer *answer)
{
    struct webhook_ask *ask = argument;
    struct webhook *webhook = ask->webhook;
    struct fetch_answer told = *answer;
    unsigned status = answer->status;
    char problem[WEBHOOK_ERROR_MAX];
    if (!answer->problem && (status < 200 || status > 299) && status != 401 && status != 403) {
        snprintf(problem, sizeof(problem), "its answer has the status %u", status);
        told.problem = problem;
    }
    bool is_failure = answer->problem || status < 200 || (status >= 300 && status < 400) || status == 408 || status == 429 || status >= 500;
    if (is_failure)
        webhook_take_failure(webhook, &webhook->is_asked_in_vain, told.problem);
    const char *useless = ask_end(ask, &told);
    if (!told.problem && useless) {
        snprintf(problem, sizeof(problem), "its answer %s", useless);
        told.problem = problem;
    }
    if (!told.problem)
        webhook_take_success(webhook, &webhook->is_asked_in_vain);
    else if (!is_failure)
        webhook_take_useless(webhook, told.problem);
    webhook_schedule(webhook);
}

static void ask_write(struct webhook *webhook, struct cloud_event *event, struct buf *body)
{
    char id[64];
    const struct exchange *exchange = webhook->host->exchange;
    snprintf(id, sizeof(id), "%s-asked-%llu", exchange->lifecycle.epoch, (unsigned long long)webhook->asked);
    event->id = bytes_text(id);
    event->time_ms = exchange->ports.wall_ms(exchange->ports.argument);
    cloud_event_add(body, event);
}

int webhook_ask(struct webhook *webhook, struct webhook_ask *ask, struct cloud_event *event)
{
    struct buf body = {0};
    if (webhook->ask_count >= webhook->rule->waiting || !breaker_allows(&webhook->breaker, webhook_now_ms(webhook)))
        return -EAGAIN;
    webhook->asked++;
    ask->webhook = webhook;
    ask_write(webhook, event, &body);
    ask->fetch = buf_status(&body) == 0 ? webhook_post(webhook, webhook->ask_fetcher, false, buf_bytes(&body), on_answered, ask) : NULL;
    buf_done(&body);
    if (!ask->fetch)
        return -ENOMEM;
    breaker_begin(&webhook->breaker);
    list_append(&webhook->asks, &ask->node);
    webhook->ask_count++;
    metrics_add(webhook->host->metrics, METRIC_WEBHOOK_ASKED, 1);
    return 0;
}

void webhook_end_asks(struct webhook *webhook)
{
    const struct fetch_answer nothing = {.problem = "the webhook was taken away"};
    while (!list_is_empty(&webhook->asks)) {
        struct webhook_ask *ask = CONTAINER_OF(webhook->asks.next, struct webhook_ask, node);
        fetch_cancel(ask->fetch);
        ask_end(ask, &nothing);
    }
}

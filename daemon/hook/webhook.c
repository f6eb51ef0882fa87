/*
 * Webhook: see webhook.h.
 */
#include "daemon/hook/webhook.h"

#include "daemon/config/webhooks.h"
#include "daemon/hook/signature.h"
#include "daemon/hook/webhook_ask.h"
#include "daemon/hook/webhook_event.h"
#include "lib/log.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t webhook_now_ms(const struct webhook *webhook)
{
    const struct ports *ports = &webhook->host->exchange->ports;
    return ports->now_ms(ports->argument);
}

static uint64_t webhook_wall_ms(const struct webhook *webhook)
{
    const struct ports *ports = &webhook->host->exchange->ports;
    return ports->wall_ms(ports->argument);
}

/* The queue */

static struct webhook_item *webhook_first(const struct webhook *webhook)
{
    return CONTAINER_OF(webhook->items.next, struct webhook_item, node);
}

static void webhook_remove(struct webhook *webhook, struct webhook_item *item)
{
    list_remove(&item->node);
    webhook->item_count--;
    spool_end(webhook->host->spool, &item->entry);
    free(item);
}

static void webhook_count_drop(struct webhook *webhook)
{
    webhook->dropped++;
    webhook->lost++;
    metrics_add(webhook->host->metrics, METRIC_WEBHOOK_DROPPED, 1);
}

/* The oldest that is not under way. */
static void webhook_drop_oldest(struct webhook *webhook)
{
    struct list *node = webhook->items.next;
    for (size_t i = 0; i < webhook->under_way; i++)
        node = node->next;
    webhook_remove(webhook, CONTAINER_OF(node, struct webhook_item, node));
    webhook_count_drop(webhook);
}

static void webhook_drop_old(struct webhook *webhook)
{
    int64_t limit = (int64_t)webhook_now_ms(webhook) - (int64_t)webhook->rule->retry_age_ms;
    assert(webhook->under_way == 0);
    while (webhook->item_count && webhook_first(webhook)->born_ms < limit) {
        webhook_remove(webhook, webhook_first(webhook));
        webhook_count_drop(webhook);
    }
    spool_settle(webhook->host->spool);
}

/* Requests */

static void webhook_note_error(struct webhook *webhook, const char *problem)
{
    snprintf(webhook->last_error, sizeof(webhook->last_error), "%s", problem);
}

/* Full jitter: many daemons whose receiver failed at once do not come back at once. */
static uint64_t webhook_delay_ms(const struct webhook *webhook, uint64_t wanted_ms)
{
    const struct webhook_rule *rule = webhook->rule;
    unsigned doublings = MIN(webhook->breaker.failures - 1, 20u);
    uint64_t most_ms = MIN(rule->retry_delay_ms << doublings, rule->retry_delay_max_ms);
    return MAX(1 + arc4random_uniform((uint32_t)most_ms), MIN(wanted_ms, rule->retry_delay_max_ms));
}

static void webhook_count_failure(struct webhook *webhook, const char *problem)
{
    webhook->failed++;
    webhook_note_error(webhook, problem);
    metrics_add(webhook->host->metrics, METRIC_WEBHOOK_FAILED, 1);
}

void webhook_take_failure(struct webhook *webhook, bool *is_in_vain, const char *problem)
{
    const struct webhook_rule *rule = webhook->rule;
    bool has_opened = breaker_fail(&webhook->breaker, webhook_now_ms(webhook), rule->breaker_failures, rule->breaker_pause_ms);
    webhook_count_failure(webhook, problem);
    if (has_opened)
        log_warning(LOG_AREA_DAEMON, NULL, "webhook %s: %s; it failed %u times in a row and is left in peace for a while (webhooks.breaker-pause); "
                    "%zu events wait", rule->name, problem, webhook->breaker.failures, webhook->item_count);
    else if (!*is_in_vain)
        log_warning(LOG_AREA_DAEMON, NULL, "webhook %s: %s; %zu events wait for it", rule->name, problem, webhook->item_count);
    *is_in_vain = true;
}

void webhook_take_useless(struct webhook *webhook, const char *problem)
{
    breaker_succeed(&webhook->breaker);
    webhook_count_failure(webhook, problem);
    if (!webhook->is_asked_in_vain)
        log_warning(LOG_AREA_DAEMON, NULL, "webhook %s: %s; an answer of no use is as none, see WEBHOOKS in rtcd(8) for what is expected",
                    webhook->rule->name, problem);
    webhook->is_asked_in_vain = true;
}

void webhook_take_success(struct webhook *webhook, bool *is_in_vain)
{
    if (*is_in_vain)
        log_info(LOG_AREA_DAEMON, NULL, "webhook %s: it answers well again", webhook->rule->name);
    breaker_succeed(&webhook->breaker);
    *is_in_vain = false;
}

static void webhook_fail_to_tell(struct webhook *webhook, const char *problem, uint64_t wanted_ms)
{
    webhook_take_failure(webhook, &webhook->is_told_in_vain, problem);
    webhook->not_before_ms = webhook_now_ms(webhook) + webhook_delay_ms(webhook, wanted_ms);
}

static void webhook_count_delivered(struct webhook *webhook)
{
    webhook_take_success(webhook, &webhook->is_told_in_vain);
    webhook->is_refusing = false;
    webhook->not_before_ms = 0;
    webhook->delivered += webhook->under_way;
    metrics_add(webhook->host->metrics, METRIC_WEBHOOK_DELIVERED, webhook->under_way);
}

/* It is there and says no; it would say so again. */
static void webhook_take_refusal(struct webhook *webhook, const char *problem)
{
    breaker_succeed(&webhook->breaker);
    webhook->not_before_ms = 0;
    webhook_note_error(webhook, problem);
    if (!webhook->is_refusing)
        log_warning(LOG_AREA_DAEMON, NULL, "webhook %s: %s, which is a refusal; what it refuses is dropped (webhook_dropped counts)",
                    webhook->rule->name, problem);
    webhook->is_refusing = webhook->is_told_in_vain = true;
    for (size_t i = 0; i < webhook->under_way; i++)
        webhook_count_drop(webhook);
}

static void on_answered(void *argument, const struct fetch_answer *answer)
{
    struct webhook *webhook = argument;
    unsigned status = answer->status;
    char problem[WEBHOOK_ERROR_MAX];
    bool is_refusal = status >= 400 && status < 500 && status != 408 && status != 429, is_over = true;
    webhook->fetch = NULL;
    if (answer->problem)
        snprintf(problem, sizeof(problem), "%s", answer->problem);
    else
        snprintf(problem, sizeof(problem), "its answer has the status %u", status);
    if (!answer->problem && status >= 200 && status < 300)
        webhook_count_delivered(webhook);
    else if (!answer->problem && is_refusal)
        webhook_take_refusal(webhook, problem);
    else
        is_over = false;
    for (; is_over && webhook->under_way; webhook->under_way--)
        webhook_remove(webhook, webhook_first(webhook));
    webhook->under_way = 0;
    spool_settle(webhook->host->spool);
    if (!is_over)
        webhook_fail_to_tell(webhook, problem, answer->retry_after_ms);
    webhook_schedule(webhook);
}

static size_t webhook_write_body(const struct webhook *webhook, struct buf *body)
{
    size_t count = 0, most = webhook->rule->batch;
    if (most > 1)
        buf_add_byte(body, '[');
    LIST_EACH(node, &webhook->items) {
        const struct webhook_item *item = CONTAINER_OF(node, struct webhook_item, node);
        if (count == most)
            break;
        if (count++)
            buf_add_byte(body, ',');
        buf_add(body, item->json, item->length);
    }
    if (most > 1)
        buf_add_byte(body, ']');
    return count;
}

struct fetch *webhook_post(struct webhook *webhook, struct fetcher *fetcher, bool is_batch, struct bytes body, fetch_answered answered,
                           void *argument)
{
    struct buf signature = {0};
    char lost[48];
    const struct webhook_rule *rule = webhook->rule;
    const char *headers[3] = {is_batch ? "Content-Type: application/cloudevents-batch+json" : "Content-Type: application/cloudevents+json"};
    struct fetch_post post = {.url = rule->url, .ca_file = rule->ca_file, .headers = headers, .header_count = 1, .body = body,
                              .bytes_max = rule->answer_bytes, .timeout_ms = rule->timeout_ms};
    if (webhook->lost) {
        snprintf(lost, sizeof(lost), "Rtcd-Lost: %llu", (unsigned long long)webhook->lost);
        headers[post.header_count++] = lost;
    }
    buf_add_text(&signature, "Rtcd-Signature: ");
    int r = rule->key ? signature_add(&signature, rule->key, webhook_wall_ms(webhook) / 1000, body) : 0;
    if (rule->key)
        headers[post.header_count++] = buf_text(&signature);
    struct fetch *fetch = r == 0 && buf_status(&signature) == 0 ? fetch_post(fetcher, &post, answered, argument) : NULL;
    buf_done(&signature);
    return fetch;
}

static void webhook_send(struct webhook *webhook)
{
    struct buf body = {0};
    webhook->under_way = webhook_write_body(webhook, &body);
    breaker_begin(&webhook->breaker);
    webhook->fetch = buf_status(&body) == 0 ? webhook_post(webhook, webhook->fetcher, webhook->rule->batch > 1, buf_bytes(&body), on_answered, webhook)
                                                 : NULL;
    buf_done(&body);
    if (webhook->fetch)
        return;
    webhook->under_way = 0;
    webhook_fail_to_tell(webhook, "out of memory", 0);
}

/* When may the next request go? */
static uint64_t webhook_due_ms(const struct webhook *webhook)
{
    const struct webhook_rule *rule = webhook->rule;
    bool may_grow = webhook->item_count < rule->batch && !webhook->is_hurried;
    uint64_t due_ms = may_grow ? (uint64_t)MAX(webhook_first(webhook)->born_ms + (int64_t)rule->batch_delay_ms, INT64_C(0)) : 0;
    due_ms = MAX(due_ms, webhook->not_before_ms);
    return webhook->breaker.is_open ? MAX(due_ms, webhook->breaker.open_until_ms) : due_ms;
}

void webhook_schedule(struct webhook *webhook)
{
    uint64_t now_ms = webhook_now_ms(webhook);
    event_del(webhook->timer);
    /* Whoever is under way comes back here. */
    if (webhook->fetch || webhook->breaker.is_probing)
        return;
    webhook_drop_old(webhook);
    if (webhook->item_count == 0)
        return;
    uint64_t due_ms = webhook_due_ms(webhook), wait_ms = due_ms > now_ms ? due_ms - now_ms : 0;
    struct timeval after = {.tv_sec = (time_t)(wait_ms / 1000), .tv_usec = (suseconds_t)(wait_ms % 1000 * 1000)};
    event_add(webhook->timer, &after);
}

static void on_timer(evutil_socket_t descriptor, short what, void *argument)
{
    struct webhook *webhook = argument;
    webhook_drop_old(webhook);
    if (webhook->item_count && webhook_due_ms(webhook) <= webhook_now_ms(webhook) && breaker_allows(&webhook->breaker, webhook_now_ms(webhook)))
        webhook_send(webhook);
    if (!webhook->fetch)
        webhook_schedule(webhook);
}

/* Its life */

struct webhook *webhook_new(const struct webhook_host *host, const struct config *config, const struct webhook_rule *rule)
{
    struct webhook *webhook = calloc(1, sizeof(*webhook));
    if (!webhook)
        return NULL;
    webhook->host = host;
    webhook->config = config;
    webhook->rule = rule;
    list_init(&webhook->items);
    list_init(&webhook->asks);
    webhook->fetcher = fetcher_new(host->base, 1);
    webhook->ask_fetcher = fetcher_new(host->base, (unsigned)rule->connections);
    webhook->timer = evtimer_new(host->base, on_timer, webhook);
    webhook->name = strdup(rule->name);
    if (webhook->fetcher && webhook->ask_fetcher && webhook->timer && webhook->name)
        return webhook;
    webhook_free(webhook);
    return NULL;
}

void webhook_free(struct webhook *webhook)
{
    if (!webhook)
        return;
    webhook_event_end(webhook);
    webhook_end_asks(webhook);
    fetcher_free(webhook->fetcher);
    fetcher_free(webhook->ask_fetcher);
    if (webhook->timer)
        event_free(webhook->timer);
    LIST_EACH(node, &webhook->items) {
        struct webhook_item *item = CONTAINER_OF(node, struct webhook_item, node);
        spool_leave(&item->entry);
        free(item);
    }
    free(webhook->name);
    free(webhook);
}

void webhook_drop_all(struct webhook *webhook)
{
    metrics_add(webhook->host->metrics, METRIC_WEBHOOK_DROPPED, webhook->item_count);
    while (webhook->item_count)
        webhook_remove(webhook, webhook_first(webhook));
    webhook->under_way = 0;
    spool_settle(webhook->host->spool);
}

void webhook_set_rule(struct webhook *webhook, const struct config *config, const struct webhook_rule *rule)
{
    /* What failed may have been set right. */
    if (!rule_is_same(&webhook_list, webhook->rule, rule)) {
        breaker_succeed(&webhook->breaker);
        webhook->not_before_ms = 0;
        webhook->is_told_in_vain = webhook->is_asked_in_vain = webhook->is_refusing = false;
    }
    webhook->config = config;
    webhook->rule = rule;
    fetcher_set_connections(webhook->ask_fetcher, (unsigned)rule->connections);
    while (webhook->item_count > webhook->under_way + rule->queue)
        webhook_drop_oldest(webhook);
    webhook_schedule(webhook);
}

/* When something happened at this time of day, by the daemon's own clock. */
static int64_t webhook_birth_ms(const struct webhook *webhook, uint64_t time_ms)
{
    uint64_t wall_ms = webhook_wall_ms(webhook), age_ms = wall_ms > time_ms ? wall_ms - time_ms : 0;
    return (int64_t)webhook_now_ms(webhook) - (int64_t)MIN(age_ms, (uint64_t)INT32_MAX * 1000);
}

void webhook_push(struct webhook *webhook, struct bytes json, uint64_t time_ms)
{
    bool is_full = webhook->item_count - webhook->under_way >= webhook->rule->queue;
    struct webhook_item *item = is_full && webhook->rule->full == QUEUE_DROP_NEWEST ? NULL : malloc(sizeof(*item) + json.length);
    if (!item) {
        webhook_count_drop(webhook);
        return;
    }
    if (is_full)
        webhook_drop_oldest(webhook);
    *item = (struct webhook_item){.born_ms = webhook_birth_ms(webhook, time_ms), .length = json.length};
    memcpy(item->json, json.data, json.length);
    item->entry = (struct spool_entry){.time_ms = time_ms, .name = webhook->name, .json = bytes_of(item->json, item->length)};
    spool_add(webhook->host->spool, &item->entry);
    list_append(&webhook->items, &item->node);
    webhook->item_count++;
    /* Else the timer runs already, or a request is under way. */
    if (webhook->item_count == 1 || webhook->item_count == webhook->rule->batch)
        webhook_schedule(webhook);
}

void webhook_add_lost(struct webhook *webhook, uint64_t count)
{
    webhook->lost += count;
}

void webhook_hurry(struct webhook *webhook)
{
    webhook->is_hurried = true;
    webhook_schedule(webhook);
}

bool webhook_is_busy(const struct webhook *webhook)
{
    return webhook->item_count && webhook->breaker.failures == 0 && !webhook->is_refusing;
}

size_t webhook_waiting(const struct webhook *webhook)
{
    return webhook->item_count;
}

const char *webhook_state(const struct webhook *webhook)
{
    if (webhook->breaker.is_open)
        return webhook->breaker.is_probing ? "probing" : "open";
    return webhook->breaker.failures ? "retrying" : webhook->is_refusing ? "refused" : "ready";
}

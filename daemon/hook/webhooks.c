/*
 * Webhooks: see webhooks.h.
 */
#include "daemon/hook/webhooks.h"

#include "daemon/config/webhooks.h"
#include "daemon/hook/cloud_event.h"
#include "daemon/hook/webhook_connect.h"
#include "daemon/hook/webhook_event.h"
#include "lib/json.h"
#include "lib/log.h"

#include <stdio.h>

/* The config's words are the names of the events without rtc. in front. */
static void webhooks_learn_names(struct webhooks *webhooks)
{
    static const char prefix[] = "rtc.";
    for (enum notice_kind kind = 0; kind < NOTICE_KIND_COUNT; kind++) {
        const char *name = notice_is_numbered(kind) ? notice_kind_name(kind) : NULL;
        webhooks->events[kind] = name ? webhook_event_find(bytes_text(name + strlen(prefix))) : WEBHOOK_EVENT_COUNT;
    }
}

static bool webhooks_want(const struct webhooks *webhooks, const struct webhook *webhook, enum notice_kind kind)
{
    enum webhook_event event = webhooks->events[kind];
    return event < WEBHOOK_EVENT_COUNT && webhook_rule_wants(webhook->rule, event);
}

/* Does it want any of what can get lost on the way here? */
static bool webhooks_want_any(const struct webhooks *webhooks, const struct webhook *webhook)
{
    bool wants = false;
    for (enum notice_kind kind = 0; kind < NOTICE_KIND_COUNT && !wants; kind++)
        wants = webhooks_want(webhooks, webhook, kind);
    return wants;
}

static bool on_wants(const struct notice_sink *sink, enum notice_kind kind)
{
    const struct webhooks *webhooks = CONTAINER_OF(sink, struct webhooks, sink);
    bool wants = false;
    for (size_t i = 0; i < webhooks->count && !wants; i++)
        wants = kind == NOTICE_GAP ? webhooks_want_any(webhooks, webhooks->items[i]) : webhooks_want(webhooks, webhooks->items[i], kind);
    return wants;
}

/* The notice as one CloudEvent, which is the same for all who want it. */
static struct bytes webhooks_write(struct webhooks *webhooks, const struct notice *notice)
{
    char id[64], type[64];
    snprintf(id, sizeof(id), "%s-%llu", webhooks->host.exchange->lifecycle.epoch, (unsigned long long)notice->sequence);
    snprintf(type, sizeof(type), "rtcd.%s", webhook_event_names[webhooks->events[notice->kind]]);
    struct cloud_event event = {
        .id = bytes_text(id), .source = bytes_text(webhooks->config->hooks.source), .type = bytes_text(type),
        .subject = notice->group.length ? notice->group : notice->connection.length ? notice->connection : notice->user,
        .time_ms = notice->time_ms, .data = {json_member(notice->json, "from"), json_member(notice->json, "data")},
    };
    buf_clear(&webhooks->scratch);
    cloud_event_add(&webhooks->scratch, &event);
    return buf_bytes(&webhooks->scratch);
}

static void on_notice(struct notice_sink *sink, const struct notice *notice)
{
    struct webhooks *webhooks = CONTAINER_OF(sink, struct webhooks, sink);
    struct bytes json = {0};
    if (notice->kind != NOTICE_GAP)
        json = webhooks_write(webhooks, notice);
    for (size_t i = 0; i < webhooks->count; i++) {
        struct webhook *webhook = webhooks->items[i];
        bool wants = webhooks_want(webhooks, webhook, notice->kind) && (!notice->group.length || webhook_rule_has_group(webhook->rule, notice->group));
        if (notice->kind == NOTICE_GAP && webhooks_want_any(webhooks, webhook))
            webhook_add_lost(webhook, notice->lost);
        else if (wants && buf_status(&webhooks->scratch) < 0)
            webhook_add_lost(webhook, 1);
        else if (wants)
            webhook_push(webhook, json, notice->time_ms);
    }
}

static bool on_is_busy(const struct notice_sink *sink)
{
    const struct webhooks *webhooks = CONTAINER_OF(sink, struct webhooks, sink);
    bool is_busy = false;
    for (size_t i = 0; i < webhooks->count && !is_busy; i++)
        is_busy = webhook_is_busy(webhooks->items[i]);
    return is_busy;
}

void webhooks_hurry(struct webhooks *webhooks)
{
    for (size_t i = 0; i < webhooks->count; i++)
        webhook_hurry(webhooks->items[i]);
}

/* The one that is asked whether clients may connect; NULL: none is. */
static struct webhook *webhooks_judge(const struct webhooks *webhooks)
{
    for (size_t i = 0; i < webhooks->count; i++)
        if (webhook_rule_wants(webhooks->items[i]->rule, WEBHOOK_CONNECT))
            return webhooks->items[i];
    return NULL;
}

/* The call may have been under way while a reload took the webhook away. */
static void on_judge(struct gate_judge *judge, struct gate_call *call)
{
    struct webhook *webhook = webhooks_judge(CONTAINER_OF(judge, struct webhooks, judge));
    if (webhook)
        webhook_connect(webhook, call);
    else
        gate_answer(call);
}

/* The one with this name, which is nobody else's from now on; NULL: there is none. */
static struct webhook *webhooks_steal(struct webhooks *webhooks, const char *name)
{
    for (size_t i = 0; i < webhooks->count; i++)
        if (webhooks->items[i] && strcmp(webhooks->items[i]->rule->name, name) == 0)
            return STEAL(webhooks->items[i]);
    return NULL;
}

/* Its name is gone from the config. */
static void webhooks_drop(struct webhook *webhook)
{
    if (webhook && webhook_waiting(webhook))
        log_warning(LOG_AREA_DAEMON, NULL, "webhook %s: it is no longer in the config, and %zu events that waited for it are lost", webhook->name,
                    webhook_waiting(webhook));
    if (webhook)
        webhook_drop_all(webhook);
    webhook_free(webhook);
}

static void webhooks_part(const struct webhooks *webhooks, struct webhook *webhook)
{
    size_t waiting = webhook_waiting(webhook);
    if (waiting && spool_is_open(&webhooks->spool))
        log_info(LOG_AREA_DAEMON, NULL, "webhook %s: %zu events wait for it in %s", webhook->name, waiting, webhooks->spool.path);
    else if (waiting)
        log_warning(LOG_AREA_DAEMON, NULL, "webhook %s: %zu events that waited for it are lost with the daemon (hooks.spool keeps them)",
                    webhook->name, waiting);
    webhook_free(webhook);
}

int webhooks_take_config(struct webhooks *webhooks, struct config *config)
{
    struct webhook *items[WEBHOOKS_MAX] = {0};
    size_t count = 0;
    int r = 0;
    for (size_t i = 0; i < config->webhook_count; i++) {
        const struct webhook_rule *rule = &config->webhooks[i];
        struct webhook *webhook = webhooks_steal(webhooks, rule->name);
        if (webhook)
            webhook_set_rule(webhook, config, rule);
        else
            webhook = webhook_new(&webhooks->host, config, rule);
        int one = webhook ? webhook_event_update(webhook) : -ENOMEM;
        if (webhook)
            items[count++] = webhook;
        r = one < 0 ? one : r;
    }
    for (size_t i = 0; i < webhooks->count; i++)
        webhooks_drop(webhooks->items[i]);
    memcpy(webhooks->items, items, count * sizeof(items[0]));
    webhooks->count = count;
    spool_set_config(&webhooks->spool, config);
    config_unref(webhooks->config);
    webhooks->config = config_ref(config);
    notices_refresh(webhooks->notices);
    gate_set_judge(&webhooks->host.exchange->gate, webhooks_judge(webhooks) ? &webhooks->judge : NULL);
    return r;
}

/* In the spool from the last time. */
static void on_found(void *argument, struct bytes name, struct bytes json, uint64_t time_ms)
{
    struct webhooks *webhooks = argument;
    for (size_t i = 0; i < webhooks->count; i++) {
        if (bytes_is(name, webhooks->items[i]->name)) {
            webhook_push(webhooks->items[i], json, time_ms);
            return;
        }
    }
    webhooks->orphan_count++;
}

int webhooks_init(struct webhooks *webhooks, const struct webhook_host *host, struct notices *notices, struct config *config)
{
    *webhooks = (struct webhooks){.host = *host, .notices = notices, .sink = {.wants = on_wants, .take = on_notice, .is_busy = on_is_busy},
                                    .judge = {on_judge}};
    webhooks->spool.descriptor = -1;
    list_init(&webhooks->spool.entries);
    webhooks->host.spool = &webhooks->spool;
    webhooks_learn_names(webhooks);
    notices_add(notices, &webhooks->sink);
    int r = webhooks_take_config(webhooks, config);
    if (r == 0)
        r = spool_open(&webhooks->spool, config, host->metrics, on_found, webhooks);
    metrics_add(host->metrics, METRIC_WEBHOOK_DROPPED, webhooks->orphan_count);
    if (webhooks->orphan_count)
        log_warning(LOG_AREA_DAEMON, NULL, "%s: %zu events in it were for webhooks that are no longer in the config, and are lost",
                    webhooks->spool.path, webhooks->orphan_count);
    return r;
}

void webhooks_done(struct webhooks *webhooks)
{
    if (!webhooks->notices)
        return;
    notices_remove(webhooks->notices, &webhooks->sink);
    gate_set_judge(&webhooks->host.exchange->gate, NULL);
    for (size_t i = 0; i < webhooks->count; i++)
        webhooks_part(webhooks, webhooks->items[i]);
    spool_close(&webhooks->spool);
    config_unref(webhooks->config);
    buf_done(&webhooks->scratch);
}

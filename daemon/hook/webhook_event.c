/*
 * Webhook event: see webhook_event.h.
 */
#include "daemon/hook/webhook_event.h"

#include "daemon/config/webhooks.h"
#include "daemon/hook/handlers.h"
#include "daemon/hook/webhook_ask.h"
#include "lib/json.h"
#include "lib/log.h"

#include <stdio.h>
#include <stdlib.h>

enum { REPLY_MEMBERS_MAX = 32 };

struct webhook_handler {
    struct handler handler;
    struct webhook *webhook;
    char *pattern, *about;
};

struct webhook_handlers {
    size_t count;
    struct webhook_handler items[];
};

struct event_ask {
    struct webhook_ask ask;
    uint64_t number;                    /* 0: nobody waits for a reply */
};

int webhook_event_read(struct bytes body, struct webhook_reply *ret)
{
    struct json_scan scan;
    struct bytes object;
    *ret = (struct webhook_reply){0};
    if (body.length == 0)
        return 0;
    json_scan_init(&scan, body);
    if (json_take_all(&scan, JSON_DEPTH_MAX, &object) < 0 || json_type(object) != JSON_OBJECT
        || json_check_members(object, REPLY_MEMBERS_MAX) < 0)
        return -EBADMSG;
    struct bytes error = json_member(object, "error");
    ret->is_error = error.length && json_type(error) != JSON_NULL;
    if (!ret->is_error) {
        ret->data = json_member(object, "data");
        return 0;
    }
    ret->code = json_member(error, "code");
    ret->message = json_member(error, "message");
    /* Two bytes are its quotes. */
    bool is_whole = ret->code.length > 2 && json_type(ret->code) == JSON_STRING && (!ret->message.length || json_type(ret->message) == JSON_STRING);
    return is_whole ? 0 : -EBADMSG;
}

static int fail(const struct webhook *webhook, uint64_t number, const char *code, const char *message)
{
    return number ? handlers_fail(webhook->host->handlers, number, bytes_text(code), bytes_text(message)) : 0;
}

static int reply(const struct webhook *webhook, uint64_t number, const struct webhook_reply *said)
{
    struct buf scratch[2] = {0}, data = {0};
    struct bytes code = {0}, message = {0};
    int r = 0;
    if (said->is_error) {
        r = json_string(said->code, &scratch[0], &code);
        if (r == 0 && said->message.length)
            r = json_string(said->message, &scratch[1], &message);
        if (r == 0)
            r = handlers_fail(webhook->host->handlers, number, code, message);
    } else {
        json_add_compact(&data, said->data);
        r = buf_status(&data);
        if (r == 0)
            r = handlers_reply(webhook->host->handlers, number, buf_bytes(&data));
    }
    buf_done(&scratch[0]);
    buf_done(&scratch[1]);
    buf_done(&data);
    return r;
}

/* What could not be said for want of memory, the registry's own timeout says. What nobody waits for any more, it counts. */
static const char *on_done(struct webhook_ask *ask, const struct fetch_answer *answer)
{
    struct event_ask *event = CONTAINER_OF(ask, struct event_ask, ask);
    struct webhook *webhook = ask->webhook;
    uint64_t number = event->number;
    struct webhook_reply said = {0};
    const char *useless = NULL;
    int r = 0;
    free(event);
    if (number == 0)
        return NULL;
    if (!answer->problem && answer->status >= 300)
        useless = "to an event has the status 401 or 403";
    else if (!answer->problem && webhook_event_read(answer->body, &said) < 0)
        useless = "to an event has neither data nor an error";
    if (!answer->problem && !useless)
        r = reply(webhook, number, &said);
    else
        r = fail(webhook, number, "no-handler", "the webhook that handles this event failed");
    if (r == -ENOMEM)
        log_warning(LOG_AREA_DAEMON, NULL, "webhook %s: a reply is lost: out of memory", webhook->rule->name);
    return useless;
}

static bool on_take(struct handler *handler, const struct event_call *call)
{
    struct webhook *webhook = CONTAINER_OF(handler, struct webhook_handler, handler)->webhook;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    if (!breaker_allows(&webhook->breaker, webhook_now_ms(webhook)))
        return fail(webhook, call->number, "no-handler", "the webhook that handles this event is out of order") != -ENOMEM;
    struct event_ask *event = calloc(1, sizeof(*event));
    if (!event)
        return false;
    *event = (struct event_ask){.ask = {.done = on_done}, .number = call->number};
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_string(&json, call->name);
    json_key(&json, "data");
    json_add_raw(&json, call->data);
    json_end_object(&json);
    struct cloud_event said = {.source = bytes_text(webhook->config->hooks.source), .type = BYTES("rtcd.event"), .subject = call->connection_id,
                               .data = {call->from, buf_bytes(&data)}};
    int r = buf_status(&data);
    if (r == 0)
        r = webhook_ask(webhook, &event->ask, &said);
    buf_done(&data);
    if (r < 0)
        free(event);
    return r == 0;
}

static bool handlers_are_right(const struct webhook *webhook, size_t count)
{
    const struct webhook_handlers *handlers = webhook->handlers;
    const struct text_list *patterns = &webhook->rule->event_names;
    bool is_same = (handlers ? handlers->count : 0) == count;
    for (size_t i = 0; i < count && is_same; i++)
        is_same = strcmp(handlers->items[i].pattern, patterns->count ? patterns->items[i] : "*") == 0;
    return is_same;
}

static int handler_add(struct webhook *webhook, const char *pattern)
{
    struct webhook_handler *item = &webhook->handlers->items[webhook->handlers->count];
    char about[WEBHOOK_NAME_MAX + 16];
    snprintf(about, sizeof(about), "webhook %s", webhook->rule->name);
    *item = (struct webhook_handler){.webhook = webhook, .pattern = strdup(pattern), .about = strdup(about)};
    item->handler = (struct handler){.pattern = item->pattern, .about = item->about, .take = on_take};
    int r = item->pattern && item->about ? handlers_add(webhook->host->handlers, &item->handler) : -ENOMEM;
    if (r == 0) {
        webhook->handlers->count++;
        return 0;
    }
    free(item->pattern);
    free(item->about);
    return r;
}

int webhook_event_update(struct webhook *webhook)
{
    const struct text_list *patterns = &webhook->rule->event_names;
    size_t count = webhook_rule_wants(webhook->rule, WEBHOOK_EVENT) ? MAX(patterns->count, (size_t)1) : 0;
    if (handlers_are_right(webhook, count))
        return 0;
    webhook_event_end(webhook);
    if (count == 0)
        return 0;
    webhook->handlers = calloc(1, sizeof(*webhook->handlers) + count * sizeof(webhook->handlers->items[0]));
    int r = webhook->handlers ? 0 : -ENOMEM;
    for (size_t i = 0; i < count && r == 0; i++)
        r = handler_add(webhook, patterns->count ? patterns->items[i] : "*");
    return r;
}

void webhook_event_end(struct webhook *webhook)
{
    struct webhook_handlers *handlers = webhook->handlers;
    while (handlers && handlers->count) {
        struct webhook_handler *item = &handlers->items[--handlers->count];
        handlers_remove(webhook->host->handlers, &item->handler);
        free(item->pattern);
        free(item->about);
    }
    free(handlers);
    webhook->handlers = NULL;
}

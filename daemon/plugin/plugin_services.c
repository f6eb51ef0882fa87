/*
 * Plug-in services: what the daemon does for a plug-in. Nothing that a plug-in hands in is trusted to be right, only to be there.
 */
#include "daemon/plugin/plugin.h"

#include "daemon/config/config.h"
#include "daemon/config/option.h"
#include "daemon/core/exchange.h"
#include "daemon/core/message.h"
#include "daemon/core/policy.h"
#include "lib/envelope.h"
#include "lib/json.h"
#include "lib/log.h"

#include <stdio.h>

enum { CODE_MAX = 64 };

static struct plugin_call *call_of(struct rtcd_call *call)
{
    return CONTAINER_OF(call, struct plugin_call, call);
}

/* What a plug-in gets wrong is its author's to know. */
static int service_complain(const struct plugin_call *call, int r, const char *problem)
{
    if (r < 0)
        log_warning(LOG_AREA_DAEMON, NULL, "plug-in %s: what it says %s", call->plugin->table.name, problem);
    return r;
}

static int service_misplaced(const struct plugin_call *call, const char *service)
{
    log_warning(LOG_AREA_DAEMON, NULL, "plug-in %s: %s has no place in this hook; see rtcd_plugin(3)", call->plugin->table.name, service);
    return -EPERM;
}

static void service_log(struct rtcd_call *call, enum rtcd_level level, const char *text)
{
    static const enum log_level levels[] = {
        [RTCD_ERROR] = LOG_LEVEL_ERROR, [RTCD_WARNING] = LOG_LEVEL_WARNING, [RTCD_INFO] = LOG_LEVEL_INFO, [RTCD_DEBUG] = LOG_LEVEL_DEBUG,
    };
    enum log_level log_level = (size_t)level < COUNT_OF(levels) ? levels[level] : LOG_LEVEL_INFO;
    log_at(log_level, LOG_AREA_DAEMON, NULL, "plug-in %s: %s", call_of(call)->plugin->table.name, text);
}

static uint64_t service_now_ms(struct rtcd_call *call)
{
    const struct ports *ports = &call_of(call)->plugins->exchange->ports;
    return ports->now_ms(ports->argument);
}

static uint64_t service_wall_ms(struct rtcd_call *call)
{
    const struct ports *ports = &call_of(call)->plugins->exchange->ports;
    return ports->wall_ms(ports->argument);
}

/* One JSON value on one line; nothing for null. -EINVAL, -E2BIG, -ENOMEM. */
static int service_read_json(const struct plugin_call *call, struct rtcd_text json, struct buf *out)
{
    struct json_scan scan;
    struct bytes whole;
    json_scan_init(&scan, plugin_bytes(json));
    if (json.length == 0)
        return 0;
    if (json_take_all(&scan, JSON_DEPTH_MAX, &whole) < 0)
        return -EINVAL;
    if (json_type(whole) != JSON_NULL)
        json_add_compact(out, whole);
    if (buf_status(out) < 0)
        return -ENOMEM;
    return out->length > call->hub->config->connection.message_bytes ? -E2BIG : 0;
}

static int publish_target(enum rtcd_target target, struct bytes to, struct bytes event_name, struct target *ret)
{
    static const enum target_kind kinds[] = {
        [RTCD_TO_GROUP] = TARGET_GROUP, [RTCD_TO_USER] = TARGET_USER, [RTCD_TO_CONNECTION] = TARGET_CONNECTION,
    };
    if ((size_t)target >= COUNT_OF(kinds) || !name_is_valid(to, NAME_MAX_BYTES) || !name_is_valid(event_name, EVENT_NAME_MAX)
        || event_name_is_reserved(event_name))
        return -EINVAL;
    *ret = (struct target){.kind = kinds[target], .name = to};
    return 0;
}

static int publish_send(struct hub *hub, const struct target *to, struct bytes event_name, struct bytes json)
{
    struct envelope envelope = {.event_name = event_name, .data = json, .data_codec = CODEC_JSON};
    unsigned recipients;
    if (to->kind == TARGET_GROUP)
        envelope.group = to->name;
    SCOPED(message) message = message_new(&envelope);
    if (!message)
        return -ENOMEM;
    message_set_slow(message, policy_slow(hub->config, to));
    int r = exchange_publish(hub->exchange, hub->config, message, to, 0, &recipients);
    metrics_add(&hub->metrics, METRIC_MESSAGES_PUBLISHED, r == 0);
    metrics_add(&hub->metrics, METRIC_MAILBOX_FULL, r == -EAGAIN);
    return r;
}

static int service_publish(struct rtcd_call *rtcd_call, enum rtcd_target target, struct rtcd_text to, struct rtcd_text event_name,
                           struct rtcd_text json)
{
    const struct plugin_call *call = call_of(rtcd_call);
    struct target read;
    struct buf data = {0};
    if (!call->hub)
        return service_misplaced(call, "publish");
    int r = publish_target(target, plugin_bytes(to), plugin_bytes(event_name), &read);
    if (r < 0)
        return service_complain(call, r, "is to be published under a wrong name, or to nobody");
    r = service_read_json(call, json, &data);
    if (r < 0)
        service_complain(call, r, "is to be published and is no JSON, or more than connection.message-bytes");
    else
        r = publish_send(call->hub, &read, plugin_bytes(event_name), buf_bytes(&data));
    buf_done(&data);
    return r;
}

static int refuse_event(const struct plugin_call *call, struct bytes code, struct bytes message)
{
    struct middleware_event *event = call->event;
    struct buf answer = {0};
    if (!name_is_valid(code, CODE_MAX) || !utf8_is_valid(message))
        return service_complain(call, -EINVAL, "refuses with what is no code of 1 to 64 bytes, or no UTF-8 text");
    struct json_writer json = json_writer(&answer);
    json_begin_object(&json);
    json_key(&json, "code");
    json_add_string(&json, code);
    json_key(&json, "message");
    json_add_string(&json, message.length ? message : code);
    json_end_object(&json);
    if (buf_status(&answer) < 0) {
        buf_done(&answer);
        return -ENOMEM;
    }
    buf_done(&event->answer);
    event->answer = answer;
    event->is_error = true;
    return 0;
}

static int service_refuse(struct rtcd_call *rtcd_call, struct rtcd_text code, struct rtcd_text message)
{
    const struct plugin_call *call = call_of(rtcd_call);
    const char *problem = "";
    if (call->event)
        return refuse_event(call, plugin_bytes(code), plugin_bytes(message));
    if (!call->verdict)
        return service_misplaced(call, "refuse");
    int r = verdict_refuse(call->verdict, plugin_bytes(code), plugin_bytes(message), &problem);
    return service_complain(call, r, problem);
}

static int service_set_user(struct rtcd_call *rtcd_call, struct rtcd_text user)
{
    const struct plugin_call *call = call_of(rtcd_call);
    const char *problem = "";
    if (!call->verdict)
        return service_misplaced(call, "set_user");
    int r = verdict_set_user(call->verdict, plugin_bytes(user), &problem);
    return service_complain(call, r, problem);
}

static int service_add_group(struct rtcd_call *rtcd_call, struct rtcd_text group)
{
    const struct plugin_call *call = call_of(rtcd_call);
    const char *problem = "";
    if (!call->verdict)
        return service_misplaced(call, "add_group");
    int r = verdict_add_group(call->verdict, plugin_bytes(group), &problem);
    return service_complain(call, r, problem);
}

static int service_add_label(struct rtcd_call *rtcd_call, struct rtcd_text name, struct rtcd_text value)
{
    const struct plugin_call *call = call_of(rtcd_call);
    const char *problem = "";
    if (!call->verdict)
        return service_misplaced(call, "add_label");
    int r = verdict_add_label(call->verdict, plugin_bytes(name), plugin_bytes(value), &problem);
    return service_complain(call, r, problem);
}

static int service_set_info(struct rtcd_call *rtcd_call, struct rtcd_text json)
{
    const struct plugin_call *call = call_of(rtcd_call);
    const char *problem = "";
    if (!call->verdict)
        return service_misplaced(call, "set_info");
    int r = verdict_set_info(call->verdict, plugin_bytes(json), &problem);
    return service_complain(call, r, problem);
}

/* Transports are switched on by options of their names. */
static bool is_offered(struct bytes name)
{
    char path[64];
    snprintf(path, sizeof(path), "transports.%.*s", (int)MIN(name.length, sizeof(path)), (const char *)name.data);
    const struct config_option *option = option_find(path);
    return codec_by_name(name) || (option && option->kind == OPTION_FLAG);
}

static int service_withhold(struct rtcd_call *rtcd_call, struct rtcd_text name)
{
    const struct plugin_call *call = call_of(rtcd_call);
    const char *problem = "";
    if (call->hook != PLUGIN_NEGOTIATE)
        return service_misplaced(call, "withhold");
    if (!is_offered(plugin_bytes(name)))
        return service_complain(call, -EINVAL, "withholds what is no name of a transport or protocol");
    int r = verdict_withhold(call->verdict, plugin_bytes(name), &problem);
    return service_complain(call, r, problem);
}

static int service_redirect(struct rtcd_call *rtcd_call, struct rtcd_text url, struct rtcd_text access_token)
{
    const struct plugin_call *call = call_of(rtcd_call);
    const char *problem = "";
    if (call->hook != PLUGIN_NEGOTIATE)
        return service_misplaced(call, "redirect");
    int r = verdict_redirect(call->verdict, plugin_bytes(url), plugin_bytes(access_token), &problem);
    return service_complain(call, r, problem);
}

static int service_reply(struct rtcd_call *rtcd_call, struct rtcd_text json)
{
    const struct plugin_call *call = call_of(rtcd_call);
    struct buf answer = {0};
    if (!call->event)
        return service_misplaced(call, "reply");
    int r = service_read_json(call, json, &answer);
    if (r < 0) {
        buf_done(&answer);
        return service_complain(call, r, "is a reply that is no JSON, or more than connection.message-bytes");
    }
    buf_done(&call->event->answer);
    call->event->answer = answer;
    call->event->is_error = false;
    return 0;
}

const struct rtcd_services plugin_services = {
    .size = sizeof(plugin_services),
    .log = service_log,
    .now_ms = service_now_ms,
    .wall_ms = service_wall_ms,
    .publish = service_publish,
    .refuse = service_refuse,
    .set_user = service_set_user,
    .add_group = service_add_group,
    .add_label = service_add_label,
    .set_info = service_set_info,
    .withhold = service_withhold,
    .redirect = service_redirect,
    .reply = service_reply,
};

/*
 * API publish: see api_publish.h.
 */
#include "daemon/api/api_publish.h"

#include "daemon/config/groups.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/keeper.h"
#include "daemon/core/message.h"
#include "daemon/core/policy.h"
#include "lib/json.h"

struct publish {
    struct target to;
    struct envelope envelope;
};

/* The text of a string that has no escapes and stands there for the first time. */
static bool take_text(struct bytes value, struct bytes *ret)
{
    if (ret->length || value.length < 3 || value.data[0] != '"' || memchr(value.data, '\\', value.length))
        return false;
    *ret = bytes_of(value.data + 1, value.length - 2);
    return true;
}

static bool take_target(struct publish *publish, enum target_kind kind, struct bytes value)
{
    if (publish->to.name.length || publish->to.kind == TARGET_ALL)
        return false;
    publish->to.kind = kind;
    return kind == TARGET_ALL ? bytes_is(value, "true") : take_text(value, &publish->to.name);
}

static bool take_member(struct publish *publish, struct bytes key, struct bytes value)
{
    if (bytes_is(key, "\"group\""))
        return take_target(publish, TARGET_GROUP, value);
    if (bytes_is(key, "\"user\""))
        return take_target(publish, TARGET_USER, value);
    if (bytes_is(key, "\"connection\""))
        return take_target(publish, TARGET_CONNECTION, value);
    if (bytes_is(key, "\"all\""))
        return take_target(publish, TARGET_ALL, value);
    if (bytes_is(key, "\"event\""))
        return take_text(value, &publish->envelope.event_name);
    if (!bytes_is(key, "\"data\"") || publish->envelope.data.length || json_type(value) == JSON_NULL)
        return false;
    publish->envelope.data = value;
    return true;
}

static bool is_right(const struct publish *publish)
{
    struct bytes event = publish->envelope.event_name;
    bool has_name = publish->to.kind != TARGET_ALL;
    return publish->to.kind != TARGET_SERVER && name_is_valid(event, EVENT_NAME_MAX) && !event_name_is_reserved(event)
        && (!has_name || name_is_valid(publish->to.name, NAME_MAX_BYTES));
}

/* Data on several lines is put on one by the command. */
static bool publish_read(struct bytes body, struct publish *ret)
{
    struct json_scan scan;
    struct bytes key, value;
    *ret = (struct publish){.to.kind = TARGET_SERVER, .envelope.data_codec = CODEC_JSON};
    json_scan_init(&scan, body);
    int r = json_enter(&scan, '{');
    while (r == 0 && (r = json_next_member(&scan, JSON_DEPTH_MAX - 1, &key, &value)) == 1) {
        if (!take_member(ret, key, value))
            return false;
        r = 0;
    }
    if (r < 0 || json_finish(&scan) < 0 || scan.saw_newline || !is_right(ret))
        return false;
    if (ret->to.kind == TARGET_GROUP)
        ret->envelope.group = ret->to.name;
    return true;
}

static void publish_answer(struct link *link, unsigned recipients)
{
    struct buf *answer = &link->worker->scratch;
    buf_clear(answer);
    buf_add_text(answer, "{\"recipients\":");
    buf_add_decimal(answer, recipients);
    buf_add_byte(answer, '}');
    struct response response = {.status = 200, .content_type = "application/json", .body = buf_bytes(answer)};
    if (buf_status(answer) < 0)
        response = (struct response){.status = 204};
    http_respond(link, &response);
}

/* The main thread is told when it is stored, and answers then. */
static bool is_to_be_stored(const struct hub *hub, const struct publish *publish)
{
    const struct keeper *keeper = hub->exchange->directory->keeper;
    if (!keeper || !keeper->is_awaited || publish->to.kind != TARGET_GROUP)
        return false;
    const struct group_rule *rule = config_group_rule(hub->config, publish->to.name);
    return rule && rule->history.envelopes;
}

bool api_publish(struct link *link, const struct request *request)
{
    struct publish publish;
    struct hub *hub = link->worker->hub;
    unsigned recipients = 0;
    if (request->access < ADMIN_OPERATOR || !publish_read(request->body, &publish) || is_to_be_stored(hub, &publish))
        return false;
    SCOPED(message) message = message_new(&publish.envelope);
    if (!message)
        return false;
    message_set_slow(message, policy_slow(hub->config, &publish.to));
    int r = exchange_publish(hub->exchange, hub->config, message, &publish.to, 0, &recipients);
    if (r == -ENOMEM) {
        struct fault fault;
        fault_set(&fault, FAULT_INTERNAL, "out of memory; some may have it");
        http_refuse(link, &fault, false, NULL);
        return true;
    }
    if (r < 0)
        return false;
    metrics_add(&hub->metrics, METRIC_MESSAGES_PUBLISHED, 1);
    publish_answer(link, recipients);
    return true;
}

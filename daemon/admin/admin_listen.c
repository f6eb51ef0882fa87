/*
 * listen: notices from their sink to those who listen on the admin socket.
 */
#include "daemon/admin/admin_listen.h"

#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_client.h"
#include "daemon/config/config.h"

#include <stdio.h>
#include <stdlib.h>

static bool listener_wants_name(const struct admin_client *client, struct bytes name)
{
    return !client->pattern || text_matches(bytes_text(client->pattern), name);
}

static bool listener_wants(const struct admin_client *client, enum notice_kind kind)
{
    if (kind != NOTICE_GAP)
        return kind == NOTICE_EVENT || listener_wants_name(client, bytes_text(notice_kind_name(kind)));
    for (kind = NOTICE_FIRST_NUMBERED; kind < NOTICE_KIND_COUNT; kind++)
        if (listener_wants(client, kind))
            return true;
    return false;
}

static bool on_wants(const struct notice_sink *sink, enum notice_kind kind)
{
    const struct admin *admin = CONTAINER_OF(sink, struct admin, listeners);
    LIST_EACH(node, &admin->clients) {
        const struct admin_client *client = CONTAINER_OF(node, struct admin_client, node);
        if (client->is_listening && listener_wants(client, kind))
            return true;
    }
    return false;
}

static void listener_send(struct admin_client *client, struct bytes json, size_t queue_bytes)
{
    if (client->out.length && client->out.length + json.length > queue_bytes) {
        client->lost++;
        metrics_add(client->admin->host.metrics, METRIC_LISTEN_DROPPED, 1);
        return;
    }
    if (client->lost) {
        char gap[80];
        snprintf(gap, sizeof(gap), "{\"eventName\":\"rtc.gap\",\"data\":{\"lost\":%llu}}", (unsigned long long)client->lost);
        admin_client_send(client, bytes_text(gap));
        client->lost = 0;
    }
    admin_client_send(client, json);
}

static void listener_tell(struct admin_client *client, const struct notice *notice, size_t queue_bytes)
{
    if (notice->kind == NOTICE_EVENT ? !listener_wants_name(client, notice->name) : !listener_wants(client, notice->kind))
        return;
    if (notice->kind != NOTICE_GAP && notice->sequence && notice->sequence <= client->since)
        return;
    listener_send(client, notice->json, queue_bytes);
}

static void on_notice(struct notice_sink *sink, const struct notice *notice)
{
    struct admin *admin = CONTAINER_OF(sink, struct admin, listeners);
    const struct config *config = admin->host.config(admin->host.argument);
    LIST_EACH(node, &admin->clients) {
        struct admin_client *client = CONTAINER_OF(node, struct admin_client, node);
        if (client->is_listening)
            listener_tell(client, notice, config->admin.queue_bytes);
    }
}

static bool on_is_busy(const struct notice_sink *sink)
{
    const struct admin *admin = CONTAINER_OF(sink, struct admin, listeners);
    LIST_EACH(node, &admin->clients) {
        const struct admin_client *client = CONTAINER_OF(node, struct admin_client, node);
        if (client->is_listening && client->out.length)
            return true;
    }
    return false;
}

void admin_listen_begin(struct admin *admin)
{
    admin->listeners = (struct notice_sink){.wants = on_wants, .take = on_notice, .is_busy = on_is_busy};
    notices_add(admin->host.notices, &admin->listeners);
}

void admin_listen_end(struct admin *admin)
{
    notices_remove(admin->host.notices, &admin->listeners);
}

/* Its own rtc.epoch, as the first line if it wants that: so it learns where it came in, and, if it listened before, whether that was
 * another start of the daemon. The reply says the same. */
static void listener_welcome(struct admin_call *call, struct admin_client *client)
{
    const char *epoch = call->host->exchange->lifecycle.epoch;
    struct buf data = {0}, line = {0};
    buf_add_format(&data, "{\"epoch\":\"%s\",\"sequence\":%llu}", epoch, (unsigned long long)client->since);
    buf_add_format(&line, "{\"eventName\":\"rtc.epoch\",\"data\":%s}", buf_text(&data));
    if (buf_status(&data) < 0 || buf_status(&line) < 0) {
        admin_client_fail(client);
    } else {
        admin_reply(&call->back, buf_bytes(&data));
        if (listener_wants(client, NOTICE_EPOCH))
            admin_client_send(client, buf_bytes(&line));
    }
    buf_done(&data);
    buf_done(&line);
}

void admin_listen(struct admin_call *call)
{
    struct bytes pattern = {0};
    struct admin_client *client = admin_find_client(call->back.admin, call->back.client);
    int has_pattern = client ? admin_text(call, "event", &pattern) : -ENOENT;
    if (has_pattern < 0)
        return;
    if (client->call) {
        admin_refuse(&call->back, FAULT_UNSUPPORTED, "listen has no end, and a call over HTTP has one answer; use the admin socket");
        return;
    }
    if (has_pattern && !name_is_valid(pattern, EVENT_NAME_MAX)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a pattern of event names, such as order.*, is 1 to 128 bytes of UTF-8 without control characters");
        return;
    }
    if (client->is_listening) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "this admin connection listens already");
        return;
    }
    if (pattern.length)
        client->pattern = strndup((const char *)pattern.data, pattern.length);
    client->is_listening = true;
    client->since = notices_refresh(call->host->notices);
    listener_welcome(call, client);
}

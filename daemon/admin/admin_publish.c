/*
 * publish: into the exchange from the main thread.
 */
#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_client.h"
#include "daemon/admin/admin_trace.h"

#include "daemon/config/config.h"
#include "daemon/core/keeper.h"
#include "daemon/core/message.h"
#include "daemon/core/policy.h"

#include <stdio.h>
#include <stdlib.h>

/* Exactly one target; 0, or -EINVAL when the call was refused. */
static int publish_target(struct admin_call *call, struct target *ret)
{
    static const struct { const char *name; enum target_kind kind; } targets[] = {
        {"group", TARGET_GROUP}, {"user", TARGET_USER}, {"connection", TARGET_CONNECTION},
    };
    unsigned count = 0;
    *ret = (struct target){0};
    if (admin_flag(call, "all")) {
        ret->kind = TARGET_ALL;
        count++;
    }
    for (size_t i = 0; i < COUNT_OF(targets) && count < 2; i++) {
        int has = admin_text(call, targets[i].name, &ret->name);
        if (has < 0)
            return has;
        if (has) {
            ret->kind = targets[i].kind;
            count++;
        }
    }
    if (count != 1) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "say to whom, once: --group, --user, --connection or --all");
        return -EINVAL;
    }
    if (ret->kind != TARGET_ALL && !name_is_valid(ret->name, NAME_MAX_BYTES)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a name is 1 to 255 bytes of UTF-8 without control characters");
        return -EINVAL;
    }
    return 0;
}

static bool event_name_is_right(struct admin_call *call, struct bytes name)
{
    bool is_reserved = event_name_is_reserved(name);
    if (name_is_valid(name, EVENT_NAME_MAX) && !is_reserved)
        return true;
    admin_refuse(&call->back, FAULT_BAD_ENVELOPE, is_reserved
                 ? "event names that begin with rtc. belong to the protocol; choose another"
                 : "an event's name is 1 to 128 bytes of UTF-8 without control characters");
    return false;
}

static void publish_reply(const struct admin_return *back, unsigned recipients)
{
    struct buf answer = {0};
    buf_add_bytes(&answer, BYTES("{\"recipients\":"));
    buf_add_decimal(&answer, recipients);
    buf_add_byte(&answer, '}');
    admin_reply_made(back, &answer);
}

void admin_stored(struct admin *admin, const struct letter *letter)
{
    struct admin_return back = {.admin = admin, .client = letter->handle, .id = letter->sequence, .kept = letter->kept};
    if (letter->recipients == KEEPER_NOBODY)
        admin_reply(&back, (struct bytes){0});
    else if (!admin_trace_stored(&back))
        publish_reply(&back, letter->recipients);
}

/* Is it to be answered once it is stored? */
static bool publish_must_wait(const struct admin_call *call, const struct message *message, unsigned recipients)
{
    struct keeper *keeper = call->host->exchange->directory->keeper;
    struct keeper_wait wait = {.client = call->back.client, .id = call->back.id, .recipients = recipients, .kept = call->back.kept};
    return message->stored_by && call->back.id && keeper->wait(keeper, message->stored_by, &wait);
}

static void publish_send(struct admin_call *call, const struct envelope *envelope, const struct target *to)
{
    struct admin *admin = call->back.admin;
    struct tracing *tracing = NULL;
    if (admin_trace_is_wanted(call) && !(tracing = admin_trace_new(call)))
        return;
    SCOPED(message) message = message_new(envelope);
    if (message && tracing)
        admin_trace_message(tracing, message);
    if (message)
        message_set_slow(message, policy_slow(call->host->config(call->host->argument), to));
    unsigned recipients = 0;
    int r = message ? exchange_publish(call->host->exchange, call->host->config(call->host->argument), message, to, 0, &recipients) : -ENOMEM;
    if (r == 0) {
        metrics_add(admin->host.metrics, METRIC_MESSAGES_PUBLISHED, 1);
        if (tracing)
            admin_trace_start(tracing, message, recipients);
        else if (!publish_must_wait(call, message, recipients))
            publish_reply(&call->back, recipients);
        return;
    }
    if (tracing)
        admin_trace_drop(tracing);
    if (r == -EAGAIN) {
        call->must_wait = true;
    } else {
        admin_refuse(&call->back, r == -ENOENT ? FAULT_NOT_FOUND : FAULT_INTERNAL,
                     r == -ENOENT ? "there is no such connection" : "out of memory");
    }
}

void admin_publish(struct admin_call *call)
{
    struct target to;
    struct envelope envelope = {.data_codec = CODEC_JSON};
    if (publish_target(call, &to) < 0)
        return;
    int has_event = admin_text(call, "event", &envelope.event_name);
    if (has_event == 0)
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "the event's name is missing");
    if (has_event <= 0 || !event_name_is_right(call, envelope.event_name))
        return;
    envelope.data = admin_value(call, "data");
    if (json_type(envelope.data) == JSON_NULL)
        envelope.data = (struct bytes){0};
    if (to.kind == TARGET_GROUP)
        envelope.group = to.name;
    int has_key = admin_text(call, "key", &envelope.key);
    if (has_key < 0)
        return;
    if (has_key && !name_is_valid(envelope.key, KEY_MAX_BYTES)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a key is 1 to 128 bytes of UTF-8 without control characters");
        return;
    }
    publish_send(call, &envelope, &to);
}

void admin_trace_publish(struct admin_call *call)
{
    admin_publish(call);
}

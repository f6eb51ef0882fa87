/*
 * Admin keep: see admin_keep.h.
 */
#include "daemon/admin/admin_keep.h"

#include "daemon/admin/admin_client.h"
#include "daemon/config/config.h"
#include "daemon/core/answered.h"
#include "daemon/core/api_call.h"

#include <stdio.h>

static const struct config *keep_config(struct admin *admin)
{
    return admin->host.config(admin->host.argument);
}

static uint64_t keep_now_ms(struct admin *admin)
{
    const struct ports *ports = &admin->host.exchange->ports;
    return ports->now_ms(ports->argument);
}

/* FAULT_NONE: a new one has its entry in *ret, and of one that was there before *ret stays NULL. */
static enum fault_id keep_look(struct admin *admin, const struct answered_call *asked, struct answered_entry **ret, struct bytes *ret_answer)
{
    *ret_answer = (struct bytes){0};
    switch (answered_begin(admin->answered, asked, keep_config(admin)->api.idempotency_window_ms, keep_now_ms(admin), ret, ret_answer)) {
    case ANSWERED_UNDER_WAY:
        return FAULT_KEY_IN_USE;
    case ANSWERED_OTHERWISE:
        return FAULT_KEY_REUSED;
    case ANSWERED_NO_MEMORY:
        return FAULT_INTERNAL;
    case ANSWERED_BEFORE:
        metrics_add(admin->host.metrics, METRIC_CALLS_REPEATED, 1);
        return FAULT_NONE;
    default:
        return FAULT_NONE;
    }
}

/* Whose keys they are: an API key's, or those of a user of this machine. */
static struct bytes keep_caller(const struct admin_peer *peer, char *room, size_t size)
{
    if (peer->is_key)
        return bytes_text(peer->by);
    snprintf(room, size, "uid:%u", peer->uid);
    return bytes_text(room);
}

static const char key_argument[] = "idempotencyKey";

/* Nearly every call has none: found out without looking at names of other lengths. */
static bool keep_has_argument(const struct admin_call *call)
{
    for (unsigned i = 0; i < call->value_count; i++)
        if (call->values[i].argument->name_length == sizeof(key_argument) - 1 && strcmp(call->values[i].argument->name, key_argument) == 0)
            return true;
    return false;
}

/* The call's key, wherever it stands: 1: there is one; 0: none; -EINVAL: the call is refused. */
static int keep_read_key(struct admin_call *call, struct bytes *ret)
{
    int has_argument = keep_has_argument(call) ? admin_text(call, key_argument, ret) : 0;
    if (has_argument < 0)
        return has_argument;
    if (has_argument && !idempotency_key_is_valid(*ret)) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "idempotencyKey must be 1 to 255 visible ASCII characters");
        return -EINVAL;
    }
    if (has_argument && call->key.length) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "say the key once: in the header Idempotency-Key, or as idempotencyKey");
        return -EINVAL;
    }
    if (!has_argument)
        *ret = call->key;
    return ret->length > 0;
}

bool admin_keep_begin(struct admin_call *call, const struct admin_client *client)
{
    char room[32];
    struct admin *admin = call->back.admin;
    struct bytes key, answer;
    int has_key = call->command->access == ADMIN_VIEWER ? 0 : keep_read_key(call, &key);
    if (has_key <= 0)
        return has_key == 0;
    struct answered_call asked = {.caller = keep_caller(&client->peer, room, sizeof(room)), .key = key, .data = call->data,
                                  .command = (unsigned)(call->command - admin_commands)};
    if (admin_text(call, "group", &asked.group) < 0)
        return false;
    enum fault_id refusal = keep_look(admin, &asked, &call->back.kept, &answer);
    if (refusal != FAULT_NONE)
        admin_refuse(&call->back, refusal, "%s", "");
    else if (!call->back.kept)
        admin_reply(&call->back, answer);
    return call->back.kept != NULL;
}

enum fault_id admin_keep_begin_batch(struct admin *admin, struct api_call *batch, struct bytes command, struct bytes data, struct bytes *ret_answer)
{
    const struct admin_command *row = admin_command_by_event(command);
    *ret_answer = (struct bytes){0};
    if (batch->key.length == 0 || !row || row->access == ADMIN_VIEWER)
        return FAULT_NONE;
    struct answered_call asked = {.caller = buf_bytes(&batch->caller), .key = buf_bytes(&batch->key), .data = data,
                                  .command = (unsigned)(row - admin_commands)};
    return keep_look(admin, &asked, &batch->kept, ret_answer);
}

void admin_keep_end(struct admin *admin, struct answered_entry *kept, struct bytes answer)
{
    size_t forgotten = answered_end(admin->answered, kept, answer, keep_config(admin)->api.idempotency_keys, keep_now_ms(admin));
    if (forgotten)
        metrics_add(admin->host.metrics, METRIC_KEYS_FORGOTTEN, forgotten);
}

void admin_keep_drop(struct admin *admin, struct answered_entry *kept)
{
    answered_drop(admin->answered, kept);
}

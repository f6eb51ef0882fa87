/*
 * list webhooks.
 */
#include "daemon/admin/admin_call.h"
#include "daemon/hook/webhooks.h"

void admin_list_webhooks(struct admin_call *call)
{
    const struct webhooks *webhooks = call->host->webhooks;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "rows");
    json_begin_array(&json);
    for (size_t i = 0; i < webhooks->count; i++) {
        const struct webhook *webhook = webhooks->items[i];
        json_begin_array(&json);
        json_add_text(&json, webhook->rule->name);
        json_add_text(&json, webhook_state(webhook));
        json_add_uint(&json, webhook_waiting(webhook));
        json_add_uint(&json, webhook->delivered);
        json_add_uint(&json, webhook->asked);
        json_add_uint(&json, webhook->failed);
        json_add_uint(&json, webhook->dropped);
        json_add_text(&json, webhook->last_error);
        json_end_array(&json);
    }
    json_end_array(&json);
    json_end_object(&json);
    admin_reply_made(&call->back, &data);
}

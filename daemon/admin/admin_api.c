/*
 * Calls over HTTP: each is a client of its own for as long as its command takes, so that commands need not know where they come from.
 * A batch is answered when all of its calls are.
 */
#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_client.h"
#include "daemon/admin/admin_keep.h"

#include "daemon/core/api_call.h"
#include "lib/json.h"

#include <stdlib.h>

static int call_return(struct admin *admin, struct api_call *call)
{
    const struct ports *ports = &admin->host.exchange->ports;
    struct letter letter = {.kind = LETTER_ANSWER, .call = call};
    return ports->post(ports->argument, call->worker, &letter);
}

/* Those for whose letter there was no memory, if there is some now. */
static void calls_return(struct admin *admin)
{
    LIST_EACH(node, &admin->unreturned) {
        list_remove(node);
        if (call_return(admin, CONTAINER_OF(node, struct api_call, node)) == 0)
            continue;
        list_append(&admin->unreturned, node);
        return;
    }
}

void admin_api_done(struct admin *admin)
{
    LIST_EACH(node, &admin->unreturned) {
        list_remove(node);
        api_call_free(CONTAINER_OF(node, struct api_call, node));
    }
}

void admin_api_drop(struct api_call *call)
{
    if (!call->batch)
        api_call_free(call);
    else if (--call->batch->items_open == 0)
        api_call_free(call->batch);
}

/* In the words of the admin socket: data, or an error. */
static void batch_add_answer(struct json_writer *json, const struct api_call *item)
{
    json_begin_object(json);
    if (item->refusal.id == FAULT_NONE) {
        json_key(json, "data");
        json_add_raw(json, buf_bytes(&item->answer));
    } else {
        json_key(json, "error");
        json_begin_object(json);
        json_key(json, "code");
        json_add_text(json, fault_rows[item->refusal.id].code);
        json_key(json, "message");
        json_add_text(json, fault_message(&item->refusal));
        json_end_object(json);
    }
    json_end_object(json);
}

static void batch_answer(struct api_call *batch)
{
    struct json_writer json = json_writer(&batch->answer);
    json_begin_array(&json);
    for (size_t i = 0; i < batch->item_count; i++) {
        batch_add_answer(&json, batch->items[i]);
        if (buf_status(&batch->items[i]->answer) < 0)
            buf_fail(&batch->answer);
    }
    json_end_array(&json);
}

/* Where nothing at all was done, the batch may come once more. */
static void batch_keep(struct admin *admin, struct api_call *batch)
{
    size_t refused = 0;
    for (size_t i = 0; i < batch->item_count; i++)
        refused += batch->items[i]->refusal.id != FAULT_NONE;
    if (refused == batch->item_count || buf_status(&batch->answer) < 0)
        admin_keep_drop(admin, STEAL(batch->kept));
    else
        admin_keep_end(admin, STEAL(batch->kept), buf_bytes(&batch->answer));
}

static void call_finish(struct admin *admin, struct api_call *call, enum fault_id refusal, struct bytes text)
{
    struct api_call *batch = call->batch;
    if (refusal == FAULT_NONE)
        buf_add_bytes(&call->answer, text);
    else
        fault_set(&call->refusal, refusal, "%.*s", (int)text.length, (const char *)text.data);
    if (batch && --batch->items_open > 0)
        return;
    if (batch) {
        batch_answer(batch);
        if (batch->kept)
            batch_keep(admin, batch);
        call = batch;
    }
    if (call_return(admin, call) < 0)
        list_append(&admin->unreturned, &call->node);
}

void admin_api_answer(struct admin_client *client, enum fault_id refusal, struct bytes text)
{
    struct api_call *call = STEAL(client->call);
    list_remove(&client->node);
    call_finish(client->admin, call, refusal, text);
    free(client);
}

static struct admin_client *client_of_call(struct admin *admin, struct api_call *call)
{
    struct admin_client *client = calloc(1, sizeof(*client));
    if (!client)
        return NULL;
    *client = (struct admin_client){.admin = admin, .descriptor = -1, .id = ++admin->next_id, .call = call};
    client->peer = (struct admin_peer){.access = call->access, .by = buf_text(call->batch ? &call->batch->caller : &call->caller), .is_key = true};
    list_init(&client->handlers);
    list_append(&admin->clients, &client->node);
    return client;
}

/* On one line, as from the socket: data that clients get is framed by lines. */
static bool call_read(const struct api_call *call, struct buf *ret)
{
    struct json_scan scan;
    struct bytes whole;
    if (call->data.length == 0)
        return true;
    json_scan_init(&scan, buf_bytes(&call->data));
    if (json_take_all(&scan, JSON_DEPTH_MAX, &whole) < 0)
        return false;
    json_add_compact(ret, whole);
    return true;
}

static void call_run(struct admin *admin, struct api_call *call, struct bytes command, struct bytes data)
{
    struct admin_client *client = client_of_call(admin, call);
    if (!client)
        call_finish(admin, call, FAULT_INTERNAL, BYTES("out of memory"));
    else if (admin_call_run(admin, client, command, data, buf_bytes(&call->key)) < 0)
        admin_api_answer(client, FAULT_BACK_PRESSURE, BYTES("too much waits for a worker; nothing was done, try again in a moment"));
}

/* Room for one call for each element. -EINVAL: there are none, or too many; -ENOMEM. */
static int batch_split(struct api_call *batch, struct bytes data)
{
    struct json_scan scan;
    struct bytes element;
    json_scan_init(&scan, data);
    int r = json_enter(&scan, '[');
    batch->items = calloc(API_BATCH_MAX, sizeof(struct api_call *));
    if (!batch->items)
        return -ENOMEM;
    while (r == 0 && json_next_element(&scan, JSON_DEPTH_MAX, &element) == 1) {
        if (batch->item_count == API_BATCH_MAX)
            return -EINVAL;
        struct api_call *item = api_call_new();
        if (!item)
            return -ENOMEM;
        item->batch = batch;
        item->access = batch->access;
        batch->items[batch->item_count++] = item;
    }
    return batch->item_count ? r : -EINVAL;
}

static void batch_run(struct admin *admin, struct api_call *batch, struct bytes command, struct bytes data)
{
    struct json_scan scan;
    struct bytes element, answer;
    enum fault_id refusal = admin_keep_begin_batch(admin, batch, command, data, &answer);
    if (refusal != FAULT_NONE || answer.length) {
        call_finish(admin, batch, refusal, answer);
        return;
    }
    int r = batch_split(batch, data);
    if (r < 0) {
        if (batch->kept)
            admin_keep_drop(admin, STEAL(batch->kept));
        call_finish(admin, batch, r == -ENOMEM ? FAULT_INTERNAL : FAULT_BAD_REQUEST,
                    r == -ENOMEM ? BYTES("out of memory") : BYTES("a batch is an array of 1 to 1000 objects with arguments"));
        return;
    }
    size_t count = batch->items_open = batch->item_count;
    struct api_call **items = batch->items;
    json_scan_init(&scan, data);
    r = json_enter(&scan, '[');
    /* With its last answer the batch goes away: nothing of it is touched behind that. */
    for (size_t i = 0; i < count && r == 0 && json_next_element(&scan, JSON_DEPTH_MAX, &element) == 1; i++) {
        assert(items[i]);
        call_run(admin, items[i], command, element);
    }
}

/* What a command is given is copied: with its answer the call is the worker's again. */
void admin_carry_out(struct admin *admin, struct api_call *call)
{
    struct buf command = {0}, data = {0};
    calls_return(admin);
    buf_add_bytes(&command, buf_bytes(&call->command));
    bool is_json = call_read(call, &data);
    if (buf_status(&command) < 0 || buf_status(&data) < 0)
        call_finish(admin, call, FAULT_INTERNAL, BYTES("out of memory"));
    else if (!is_json)
        call_finish(admin, call, FAULT_BAD_REQUEST, BYTES("the body is not JSON; an object with the command's arguments is expected"));
    else if (json_type(buf_bytes(&data)) == JSON_ARRAY)
        batch_run(admin, call, buf_bytes(&command), buf_bytes(&data));
    else
        call_run(admin, call, buf_bytes(&command), buf_bytes(&data));
    buf_done(&command);
    buf_done(&data);
}

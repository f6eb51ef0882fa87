/*
 * Calls over HTTP: each is a client of its own for as long as its command takes, so that commands need not know where they come from.
 */
#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_client.h"

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

static void call_finish(struct admin *admin, struct api_call *call, enum fault_id refusal, struct bytes text)
{
    if (refusal == FAULT_NONE)
        buf_add_bytes(&call->answer, text);
    else
        fault_set(&call->refusal, refusal, "%.*s", (int)text.length, (const char *)text.data);
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
    client->peer = (struct admin_peer){.access = call->access, .by = "an API key"};
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
    return buf_status(ret) == 0;
}

void admin_carry_out(struct admin *admin, struct api_call *call)
{
    struct buf data = {0};
    struct admin_client *client;
    calls_return(admin);
    if (!call_read(call, &data)) {
        call_finish(admin, call, FAULT_BAD_REQUEST, BYTES("the body is not JSON; an object with the command's arguments is expected"));
    } else if (!(client = client_of_call(admin, call))) {
        call_finish(admin, call, FAULT_INTERNAL, BYTES("out of memory"));
    } else if (admin_call_run(admin, client, buf_bytes(&call->command), buf_bytes(&data)) < 0) {
        admin_api_answer(client, FAULT_BACK_PRESSURE, BYTES("too much waits for a worker; nothing was done, try again in a moment"));
    }
    buf_done(&data);
}

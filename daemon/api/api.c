/*
 * API: see api.h.
 */
#include "daemon/api/api.h"
#include "daemon/api/api_publish.h"
#include "daemon/api/openapi.h"

#include "daemon/config/config.h"
#include "daemon/core/answered.h"
#include "daemon/core/api_call.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/net/credentials.h"

#include <strings.h>

enum { COMMAND_MAX = 64 };

static const char *api_base_path(const struct config *config)
{
    return "/api/v1";
}

static void api_refuse(struct link *link, enum fault_id id, const char *detail)
{
    struct fault fault;
    fault_set(&fault, id, "%s", detail);
    http_refuse(link, &fault, false, NULL);
}

/* "list.connections", as it stands in the path: of the few bytes that commands have, so nothing in it is encoded. */
static struct bytes api_command(const struct request *request)
{
    size_t before = strlen(api_base_path(NULL)) + 1;
    struct bytes path = request->head->path;
    return path.length > before ? bytes_of(path.data + before, path.length - before) : (struct bytes){0};
}

static bool api_read_command(const struct request *request, struct buf *ret)
{
    struct bytes name = api_command(request);
    for (size_t i = 0; i < name.length; i++)
        if (name.data[i] != '.' && name.data[i] != '-' && (name.data[i] < 'a' || name.data[i] > 'z'))
            return false;
    buf_add_bytes(ret, name);
    return name.length > 0 && name.length <= COMMAND_MAX;
}

/* The link has let go of its call: the answer is nobody's. */
static void api_forget(void *state)
{
    struct api_call *call = state;
    call->asker = NULL;
}

static void api_on_lost(struct link *link, enum fault_id why)
{
    api_forget(STEAL(link->work->state));
    link_free(link);
}

static void api_on_deadline(struct link *link)
{
    api_forget(STEAL(link->work->state));
    api_refuse(link, FAULT_TIMEOUT, "the command takes too long; whether it was carried out is not known");
}

/* A client that only sends on waits for its answer like any other. */
static size_t api_on_data(struct link *link, unsigned char *data, size_t length)
{
    return 0;
}

static const struct link_handler api_handler = {.on_data = api_on_data, .on_lost = api_on_lost, .on_deadline = api_on_deadline};

static void api_answer(struct link *link, const struct api_call *call)
{
    if (buf_status(&call->answer) < 0)
        api_refuse(link, FAULT_INTERNAL, "out of memory");
    else if (call->refusal.id != FAULT_NONE)
        http_refuse(link, &call->refusal, false, NULL);
    else if (call->answer.length)
        http_respond(link, &(struct response){.status = 200, .content_type = "application/json", .body = buf_bytes(&call->answer)});
    else
        http_respond(link, &(struct response){.status = 204});
}

static void api_on_answer(struct api_call *call)
{
    struct link *link = call->asker;
    if (link) {
        link->work->state = NULL;
        api_answer(link, call);
    }
    api_call_free(call);
}

/* At most one, however it is written. False: it is wrong, or there was no memory. */
static bool api_read_key(const struct http_head *head, struct buf *ret)
{
    static const char name[] = "idempotency-key";
    for (unsigned i = 0; i < head->header_count; i++) {
        const struct http_header *header = &head->headers[i];
        if (header->name.length != strlen(name) || strncasecmp((const char *)header->name.data, name, strlen(name)) != 0)
            continue;
        if (ret->length || idempotency_key_read(header->value, ret) < 0)
            return false;
    }
    return true;
}

static int api_fill(struct api_call *call, struct link *link, const struct request *request, struct fault *fault)
{
    if (!api_read_command(request, &call->command)) {
        fault_set(fault, FAULT_NOT_FOUND, "this is no command; rtcctl help lists them, and list connections is list.connections here");
        return -EINVAL;
    }
    if (!api_read_key(request->head, &call->key) && buf_status(&call->key) == 0) {
        fault_set(fault, FAULT_BAD_REQUEST, "Idempotency-Key is one text of 1 to 255 visible ASCII characters, in quotes or as it stands");
        return -EINVAL;
    }
    buf_add_bytes(&call->data, request->body);
    call->worker = link->worker->index;
    call->access = request->access;
    buf_add_text(&call->caller, request->caller);
    call->on_answer = api_on_answer;
    call->asker = link;
    if (buf_status(&call->command) == 0 && buf_status(&call->data) == 0 && buf_status(&call->caller) == 0 && buf_status(&call->key) == 0)
        return 0;
    fault_set(fault, FAULT_INTERNAL, "out of memory");
    return -ENOMEM;
}

/* With an idempotency key it is the main thread's, which remembers them. */
static bool api_is_publish(const struct request *request)
{
    return bytes_is(api_command(request), "publish") && !http_header(request->head, "idempotency-key").data;
}

static void api_serve(struct link *link, const struct request *request)
{
    if (api_is_publish(request) && api_publish(link, request))
        return;
    const struct ports *ports = &link->worker->hub->exchange->ports;
    struct fault fault = {.id = FAULT_INTERNAL};
    SCOPED(api_call) call = api_call_new();
    if (!call || api_fill(call, link, request, &fault) < 0) {
        http_refuse(link, &fault, false, NULL);
        return;
    }
    struct letter letter = {.kind = LETTER_CALL, .call = call};
    if (!ports->has_room(ports->argument, MAIN_MAILBOX) || ports->post(ports->argument, MAIN_MAILBOX, &letter) < 0) {
        api_refuse(link, FAULT_BACK_PRESSURE, "too many commands wait; try again in a moment");
        return;
    }
    http_hold(link, &api_handler);
    link->work->state = STEAL(call);
    link->work->free_state = api_forget;
    link_set_deadline(link, link->worker->hub->config->api.timeout_ms);
}

static void api_describe(struct link *link, const struct request *request)
{
    struct buf document = {0};
    openapi_write(api_base_path(link->worker->hub->config), &document);
    if (buf_status(&document) < 0)
        api_refuse(link, FAULT_INTERNAL, "out of memory");
    else
        http_respond(link, &(struct response){.status = 200, .content_type = "application/json", .body = buf_bytes(&document)});
    buf_done(&document);
}

static const struct endpoint api_endpoints[] = {
    {.path = "/openapi.json", .methods = METHOD(GET), .serve = api_describe},
    {.path = "/", .is_prefix = true, .methods = METHOD(POST), .serve = api_serve, .needs_key = true},
};

const struct dialect_front api_front = {.base_path = api_base_path, .endpoints = api_endpoints, .endpoint_count = COUNT_OF(api_endpoints)};

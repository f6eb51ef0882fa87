/*
 * Webhook connect: see webhook_connect.h.
 */
#include "daemon/hook/webhook_connect.h"

#include "daemon/hook/webhook_ask.h"
#include "lib/json.h"
#include "lib/text.h"

#include <stdlib.h>

enum { ANSWER_MEMBERS_MAX = 32 };

struct connect_ask {
    struct webhook_ask ask;
    struct gate_call *call;
};

static void add_optional(struct json_writer *json, const char *key, struct bytes text)
{
    json_key(json, key);
    if (text.length)
        json_add_string(json, text);
    else
        json_add_null(json);
}

static void write_facts(const struct gate_facts *facts, struct buf *out)
{
    char address[PEER_TEXT_MAX];
    struct json_writer json = json_writer(out);
    peer_address_print(&facts->address, address);
    json_begin_object(&json);
    json_key(&json, "address");
    json_add_text(&json, address);
    add_optional(&json, "userId", facts->user);
    json_key(&json, "isProved");
    json_add_bool(&json, facts->is_proved);
    json_key(&json, "isNegotiation");
    json_add_bool(&json, facts->is_negotiation);
    json_key(&json, "isTls");
    json_add_bool(&json, facts->is_tls);
    add_optional(&json, "transport", facts->transport);
    add_optional(&json, "protocol", facts->protocol);
    add_optional(&json, "origin", facts->origin);
    add_optional(&json, "path", facts->path);
    add_optional(&json, "query", facts->query);
    json_key(&json, "headers");
    json_begin_object(&json);
    for (unsigned i = 0; i < facts->header_count; i++) {
        struct buf name = {0};
        buf_add_bytes(&name, facts->headers[i].name);
        json_key(&json, buf_text(&name));
        json_add_string(&json, facts->headers[i].value);
        buf_done(&name);
    }
    json_end_object(&json);
    json_end_object(&json);
}

/* What is in the way of connecting is no fault of the client's: it may come again. */
static void connect_fail(const struct webhook *webhook, struct gate_call *call)
{
    if (webhook->rule->on_failure == ON_FAILURE_REFUSE
        && verdict_refuse(&call->verdict, BYTES("draining"), BYTES("whoever says which clients may connect cannot be asked; try again"), NULL) < 0)
        fault_set(&call->verdict.refusal, FAULT_DRAINING, "out of memory");
    gate_answer(call);
}

static int read_refusal(struct verdict *verdict, struct bytes refusal, const char **ret_problem)
{
    struct buf scratch[2] = {0};
    struct bytes code = BYTES("forbidden"), message = {0}, value = json_member(refusal, "code");
    int r = value.length ? json_string(value, &scratch[0], &code) : 0;
    value = json_member(refusal, "message");
    if (r == 0 && value.length)
        r = json_string(value, &scratch[1], &message);
    if (r == 0)
        r = verdict_refuse(verdict, code, message, ret_problem);
    else
        *ret_problem = "has a refusal whose code or message is not a text";
    buf_done(&scratch[0]);
    buf_done(&scratch[1]);
    return r;
}

static int read_user(struct verdict *verdict, struct bytes value, const char **ret_problem)
{
    struct buf scratch = {0};
    struct bytes user;
    int r = json_string(value, &scratch, &user);
    if (r == 0)
        r = verdict_set_user(verdict, user, ret_problem);
    else
        *ret_problem = "has a user that is not a text";
    buf_done(&scratch);
    return r;
}

static bool is_given(struct bytes value)
{
    return value.length && json_type(value) != JSON_NULL;
}

static int read_members(struct verdict *verdict, struct bytes object, const char **ret_problem)
{
    struct bytes refusal = json_member(object, "refuse"), user = json_member(object, "user"), groups = json_member(object, "groups"),
                 labels = json_member(object, "labels"), info = json_member(object, "info");
    int r = is_given(refusal) ? read_refusal(verdict, refusal, ret_problem) : 0;
    if (r == 0 && is_given(user))
        r = read_user(verdict, user, ret_problem);
    if (r == 0 && is_given(groups))
        r = verdict_add_groups_json(verdict, groups, ret_problem);
    if (r == 0 && is_given(labels))
        r = verdict_add_labels_json(verdict, labels, ret_problem);
    if (r == 0 && is_given(info))
        r = verdict_set_info(verdict, info, ret_problem);
    return r;
}

int webhook_connect_read(struct verdict *verdict, struct bytes body, const char **ret_problem)
{
    struct verdict trial = {0};
    struct json_scan scan;
    struct bytes object;
    json_scan_init(&scan, body);
    *ret_problem = "is not a JSON object";
    int r = json_take_all(&scan, JSON_DEPTH_MAX, &object);
    if (r == 0 && (json_type(object) != JSON_OBJECT || json_check_members(object, ANSWER_MEMBERS_MAX) < 0))
        r = -EBADMSG;
    /* On one of its own first: half an answer is none. */
    if (r == 0)
        r = read_members(&trial, object, ret_problem);
    if (r == 0 && read_members(verdict, object, ret_problem) < 0)
        fault_set(&verdict->refusal, FAULT_INTERNAL, "plug-ins and webhook said more of this connection than is kept");
    verdict_done(&trial);
    return r;
}

/* 401 and 403 refuse, whatever else they say; a body that says how is heard. */
static int connect_read(struct gate_call *call, const struct fetch_answer *answer, const char **ret_problem)
{
    bool is_refusal = answer->status >= 400;
    int r = answer->body.length && (answer->is_json || !is_refusal) ? webhook_connect_read(&call->verdict, answer->body, ret_problem) : 0;
    if (!is_refusal)
        return r;
    return verdict_refuse(&call->verdict, answer->status == 401 ? BYTES("unauthorized") : BYTES("forbidden"), (struct bytes){0}, ret_problem);
}

static const char *on_done(struct webhook_ask *ask, const struct fetch_answer *answer)
{
    struct connect_ask *connect = CONTAINER_OF(ask, struct connect_ask, ask);
    struct gate_call *call = connect->call;
    struct webhook *webhook = ask->webhook;
    const char *problem = NULL;
    bool is_answered = !answer->problem && connect_read(call, answer, &problem) == 0;
    free(connect);
    if (is_answered)
        gate_answer(call);
    else
        connect_fail(webhook, call);
    return is_answered ? NULL : problem;
}

void webhook_connect(struct webhook *webhook, struct gate_call *call)
{
    struct buf data = {0};
    struct connect_ask *connect = calloc(1, sizeof(*connect));
    write_facts(&call->facts, &data);
    int r = connect ? buf_status(&data) : -ENOMEM;
    if (r == 0) {
        *connect = (struct connect_ask){.ask = {.done = on_done}, .call = call};
        struct cloud_event event = {.source = bytes_text(webhook->config->hooks.source), .type = BYTES("rtcd.connect"), .subject = call->facts.user, .data = {buf_bytes(&data)}};
        r = webhook_ask(webhook, &connect->ask, &event);
    }
    buf_done(&data);
    if (r == 0)
        return;
    free(connect);
    connect_fail(webhook, call);
}

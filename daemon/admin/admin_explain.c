/*
 * Why the daemon decides as it does: explain token. Asks the same code as a client's request; the token goes nowhere else.
 */
#include "daemon/admin/admin_call.h"

#include "daemon/auth/auth.h"

#include <time.h>

static uint64_t explain_now_s(const struct admin_call *call)
{
    const struct ports *ports = &call->host->exchange->ports;
    return ports->wall_ms(ports->argument) / 1000;
}

static void explain_add_text(struct json_writer *json, const char *name, struct bytes text)
{
    if (!text.data)
        return;
    json_key(json, name);
    json_add_string(json, text);
}

/* RFC 3339. */
static void explain_add_time(struct json_writer *json, const char *name, bool has, uint64_t seconds)
{
    char text[32];
    struct tm utc;
    time_t time = (time_t)seconds;
    if (!has || !gmtime_r(&time, &utc) || strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &utc) == 0)
        return;
    json_key(json, name);
    json_add_text(json, text);
}

/* What the header says, whether it is true or not. */
static void explain_add_header(struct json_writer *json, struct bytes token)
{
    struct buf storage = {0};
    struct jwt jwt;
    struct fault fault;
    if (jwt_read(token, &storage, &jwt, &fault) == DECODE_DONE) {
        explain_add_text(json, "algorithm", jwt.algorithm);
        explain_add_text(json, "kid", jwt.key_id);
    }
    buf_done(&storage);
}

/* What stands below a signature that holds. */
static void explain_add_claims(struct json_writer *json, const struct auth_verdict *verdict, uint64_t now_s)
{
    const struct jwt_claims *claims = &verdict->claims;
    json_key(json, "key");
    json_add_text(json, verdict->key ? verdict->key->source : "auth.api-keys");
    explain_add_text(json, "user", claims->user);
    explain_add_text(json, "issuer", claims->issuer);
    if (claims->audience.length) {
        json_key(json, "audience");
        json_add_raw(json, claims->audience);
    }
    explain_add_text(json, "id", claims->id);
    explain_add_time(json, "issued", claims->has_issue, claims->issued_s);
    explain_add_time(json, "starts", claims->has_start, claims->starts_s);
    explain_add_time(json, "expires", claims->has_expiry, claims->expires_s);
    if (claims->has_expiry) {
        json_key(json, "expiresInMs");
        json_add_int(json, ((int64_t)claims->expires_s - (int64_t)now_s) * 1000);
    }
    if (claims->all.length) {
        struct buf compact = {0};
        json_add_compact(&compact, claims->all);
        json_key(json, "claims");
        json_add_raw(json, buf_bytes(&compact));
        buf_done(&compact);
    }
}

void admin_explain_token(struct admin_call *call)
{
    struct bytes token;
    struct fault fault = {0};
    struct auth_verdict verdict;
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    if (admin_text(call, "token", &token) <= 0)
        return;
    uint64_t now_s = explain_now_s(call);
    enum fault_id refusal = auth_verify(call->host->config(call->host->argument), token, now_s, &verdict, &fault);
    const struct jwt_claims *claims = &verdict.claims;
    if (refusal == FAULT_NONE && revocations_concern(call->host->exchange->revocations, claims->user, claims->id,
                                                     claims->has_issue ? claims->issued_s : 0, now_s)) {
        refusal = FAULT_REVOKED;
        fault_set(&fault, refusal, "it, or its user, was revoked (rtcctl list revocations)");
    }
    json_begin_object(&json);
    json_key(&json, "valid");
    json_add_bool(&json, refusal == FAULT_NONE);
    if (refusal != FAULT_NONE) {
        json_key(&json, "problem");
        json_add_text(&json, fault_message(&fault));
        json_key(&json, "reason");
        json_add_text(&json, fault_rows[refusal].name);
    }
    explain_add_header(&json, token);
    if (verdict.key || verdict.api_key)
        explain_add_claims(&json, &verdict, now_s);
    json_end_object(&json);
    if (buf_status(&data) < 0)
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    else
        admin_reply(&call->back, buf_bytes(&data));
    auth_verdict_done(&verdict);
    buf_done(&data);
}

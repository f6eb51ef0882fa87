/*
 * Taking credentials back: revoke user, revoke token, list revocations, lift revocation. First the revocation is in force for
 * whoever shows a credential; then a visit goes through every worker and ends the connections concerned, so that by the time of the
 * answer none is left and none comes in.
 */
#include "daemon/admin/admin_call.h"
#include "daemon/admin/revocation_file.h"

#include "daemon/auth/auth.h"
#include "lib/envelope.h"
#include "lib/log.h"

#include <stdlib.h>

enum { SLICE_SLOTS = 2000 };

struct purge {
    struct visit visit;
    struct admin_return back;
    const struct admin_host *host;
    enum revocation_kind kind;
    struct buf name;
    unsigned worker;
    uint32_t slot;
    uint64_t ended_count;
    bool is_saved;
};

static uint64_t revoke_now_s(const struct admin_call *call)
{
    const struct ports *ports = &call->host->exchange->ports;
    return ports->wall_ms(ports->argument) / 1000;
}

static bool purge_concerns(const struct purge *purge, const struct hub *hub, const struct connection *connection)
{
    struct bytes name = buf_bytes(&purge->name);
    if (purge->kind == REVOKED_USER)
        return bytes_equal(connection_user(connection), name);
    const struct grant *grant = grants_find(hub, connection);
    return grant && bytes_equal(grant->terms.token_id, name);
}

/* A slice of slots in each turn: who comes into one that was passed already has shown a credential that still counts. */
static bool purge_run(struct visit *visit, struct hub *hub)
{
    struct purge *purge = CONTAINER_OF(visit, struct purge, visit);
    struct fault why = {.id = FAULT_REVOKED};
    for (uint32_t i = 0; i < SLICE_SLOTS && purge->slot < hub->slot_count; i++, purge->slot++) {
        struct connection *connection = hub->slots[purge->slot];
        if (!connection || !purge_concerns(purge, hub, connection))
            continue;
        connection_close(connection, &why, fault_rows[why.id].reconnect);
        purge->ended_count++;
    }
    return purge->slot < hub->slot_count;
}

static void purge_free(struct purge *purge)
{
    buf_done(&purge->name);
    free(purge);
}

static void purge_finish(struct purge *purge)
{
    struct buf answer = {0};
    struct json_writer json = json_writer(&answer);
    json_begin_object(&json);
    json_key(&json, "disconnected");
    json_add_uint(&json, purge->ended_count);
    json_key(&json, "saved");
    json_add_bool(&json, purge->is_saved);
    json_end_object(&json);
    admin_reply(&purge->back, buf_bytes(&answer));
    buf_done(&answer);
}

static void purge_arrive(struct visit *visit)
{
    struct purge *purge = CONTAINER_OF(visit, struct purge, visit);
    purge->slot = 0;
    if (++purge->worker < purge->host->worker_count) {
        if (admin_send_visit(purge->host, purge->worker, visit) == 0)
            return;
        admin_refuse(&purge->back, FAULT_INTERNAL, "out of memory: no such credential is taken any more, but connections made with some may "
                     "be left; ask again");
    } else {
        purge_finish(purge);
    }
    purge_free(purge);
}

/* How long to remember it: --for. 0: until it is lifted. */
static int revoke_span(struct admin_call *call, uint64_t now_s, uint64_t *ret_until_s)
{
    struct bytes text;
    uint64_t ms;
    int r = admin_text(call, "for", &text);
    *ret_until_s = 0;
    if (r <= 0)
        return r;
    if (text_parse_span(text, &ms) < 0 || ms < 1000 || ms / 1000 > JWT_SECONDS_MAX) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "--for needs a time such as 12h or 30d, of a second at least");
        return -EINVAL;
    }
    *ret_until_s = now_s + ms / 1000;
    return 1;
}

static void revoke_log(const struct admin_call *call, const struct revocation *revocation, const char *what)
{
    const struct admin_peer *peer = admin_peer_of(call);
    struct buf name = {0}, by = {0};
    text_add_escaped(&name, revocation->name, REVOCATION_NAME_MAX);
    if (peer && peer->is_key)
        buf_add_text(&by, peer->by);
    else if (peer)
        buf_add_format(&by, "uid %u", peer->uid);
    log_info(LOG_AREA_ADMIN, NULL, "%s of %s %s by %s", what, revocation_kind_name(revocation->kind), buf_text(&name), buf_text(&by));
    buf_done(&name);
    buf_done(&by);
}

static void revoke(struct admin_call *call, const struct revocation *revocation, uint64_t now_s)
{
    const struct config *config = call->host->config(call->host->argument);
    struct revocations *revocations = call->host->exchange->revocations;
    struct purge *purge = calloc(1, sizeof(*purge));
    int r = purge ? revocations_put(revocations, revocation, config->auth.revocations, now_s) : -ENOMEM;
    if (r == -ENOSPC) {
        metrics_add(admin_metrics(call), METRIC_REVOCATIONS_REFUSED, 1);
        admin_refuse(&call->back, FAULT_NODE_FULL, "there are as many revocations as auth.revocations allows; lift some, or raise it");
    } else if (r == 0) {
        revoke_log(call, revocation, "revocation");
        purge->visit = (struct visit){purge_run, purge_arrive};
        purge->back = call->back;
        purge->host = call->host;
        purge->kind = revocation->kind;
        purge->is_saved = revocation_file_save(config, revocations, now_s) == 0;
        buf_add_bytes(&purge->name, revocation->name);
        r = buf_status(&purge->name) < 0 ? -ENOMEM : admin_send_visit(call->host, 0, &purge->visit);
    }
    if (r == -ENOMEM)
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    if (r < 0 && purge)
        purge_free(purge);
}

void admin_revoke_user(struct admin_call *call)
{
    struct revocation revocation = {.kind = REVOKED_USER};
    const struct config *config = call->host->config(call->host->argument);
    uint64_t now_s = revoke_now_s(call);
    if (admin_text(call, "user", &revocation.name) <= 0 || revoke_span(call, now_s, &revocation.until_s) < 0)
        return;
    /* Who issues tokens may have a clock that is ahead by the leeway: what it issued before now may say so much later. */
    revocation.before_s = now_s + config->auth.leeway_ms / 1000;
    if (name_is_valid(revocation.name, NAME_MAX_BYTES))
        revoke(call, &revocation, now_s);
    else
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a user's name has 1 to %d bytes of UTF-8, and no control characters", NAME_MAX_BYTES);
}

/* The token itself rather than its id? Then it must be one that would be taken. -EINVAL: the call is refused. */
static int revoke_read_token(struct admin_call *call, uint64_t now_s, struct auth_verdict *verdict, struct revocation *revocation)
{
    const struct config *config = call->host->config(call->host->argument);
    struct buf storage = {0};
    struct jwt jwt;
    struct fault fault = {0};
    bool is_token = jwt_read(revocation->name, &storage, &jwt, &fault) == DECODE_DONE;
    buf_done(&storage);
    if (!is_token)
        return 0;
    if (auth_verify(config, revocation->name, now_s, verdict, &fault) != FAULT_NONE) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "it would not be taken anyway: %s", fault_message(&fault));
        return -EINVAL;
    }
    if (verdict->claims.id.length == 0) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "the token has no id (jti); revoke its user");
        return -EINVAL;
    }
    revocation->name = verdict->claims.id;
    if (verdict->claims.has_expiry && !revocation->until_s)
        revocation->until_s = verdict->claims.expires_s + config->auth.leeway_ms / 1000 + 1;
    return 0;
}

void admin_revoke_token(struct admin_call *call)
{
    struct revocation revocation = {.kind = REVOKED_TOKEN};
    struct auth_verdict verdict = {0};
    uint64_t now_s = revoke_now_s(call);
    if (admin_text(call, "token", &revocation.name) <= 0 || revoke_span(call, now_s, &revocation.until_s) < 0)
        return;
    if (revoke_read_token(call, now_s, &verdict, &revocation) == 0) {
        if (revocation.name.length && revocation.name.length <= REVOCATION_NAME_MAX)
            revoke(call, &revocation, now_s);
        else
            admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "a token's id (jti) has 1 to %d bytes; this is neither one nor a token",
                         REVOCATION_NAME_MAX);
    }
    auth_verdict_done(&verdict);
}

static void list_add(const struct revocation *revocation, void *argument)
{
    struct json_writer *json = argument;
    json_begin_array(json);
    json_add_text(json, revocation_kind_name(revocation->kind));
    json_add_string(json, revocation->name);
    if (revocation->kind == REVOKED_USER)
        json_add_uint(json, revocation->before_s * 1000);
    else
        json_add_null(json);
    if (revocation->until_s)
        json_add_uint(json, revocation->until_s * 1000);
    else
        json_add_null(json);
    json_end_array(json);
}

void admin_list_revocations(struct admin_call *call)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    json_begin_object(&json);
    json_key(&json, "rows");
    json_begin_array(&json);
    revocations_each(call->host->exchange->revocations, revoke_now_s(call), list_add, &json);
    json_end_array(&json);
    json_end_object(&json);
    admin_reply_made(&call->back, &data);
}

void admin_lift_revocation(struct admin_call *call)
{
    struct revocation revocation = {.kind = REVOKED_USER};
    struct revocations *revocations = call->host->exchange->revocations;
    struct bytes user, token;
    int has_user = admin_text(call, "user", &user), has_token = has_user < 0 ? -1 : admin_text(call, "token", &token);
    if (has_user < 0 || has_token < 0)
        return;
    revocation.kind = has_user ? REVOKED_USER : REVOKED_TOKEN;
    revocation.name = has_user ? user : token;
    if (has_user + has_token != 1) {
        admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "say which: --user, or --token with its id (jti)");
    } else if (revocations_lift(revocations, revocation.kind, revocation.name) < 0) {
        admin_refuse(&call->back, FAULT_NOT_FOUND, "it is not revoked; see rtcctl list revocations");
    } else {
        revoke_log(call, &revocation, "revocation lifted");
        bool is_saved = revocation_file_save(call->host->config(call->host->argument), revocations, revoke_now_s(call)) == 0;
        admin_reply(&call->back, is_saved ? BYTES("{\"saved\":true}") : BYTES("{\"saved\":false}"));
    }
}

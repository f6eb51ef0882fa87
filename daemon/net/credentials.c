/*
 * Credentials: see credentials.h.
 */
#include "daemon/net/credentials.h"

#include "daemon/auth/auth.h"
#include "daemon/core/exchange.h"
#include "daemon/core/policy.h"
#include "daemon/net/router.h"
#include "lib/log.h"

#include <stdio.h>
#include <strings.h>

static bool is_authorization(const struct http_header *header)
{
    return header->name.length == strlen("authorization")
        && strncasecmp((const char *)header->name.data, "authorization", header->name.length) == 0;
}

/* Most queries have none: found out without taking the query apart, since every poll passes here. */
static bool may_have_access_token(struct bytes query)
{
    static const char name[] = "access_token";
    size_t length = sizeof(name) - 1;
    while (query.length >= length) {
        const unsigned char *at = memchr(query.data, name[0], query.length - length + 1);
        if (!at)
            return false;
        if (memcmp(at, name, length) == 0)
            return true;
        query = bytes_of(at + 1, query.length - (size_t)(at + 1 - query.data));
    }
    return false;
}

/* How many there are in the request; the last of them is in *ret_header or *ret_query, as it was sent. */
static unsigned credentials_find(const struct request *request, struct bytes *ret_header, struct bytes *ret_query)
{
    const struct http_head *head = request->head;
    struct bytes rest = head->query, name, value;
    unsigned count = 0;
    *ret_header = *ret_query = (struct bytes){0};
    for (unsigned i = 0; i < head->header_count; i++) {
        if (!is_authorization(&head->headers[i]))
            continue;
        *ret_header = head->headers[i].value;
        count++;
    }
    while (may_have_access_token(rest) && http_next_parameter(&rest, &name, &value)) {
        if (!bytes_is(name, "access_token"))
            continue;
        *ret_query = value;
        count++;
    }
    return count;
}

bool credentials_are_shown(const struct request *request)
{
    struct bytes header, query;
    return credentials_find(request, &header, &query) > 0;
}

static enum fault_id credentials_refuse(struct fault *fault, enum fault_id id, const char *detail)
{
    fault_set(fault, id, "%s", detail);
    return id;
}

/* RFC 6750 section 2.1: "Bearer", blanks, the token. */
static enum fault_id credentials_read_header(struct bytes value, struct bytes *ret, struct fault *fault)
{
    size_t length = strlen("bearer");
    if (value.length < length || strncasecmp((const char *)value.data, "bearer", length) != 0
        || (value.length > length && value.data[length] != ' '))
        return credentials_refuse(fault, FAULT_INVALID_TOKEN, "only access tokens are taken here (Authorization: Bearer)");
    while (length < value.length && value.data[length] == ' ')
        length++;
    *ret = bytes_of(value.data + length, value.length - length);
    return FAULT_NONE;
}

/* Browsers open WebSockets and event streams without headers of a page's choice; all other requests can have one. */
static bool credentials_may_be_in_query(const struct link *link, const struct request *request)
{
    return link->worker->hub->config->auth.takes_query && request->transport && request->transport->transport->is_lasting;
}

/* The token alone, decoded into `storage` where it was in the query. */
static enum fault_id credentials_read(const struct link *link, const struct request *request, struct buf *storage, struct bytes *ret,
                                      struct fault *fault)
{
    struct bytes header, query;
    if (credentials_find(request, &header, &query) > 1)
        return credentials_refuse(fault, FAULT_BAD_REQUEST, "send one access token, in the Authorization header or as access_token");
    if (header.data)
        return credentials_read_header(header, ret, fault);
    if (!credentials_may_be_in_query(link, request))
        return credentials_refuse(fault, FAULT_BAD_REQUEST, link->worker->hub->config->auth.takes_query
                                  ? "access_token is for WebSocket and server-sent events; send Authorization: Bearer here"
                                  : "access tokens are not taken from the query here (auth.query-token); send Authorization: Bearer");
    if (text_url_decode(storage, query, true) < 0)
        return credentials_refuse(fault, FAULT_INVALID_TOKEN, "access_token is badly encoded");
    *ret = buf_bytes(storage);
    /* Unlike a token, it lasts; and queries end up in logs. */
    if (api_key_is_meant(*ret))
        return credentials_refuse(fault, FAULT_BAD_REQUEST, "an API key belongs in the Authorization header (Bearer), not in the query");
    return FAULT_NONE;
}

static uint64_t credentials_now_s(const struct hub *hub)
{
    const struct ports *ports = &hub->exchange->ports;
    return ports->wall_ms(ports->argument) / 1000;
}

enum fault_id credentials_look_up(struct hub *hub, struct bytes user, struct bytes token_id, uint64_t issued_s, struct fault *fault)
{
    fault->id = FAULT_NONE;
    if (revocations_are_none(hub->exchange->revocations))
        return FAULT_NONE;
    if (revocations_concern(hub->exchange->revocations, user, token_id, issued_s, credentials_now_s(hub))) {
        metrics_add(&hub->metrics, METRIC_CREDENTIALS_REVOKED, 1);
        fault_set(fault, FAULT_REVOKED, "%s", "");
    }
    return fault->id;
}

/* `address` says whose it was, for the log. */
static enum fault_id credentials_verify(struct hub *hub, struct bytes token, const struct peer_address *address,
                                        struct auth_verdict *ret, struct fault *fault)
{
    char from[PEER_TEXT_MAX];
    const struct jwt_claims *claims = &ret->claims;
    enum fault_id refusal = auth_verify(hub->config, token, credentials_now_s(hub), ret, fault);
    if (refusal == FAULT_NONE)
        refusal = credentials_look_up(hub, claims->user, claims->id, claims->has_issue ? claims->issued_s : 0, fault);
    if (refusal == FAULT_NONE)
        return FAULT_NONE;
    peer_address_print(address, from);
    metrics_add(&hub->metrics, METRIC_TOKENS_REFUSED, 1);
    log_info(LOG_AREA_NET, LOG_FIELDS({"address", from}, {"reason", fault_rows[refusal].name}), "access token refused: %s",
             fault_message(fault));
    return refusal;
}

static struct grant_terms credentials_terms(struct bytes token, const struct auth_verdict *verdict)
{
    struct grant_terms terms = {
        .expires_s = verdict->claims.has_expiry ? verdict->claims.expires_s : GRANT_NEVER_ENDS,
        .issued_s = verdict->claims.has_issue ? verdict->claims.issued_s : 0,
        .token_id = verdict->claims.id,
        .rights = verdict->rights,
        .key_mark = verdict->mark,
    };
    auth_digest(token, terms.digest);
    return terms;
}

enum fault_id credentials_identify(struct link *link, const struct request *request, struct buf *storage, struct identity *ret,
                                   struct fault *fault)
{
    struct buf decoded = {0};
    struct bytes token;
    struct auth_verdict verdict = {0};
    enum fault_id refusal = credentials_read(link, request, &decoded, &token, fault);
    if (refusal == FAULT_NONE)
        refusal = credentials_verify(link->worker->hub, token, &link->work->address, &verdict, fault);
    if (refusal == FAULT_NONE) {
        struct jwt_claims *claims = &verdict.claims;
        ret->has_token = true;
        ret->terms = credentials_terms(token, &verdict);
        buf_add_bytes(storage, claims->user);
        buf_add_bytes(storage, claims->id);
        buf_add_bytes(storage, verdict.rights.packed);
        ret->user = bytes_of(storage->data, claims->user.length);
        ret->terms.token_id = bytes_of(storage->data + claims->user.length, claims->id.length);
        ret->terms.rights.packed = bytes_of(ret->terms.token_id.data + claims->id.length, verdict.rights.packed.length);
        if (buf_status(storage) < 0)
            refusal = credentials_refuse(fault, FAULT_INTERNAL, "out of memory");
    }
    auth_verdict_done(&verdict);
    buf_done(&decoded);
    return refusal;
}

/* Requests overtake each other, so the token that comes last need not be the latest. */
static bool credentials_are_newer(const struct grant_terms *terms, const struct grant_terms *than)
{
    if (terms->issued_s && than->issued_s && terms->issued_s != than->issued_s)
        return terms->issued_s > than->issued_s;
    return terms->expires_s >= than->expires_s;
}

/* A token for a connection that is there: is it its user's? A newer one takes the place of the one it has, with what it allows. */
static enum fault_id credentials_take(struct connection *connection, struct bytes token, const struct peer_address *address,
                                      struct fault *fault)
{
    struct hub *hub = connection->hub;
    struct auth_verdict verdict;
    const struct grant *grant = grants_find(hub, connection);
    enum fault_id refusal = credentials_verify(hub, token, address, &verdict, fault);
    if (refusal == FAULT_NONE && !bytes_equal(verdict.claims.user, connection_user(connection)))
        refusal = credentials_refuse(fault, FAULT_FORBIDDEN, "this connection belongs to another user");
    if (refusal == FAULT_NONE && grant) {
        struct grant_terms terms = credentials_terms(token, &verdict);
        if (credentials_are_newer(&terms, &grant->terms)) {
            if (grants_set(hub, connection, &terms) < 0)
                refusal = credentials_refuse(fault, FAULT_INTERNAL, "out of memory");
            else
                metrics_add(&hub->metrics, METRIC_TOKENS_REFRESHED, 1);
            policy_review(connection);
        }
    }
    auth_verdict_done(&verdict);
    return refusal;
}

enum fault_id credentials_check(struct link *link, const struct request *request, struct connection *connection, struct fault *fault)
{
    struct buf decoded = {0};
    struct bytes token;
    const struct grant *grant = grants_find(connection->hub, connection);
    unsigned char digest[GRANT_DIGEST_BYTES];
    enum fault_id refusal = credentials_read(link, request, &decoded, &token, fault);
    if (refusal == FAULT_NONE) {
        /* Most send the same one with every request: it was verified, and the connection ends with it. */
        auth_digest(token, digest);
        if (!grant || !auth_digests_are_equal(digest, grant->terms.digest))
            refusal = credentials_take(connection, token, &link->work->address, fault);
    }
    buf_done(&decoded);
    return refusal;
}

enum fault_id credentials_refresh(struct connection *connection, struct bytes access_token, struct fault *fault)
{
    if (!connection->has_grant)
        return credentials_refuse(fault, FAULT_FORBIDDEN, "this connection was not made with an access token, so it needs none");
    return credentials_take(connection, access_token, &connection->address, fault);
}

static enum fault_id credentials_read_key(struct link *link, const struct request *request, struct buf *storage, struct bytes *ret,
                                          struct fault *fault)
{
    if (!credentials_are_shown(request))
        return credentials_refuse(fault, FAULT_UNAUTHORIZED, "send an API key (Authorization: Bearer); rtcctl key create makes one");
    if (limits_may_prove(link->worker->hub, &link->work->address, fault) != FAULT_NONE
        || credentials_read(link, request, storage, ret, fault) != FAULT_NONE)
        return fault->id;
    if (!api_key_is_meant(*ret))
        return credentials_refuse(fault, FAULT_INVALID_TOKEN, "only API keys are taken here; rtcctl key create makes one");
    return FAULT_NONE;
}

enum fault_id credentials_take_key(struct link *link, struct request *request, struct fault *fault)
{
    static const enum admin_access accesses[] = {
        [API_KEY_VIEWER] = ADMIN_VIEWER, [API_KEY_OPERATOR] = ADMIN_OPERATOR, [API_KEY_ADMIN] = ADMIN_ADMIN,
    };
    struct hub *hub = link->worker->hub;
    struct buf decoded = {0};
    struct bytes key = {0};
    struct auth_verdict verdict = {0};
    enum fault_id refusal = credentials_read_key(link, request, &decoded, &key, fault);
    if (refusal == FAULT_NONE)
        refusal = credentials_verify(hub, key, &link->work->address, &verdict, fault);
    if (credentials_are_wrong(refusal))
        limits_note_failure(hub, &link->work->address);
    if (refusal == FAULT_NONE && verdict.api_key->level == API_KEY_NOTHING)
        refusal = credentials_refuse(fault, FAULT_FORBIDDEN, "this API key has no level (level=, at its line in auth.api-keys)");
    if (refusal == FAULT_NONE) {
        request->access = accesses[verdict.api_key->level];
        size_t length = MIN(verdict.api_key->id.length, sizeof(request->caller) - 1);
        memcpy(request->caller, verdict.api_key->id.data, length);
        request->caller[length] = '\0';
    }
    auth_verdict_done(&verdict);
    buf_done(&decoded);
    return refusal;
}

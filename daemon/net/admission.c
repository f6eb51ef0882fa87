/*
 * Admission: see admission.h.
 */
#include "daemon/net/admission.h"

#include "daemon/config/config.h"
#include "daemon/core/limits.h"
#include "daemon/core/policy.h"
#include "daemon/net/credentials.h"
#include "daemon/net/peer_user.h"
#include "daemon/net/router.h"
#include "daemon/net/tls_link.h"

bool admission_offers(const struct config *config, enum codec_id codec)
{
    return codec == CODEC_JSON ? config->protocols.json : config->protocols.msgpack;
}

/* By the client's certificate, which says more than what a parameter claims. */
static enum fault_id admission_identify_certificate(struct link *link, const struct request *request, struct buf *scratch,
                                                    struct identity *ret, struct fault *fault)
{
    struct bytes proved = bytes_text(tls_link_user(link)), claimed = request_parameter(request, "user", scratch);
    if (proved.length == 0)
        fault_set(fault, FAULT_UNAUTHORIZED, "the client's certificate does not name its user (tls.client-user)");
    else if (claimed.data && !bytes_equal(claimed, proved))
        fault_set(fault, FAULT_FORBIDDEN, "the client's certificate is that of another user");
    else
        ret->user = proved;
    return ret->user.data ? credentials_look_up(link->worker->hub, proved, (struct bytes){0}, 0, fault) : fault->id;
}

/* By the kernel's word for the peer, which is in `proved`. */
static enum fault_id admission_identify_peer(struct link *link, const struct request *request, struct buf *scratch, struct buf *proved,
                                             struct identity *ret, struct fault *fault)
{
    struct bytes claimed = request_parameter(request, "user", scratch);
    if (claimed.data && !bytes_equal(claimed, buf_bytes(proved))) {
        fault_set(fault, FAULT_FORBIDDEN, "the client's process is that of another user (connection.peer-users)");
        return fault->id;
    }
    buf_done(scratch);
    *scratch = *proved;
    *proved = (struct buf){0};
    ret->user = buf_bytes(scratch);
    return credentials_look_up(link->worker->hub, ret->user, (struct bytes){0}, 0, fault);
}

enum fault_id admission_identify(struct link *link, const struct request *request, struct buf *scratch,
                                 struct identity *ret, struct fault *fault)
{
    const struct config *config = link->worker->hub->config;
    *ret = (struct identity){0};
    struct bytes user = request_parameter(request, "user", scratch);
    enum fault_id refusal;
    if (credentials_are_shown(request)) {
        /* What is shown must be right: a bad token is not waved through as anonymous. */
        struct buf proved = {0};
        if (limits_may_prove(link->worker->hub, &link->work->address, fault) != FAULT_NONE)
            return fault->id;
        refusal = credentials_identify(link, request, &proved, ret, fault);
        if (credentials_are_wrong(refusal))
            limits_note_failure(link->worker->hub, &link->work->address);
        if (refusal == FAULT_NONE && user.data && !bytes_equal(user, ret->user)) {
            fault_set(fault, FAULT_FORBIDDEN, "the access token is another user's");
            refusal = fault->id;
        }
        buf_done(scratch);
        *scratch = proved;
        return refusal;
    }
    if (tls_link_user(link))
        return admission_identify_certificate(link, request, scratch, ret, fault);
    struct buf peer = {0};
    if (peer_user_add(link, &peer) == 0) {
        refusal = admission_identify_peer(link, request, scratch, &peer, ret, fault);
        buf_done(&peer);
        return refusal;
    }
    refusal = policy_may_connect_anonymously(config, fault);
    if (refusal != FAULT_NONE || !user.data)
        return refusal;
    if (!config->connection.claimed_users || !name_is_valid(user, NAME_MAX_BYTES)) {
        fault_set(fault, FAULT_FORBIDDEN, config->connection.claimed_users
                  ? "a user's name is 1 to 255 bytes of UTF-8 without control characters"
                  : "users are not taken on their word here (connection.claimed-users is off)");
        return fault->id;
    }
    ret->user = user;
    return credentials_look_up(link->worker->hub, user, (struct bytes){0}, 0, fault);
}

static enum fault_id admission_join(struct connection *connection, const struct request *request, struct fault *fault)
{
    struct bytes rest = request->head->query, name, value;
    struct buf group = {0};
    enum fault_id refusal = FAULT_NONE;
    while (refusal == FAULT_NONE && http_next_parameter(&rest, &name, &value)) {
        if (!bytes_is(name, "group"))
            continue;
        buf_clear(&group);
        if (text_url_decode(&group, value, true) < 0)
            buf_clear(&group);
        refusal = policy_join(connection, buf_bytes(&group), NULL, fault);
        if (refusal == FAULT_BAD_ENVELOPE)
            refusal = fault->id = FAULT_BAD_REQUEST;
    }
    buf_done(&group);
    return refusal;
}

static enum fault_id admission_new(struct link *link, const struct request *request, enum codec_id codec,
                                   struct admission *ret, struct fault *fault)
{
    struct identity identity;
    struct buf scratch = {0};
    enum fault_id refusal = admission_identify(link, request, &scratch, &identity, fault);
    if (refusal == FAULT_NONE) {
        ret->connection = connection_new(link->worker->hub, request->dialect->dialect, codec, &identity,
                                         &link->work->address, fault);
        refusal = ret->connection ? admission_join(ret->connection, request, fault) : fault->id;
        if (refusal != FAULT_NONE && ret->connection)
            connection_close(ret->connection, fault, false);
    }
    buf_done(&scratch);
    return refusal;
}

/* How far the client says it has come: ?received=N, or an EventSource's Last-Event-ID. -ENOENT: it does not say. */
static int admission_received(const struct request *request, struct buf *scratch, uint64_t *ret)
{
    struct bytes text = http_header(request->head, "last-event-id");
    if (text.length) {
        /* An EventSource sends what it was given last, by whomever, and cannot be told to send anything else: no number is one that
         * was never sent. */
        if (text_parse_uint(text, ret) < 0)
            *ret = UINT64_MAX;
        return 0;
    }
    text = request_parameter(request, "received", scratch);
    if (!text.data)
        return -ENOENT;
    return text_parse_uint(text, ret);
}

/* Whoever names another user than the connection's own must not get it. */
static bool admission_is_other_user(const struct link *link, const struct request *request, const struct connection *connection, struct buf *scratch)
{
    const char *proved = tls_link_user(link);
    if (proved && !bytes_equal(bytes_text(proved), connection_user(connection)))
        return true;
    struct buf peer = {0};
    bool is_other_peer = !connection->has_grant && !proved && peer_user_add(link, &peer) == 0
        && !bytes_equal(buf_bytes(&peer), connection_user(connection));
    buf_done(&peer);
    struct bytes user = request_parameter(request, "user", scratch);
    return is_other_peer || (user.data && !bytes_equal(user, connection_user(connection)));
}

enum fault_id admission_open(struct link *link, const struct request *request, enum codec_id codec,
                             struct admission *ret, struct fault *fault)
{
    struct buf *scratch = &link->worker->scratch;
    *ret = (struct admission){0};
    struct connection *connection = request_connection(request, link->worker->hub);
    if (request->has_token && !connection) {
        const struct fault *farewell = request_farewell(request, link->worker->hub);
        /* Who comes back with a new token after the old one ended is let in again. */
        if (farewell && ((farewell->id != FAULT_EXPIRED && farewell->id != FAULT_REVOKED) || !credentials_are_shown(request))) {
            *fault = *farewell;
            return fault->id;
        }
        enum fault_id refusal = admission_new(link, request, codec, ret, fault);
        if (refusal == FAULT_UNAUTHORIZED)
            fault_set(fault, FAULT_UNKNOWN_TOKEN, "no connection has this token; negotiate again");
        return refusal == FAULT_NONE ? FAULT_NONE : fault->id;
    }
    if (!connection)
        return admission_new(link, request, codec, ret, fault);
    if (admission_is_other_user(link, request, connection, scratch)) {
        fault_set(fault, FAULT_FORBIDDEN, "this connection belongs to another user");
        return fault->id;
    }

    uint64_t received = connection->outbox.first - 1;
    int r = admission_received(request, scratch, &received);
    if (r == -EBADMSG || r == -ERANGE) {
        fault_set(fault, FAULT_BAD_REQUEST, "received must be a whole number");
        return fault->id;
    }
    if (r == 0 && connection_is_overtaken(connection, received)) {
        fault_set(fault, FAULT_OVERTAKEN, "envelopes up to %llu were acknowledged since: this request came too late",
                  (unsigned long long)connection->outbox.first - 1);
        return fault->id;
    }
    if (connection->link) {
        metrics_add(&connection->hub->metrics, METRIC_TRANSPORTS_TAKEN_OVER, 1);
        connection_release(connection, FAULT_TAKEN_OVER);
    }
    if (connection_resume(connection, received) < 0) {
        struct fault why;
        fault_set(&why, FAULT_RESUME_EXPIRED, "the client came back at a number that is not held");
        connection_close(connection, &why, true);
        return admission_new(link, request, codec, ret, fault);
    }
    ret->connection = connection;
    ret->is_resumed = connection->was_opened;
    connection->codec = (uint8_t)codec;
    return FAULT_NONE;
}

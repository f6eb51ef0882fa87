/*
 * Admission: see admission.h.
 */
#include "daemon/net/admission.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/limits.h"
#include "daemon/core/policy.h"
#include "daemon/net/credentials.h"
#include "daemon/net/gate_facts.h"
#include "daemon/net/gate_wait.h"
#include "daemon/net/peer_user.h"
#include "daemon/net/router.h"
#include "daemon/net/tls_link.h"
#include "lib/log.h"

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
        *ret = (struct identity){.user = proved, .is_proved = true};
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
    *ret = (struct identity){.user = buf_bytes(scratch), .is_proved = true};
    return credentials_look_up(link->worker->hub, ret->user, (struct bytes){0}, 0, fault);
}

/* By the access token that it shows: what is shown must be right, so a bad one is not waved through as anonymous. */
static enum fault_id admission_identify_token(struct link *link, const struct request *request, struct buf *scratch, struct identity *ret,
                                              struct fault *fault)
{
    struct hub *hub = link->worker->hub;
    struct bytes user = request_parameter(request, "user", scratch);
    struct buf proved = {0};
    if (limits_may_prove(hub, &link->work->address, fault) != FAULT_NONE)
        return fault->id;
    enum fault_id refusal = credentials_identify(link, request, &proved, ret, fault);
    ret->is_proved = refusal == FAULT_NONE;
    if (credentials_are_wrong(refusal))
        limits_note_failure(hub, &link->work->address);
    if (refusal == FAULT_NONE && user.data && !bytes_equal(user, ret->user)) {
        fault_set(fault, FAULT_FORBIDDEN, "the access token is another user's");
        refusal = fault->id;
    }
    buf_done(scratch);
    *scratch = proved;
    return refusal;
}

/* By its own word, where that is taken. */
static enum fault_id admission_identify_claim(struct link *link, struct bytes user, struct identity *ret, struct fault *fault)
{
    const struct config *config = link->worker->hub->config;
    if (policy_may_connect_anonymously(config, fault) != FAULT_NONE)
        return fault->id;
    if (!config->connection.claimed_users || !name_is_valid(user, NAME_MAX_BYTES)) {
        fault_set(fault, FAULT_FORBIDDEN, config->connection.claimed_users
                  ? "a user's name is 1 to 255 bytes of UTF-8 without control characters"
                  : "users are not taken on their word here (connection.claimed-users is off)");
        return fault->id;
    }
    ret->user = user;
    return credentials_look_up(link->worker->hub, user, (struct bytes){0}, 0, fault);
}

/* Who asks, as far as can be proved: FAULT_NONE, or the fault to refuse the request with. Slices live in `scratch`. */
static enum fault_id admission_identify(struct link *link, const struct request *request, struct buf *scratch,
                                        struct identity *ret, struct fault *fault)
{
    struct buf peer = {0};
    *ret = (struct identity){0};
    if (credentials_are_shown(request))
        return admission_identify_token(link, request, scratch, ret, fault);
    if (tls_link_user(link))
        return admission_identify_certificate(link, request, scratch, ret, fault);
    if (peer_user_add(link, &peer) == 0) {
        enum fault_id refusal = admission_identify_peer(link, request, scratch, &peer, ret, fault);
        buf_done(&peer);
        return refusal;
    }
    struct bytes user = request_parameter(request, "user", scratch);
    return user.data ? admission_identify_claim(link, user, ret, fault) : FAULT_NONE;
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

/* The groups, labels and info that a judge gave it. */
static enum fault_id admission_furnish(struct connection *connection, const struct verdict *verdict, struct fault *fault)
{
    struct bytes rest = buf_bytes(&verdict->groups), group;
    struct buf labels = {0};
    verdict_print_labels(verdict, &labels);
    fault->id = FAULT_NONE;
    if (buf_status(&labels) < 0 || labels_set(connection->hub, connection, buf_bytes(&labels), buf_bytes(&verdict->info)) < 0)
        fault_set(fault, FAULT_INTERNAL, "out of memory");
    buf_done(&labels);
    while (fault->id == FAULT_NONE && verdict_next_group(&rest, &group))
        if (policy_can_be_in(connection, group, fault) == FAULT_NONE && connection_join(connection, group) == -ENOMEM)
            fault_set(fault, FAULT_INTERNAL, "out of memory");
    return fault->id;
}

static enum fault_id admission_refuse_judged(struct link *link, const struct fault *why, struct fault *fault)
{
    char from[PEER_TEXT_MAX];
    peer_address_print(&link->work->address, from);
    *fault = *why;
    metrics_add(&link->worker->hub->metrics, METRIC_CONNECTS_REFUSED, 1);
    log_info(LOG_AREA_NET, LOG_FIELDS({"address", from}, {"reason", fault_rows[why->id].name}), "connection refused by whoever judges it: %s",
             fault_message(why));
    return fault->id;
}

/* What was judged becomes who it is. FAULT_NONE, or the fault to refuse the request with. */
static enum fault_id admission_accept(struct link *link, struct admission_case *own, struct fault *fault)
{
    struct bytes user = buf_bytes(&own->verdict->user);
    if (own->verdict->refusal.id != FAULT_NONE)
        return admission_refuse_judged(link, &own->verdict->refusal, fault);
    if (user.length && own->identity.is_proved && !bytes_equal(user, own->identity.user)) {
        struct fault why;
        fault_set(&why, FAULT_FORBIDDEN, "whoever judges connections here names another user than the one that was proved");
        return admission_refuse_judged(link, &why, fault);
    }
    if (user.length && !own->identity.is_proved) {
        own->identity = (struct identity){.user = user, .is_proved = true};
        return credentials_look_up(link->worker->hub, user, (struct bytes){0}, 0, fault);
    }
    return FAULT_NONE;
}

/* Who has proved nothing, and was named by nobody, comes in only where anybody may. */
static enum fault_id admission_check_name(const struct link *link, const struct identity *identity, struct fault *fault)
{
    if (identity->is_proved || identity->user.length)
        return FAULT_NONE;
    return policy_may_connect_anonymously(link->worker->hub->config, fault);
}

/* For the transport that opens it, or is offered first; NULL: that is not known yet. */
static void admission_read_facts(struct link *link, const struct request *request, struct admission_case *own,
                                 const struct transport *transport, enum codec_id codec, struct gate_facts *ret)
{
    buf_clear(&own->query);
    gate_facts_read(link, request, &own->identity, transport, codec, &own->query, ret);
}

enum admission_result admission_begin(struct link *link, const struct request *request, struct admission_case *ret, struct fault *fault)
{
    struct hub *hub = link->worker->hub;
    const struct middleware *middleware = hub->exchange->middleware;
    *ret = (struct admission_case){0};
    ret->verdict = request->verdict ? request->verdict : &ret->own;
    if (admission_identify(link, request, &ret->scratch, &ret->identity, fault) != FAULT_NONE)
        return ADMISSION_REFUSED;
    if (request->verdict)
        return admission_accept(link, ret, fault) == FAULT_NONE ? ADMISSION_DONE : ADMISSION_REFUSED;
    if (!middleware && !gate_has_judge(&hub->exchange->gate) && admission_check_name(link, &ret->identity, fault) != FAULT_NONE)
        return ADMISSION_REFUSED;
    if (limits_take_connect(hub, &link->work->address, fault) != FAULT_NONE) {
        metrics_add(&hub->metrics, METRIC_CONNECTIONS_REFUSED, 1);
        return ADMISSION_REFUSED;
    }
    if (middleware && middleware->negotiate) {
        struct gate_facts facts;
        admission_read_facts(link, request, ret, request->transport ? request->transport->transport : NULL, CODEC_COUNT, &facts);
        middleware->negotiate(middleware->argument, hub, &facts, &ret->own);
    }
    return ret->own.refusal.id == FAULT_NONE || admission_refuse_judged(link, &ret->own.refusal, fault) == FAULT_NONE
        ? ADMISSION_DONE : ADMISSION_REFUSED;
}

void admission_end(struct admission_case *admission_case)
{
    verdict_done(&admission_case->own);
    buf_done(&admission_case->scratch);
    buf_done(&admission_case->query);
}

/* Sends the request to the gate; what was said so far goes with it. */
static enum admission_result admission_ask(struct link *link, const struct request *request, struct admission_case *own,
                                           struct gate_facts *facts, struct fault *fault)
{
    if (own->own.user.length && !facts->is_proved) {
        facts->user = buf_bytes(&own->own.user);
        facts->is_proved = true;
    }
    struct gate_call *call = gate_call_new(facts);
    if (!call) {
        fault_set(fault, FAULT_INTERNAL, "out of memory");
        return ADMISSION_REFUSED;
    }
    call->verdict = own->own;
    own->own = (struct verdict){0};
    return gate_wait(link, request, call, fault) == FAULT_NONE ? ADMISSION_WAITS : ADMISSION_REFUSED;
}

/* What those say who judge a connection, now that it is known what carries it. */
static enum admission_result admission_judge(struct link *link, const struct request *request, struct admission_case *own,
                                             const struct transport *transport, enum codec_id codec, struct fault *fault)
{
    struct hub *hub = link->worker->hub;
    const struct middleware *middleware = hub->exchange->middleware;
    bool is_asked = gate_has_judge(&hub->exchange->gate);
    struct gate_facts facts;
    if (!middleware && !is_asked)
        return ADMISSION_DONE;
    admission_read_facts(link, request, own, transport, codec, &facts);
    if (middleware && middleware->connect)
        middleware->connect(middleware->argument, hub, &facts, &own->own);
    if (own->own.refusal.id == FAULT_NONE && is_asked)
        return admission_ask(link, request, own, &facts, fault);
    return admission_accept(link, own, fault) == FAULT_NONE ? ADMISSION_DONE : ADMISSION_REFUSED;
}

enum admission_result admission_finish(struct link *link, const struct request *request, struct admission_case *admission_case,
                                       const struct transport *transport, enum codec_id codec, struct connection **ret,
                                       struct fault *fault)
{
    struct hub *hub = link->worker->hub;
    enum admission_result result = request->verdict ? ADMISSION_DONE
        : admission_judge(link, request, admission_case, transport, codec, fault);
    if (result != ADMISSION_DONE)
        return result;
    if (admission_check_name(link, &admission_case->identity, fault) != FAULT_NONE)
        return ADMISSION_REFUSED;
    struct connection *connection = connection_new(hub, request->dialect->dialect, codec, &admission_case->identity, &link->work->address,
                                                   fault);
    if (!connection)
        return ADMISSION_REFUSED;
    if (admission_furnish(connection, admission_case->verdict, fault) != FAULT_NONE) {
        connection_close(connection, fault, false);
        return ADMISSION_REFUSED;
    }
    *ret = connection;
    return ADMISSION_DONE;
}

/* May it begin with this transport and protocol, and here? */
static enum fault_id admission_check_offer(const struct verdict *verdict, const struct transport *transport, enum codec_id codec,
                                           struct fault *fault)
{
    fault->id = FAULT_NONE;
    if (verdict->redirect_url.length)
        fault_set(fault, FAULT_UNSUPPORTED, "this client is to connect elsewhere: it has to negotiate to learn where");
    else if (verdict_withholds(verdict, transport->name) || verdict_withholds(verdict, codecs[codec]->name))
        fault_set(fault, FAULT_NO_TRANSPORT, "this transport or protocol is not offered to this client: it has to negotiate to learn which is");
    return fault->id;
}

static enum admission_result admission_make(struct link *link, const struct request *request, enum codec_id codec,
                                            struct connection **ret, struct fault *fault)
{
    const struct transport *transport = request->transport->transport;
    struct admission_case own;
    enum admission_result result = admission_begin(link, request, &own, fault);
    if (result == ADMISSION_DONE && admission_check_offer(own.verdict, transport, codec, fault) != FAULT_NONE)
        result = ADMISSION_REFUSED;
    if (result == ADMISSION_DONE)
        result = admission_finish(link, request, &own, transport, codec, ret, fault);
    admission_end(&own);
    return result;
}

/* For a transport that opens at once: with the groups that the request names. */
static enum admission_result admission_new(struct link *link, const struct request *request, enum codec_id codec,
                                           struct admission *ret, struct fault *fault)
{
    enum admission_result result = admission_make(link, request, codec, &ret->connection, fault);
    if (result == ADMISSION_DONE && admission_join(ret->connection, request, fault) != FAULT_NONE) {
        connection_close(ret->connection, fault, false);
        result = ADMISSION_REFUSED;
    }
    return result;
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

/* Of a request that names a connection which is here no more. */
static enum admission_result admission_open_unknown(struct link *link, const struct request *request, enum codec_id codec,
                                                    struct admission *ret, struct fault *fault)
{
    const struct fault *farewell = request_farewell(request, link->worker->hub);
    /* Who comes back with a new token after the old one ended is let in again. */
    if (farewell && ((farewell->id != FAULT_EXPIRED && farewell->id != FAULT_REVOKED) || !credentials_are_shown(request))) {
        *fault = *farewell;
        return ADMISSION_REFUSED;
    }
    if (request->is_token && farewells_has_departed(link->worker->hub, &request->token)) {
        fault_set(fault, FAULT_UNKNOWN_TOKEN, "the client has ended this connection; negotiate again");
        return ADMISSION_REFUSED;
    }
    enum admission_result result = admission_new(link, request, codec, ret, fault);
    if (result == ADMISSION_REFUSED && fault->id == FAULT_UNAUTHORIZED && !request->verdict)
        fault_set(fault, FAULT_UNKNOWN_TOKEN, "no connection has this token; negotiate again");
    return result;
}

enum admission_result admission_open(struct link *link, const struct request *request, enum codec_id codec,
                                     struct admission *ret, struct fault *fault)
{
    struct buf *scratch = &link->worker->scratch;
    *ret = (struct admission){0};
    /* It has waited for a new connection; what made it ask for one still holds. */
    if (request->verdict)
        return admission_new(link, request, codec, ret, fault);
    struct connection *connection = request_connection(request, link->worker->hub);
    if (!connection)
        return request->has_token ? admission_open_unknown(link, request, codec, ret, fault)
            : admission_new(link, request, codec, ret, fault);
    if (admission_is_other_user(link, request, connection, scratch)) {
        fault_set(fault, FAULT_FORBIDDEN, "this connection belongs to another user");
        return ADMISSION_REFUSED;
    }

    uint64_t received = connection->outbox.first - 1;
    int r = admission_received(request, scratch, &received);
    if (r == -EBADMSG || r == -ERANGE) {
        fault_set(fault, FAULT_BAD_REQUEST, "received must be a whole number");
        return ADMISSION_REFUSED;
    }
    if (r == 0 && connection_is_overtaken(connection, received)) {
        fault_set(fault, FAULT_OVERTAKEN, "envelopes up to %llu were acknowledged since: this request came too late",
                  (unsigned long long)connection->outbox.first - 1);
        return ADMISSION_REFUSED;
    }
    /* A client that moves to another transport gives the old one up; what that had sent before may come in last. */
    if (connection->link && link_has_hung_up(link)) {
        fault_set(fault, FAULT_OVERTAKEN, "the client hung up before this request was read, and another carries the connection");
        return ADMISSION_REFUSED;
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
    return ADMISSION_DONE;
}

/*
 * The native dialect's HTTP addresses below the base path: negotiation (rtc-protocol(7), "Negotiation"), sending for
 * transports that only carry downwards, and the end of a connection.
 */
#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/dialect/native.h"
#include "daemon/net/admission.h"
#include "daemon/net/http_coding.h"
#include "lib/json.h"
#include "lib/msgpack.h"

/* 200 with the body, which is freed; or that there was no memory for it. */
static void native_answer(struct link *link, const char *content_type, struct buf *body)
{
    struct fault fault;
    if (buf_status(body) == 0) {
        http_respond(link, &(struct response){.status = 200, .content_type = content_type, .body = buf_bytes(body)});
    } else {
        fault_set(&fault, FAULT_INTERNAL, "out of memory");
        http_refuse(link, &fault, false, NULL);
    }
    buf_done(body);
}

/* What the client says it can do; nothing said: everything, in the server's order. */
struct offer {
    struct bytes transports, protocols;     /* JSON arrays, or empty */
    const struct verdict *verdict;          /* which may withhold some of them from this client; NULL: nobody has judged yet */
};

static bool offer_has(struct bytes array, const char *name)
{
    if (array.length == 0)
        return true;
    struct json_scan scan;
    struct bytes item;
    json_scan_init(&scan, array);
    if (json_enter(&scan, '[') < 0)
        return false;
    while (json_next_element(&scan, JSON_DEPTH_MAX, &item) == 1)
        if (json_string_is(item, name))
            return true;
    return false;
}

/* -EBADMSG with a fault: the body is no object, or a list in it is no list of strings. */
static int offer_read(struct bytes body, struct offer *ret, struct fault *fault)
{
    *ret = (struct offer){0};
    if (body.length == 0)
        return 0;
    struct json_scan scan;
    struct bytes whole;
    json_scan_init(&scan, body);
    if (json_take_all(&scan, JSON_DEPTH_MAX, &whole) < 0 || json_type(whole) != JSON_OBJECT) {
        fault_set(fault, FAULT_BAD_REQUEST, "the body must be empty or a JSON object%s%s",
                  scan.problem ? ": " : "", scan.problem ? scan.problem : "");
        return -EBADMSG;
    }
    ret->transports = json_member(whole, "transports");
    ret->protocols = json_member(whole, "protocols");
    struct bytes lists[] = {ret->transports, ret->protocols};
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        if (lists[i].length && json_type(lists[i]) != JSON_ARRAY) {
            fault_set(fault, FAULT_BAD_REQUEST, "transports and protocols must be lists of names");
            return -EBADMSG;
        }
    }
    return 0;
}

static bool offer_withholds(const struct offer *offer, const char *name)
{
    return offer->verdict && verdict_withholds(offer->verdict, name);
}

/* Is this protocol offered on that transport? */
static bool offer_allows(const struct offer *offer, const struct config *config, const struct transport *transport, enum codec_id codec)
{
    return admission_offers(config, codec) && (transport->carries_binary || !codecs[codec]->is_binary)
        && !offer_withholds(offer, codecs[codec]->name);
}

/* The client's favourite protocol among those that are on; -1: none. */
static int negotiate_protocol(const struct config *config, const struct offer *offer, const struct transport *transport)
{
    struct json_scan scan;
    struct bytes item;
    if (offer->protocols.length) {
        json_scan_init(&scan, offer->protocols);
        if (json_enter(&scan, '[') < 0)
            return -1;
        while (json_next_element(&scan, JSON_DEPTH_MAX, &item) == 1)
            for (enum codec_id codec = 0; codec < CODEC_COUNT; codec++)
                if (json_string_is(item, codecs[codec]->name) && offer_allows(offer, config, transport, codec))
                    return (int)codec;
        return -1;
    }
    for (enum codec_id codec = 0; codec < CODEC_COUNT; codec++)
        if (offer_allows(offer, config, transport, codec))
            return (int)codec;
    return -1;
}

static void negotiate_add_transport(struct json_writer *json, const struct offer *offer, const struct config *config,
                                    const struct transport *transport)
{
    struct buf path = {0};
    buf_add_text(&path, config->http.base_path);
    buf_add_text(&path, transport->path);
    json_begin_object(json);
    json_key(json, "name");
    json_add_text(json, transport->name);
    json_key(json, "path");
    json_add_string(json, buf_bytes(&path));
    json_key(json, "protocols");
    json_begin_array(json);
    for (enum codec_id codec = 0; codec < CODEC_COUNT; codec++)
        if (offer_allows(offer, config, transport, codec))
            json_add_text(json, codecs[codec]->name);
    json_end_array(json);
    json_end_object(json);
    buf_done(&path);
}

/* What the server offers: the list of transports, and which of them, with which protocol, comes first. */
struct negotiation {
    struct offer offer;                 /* the client's */
    struct buf transports;              /* JSON */
    const struct transport *choice;     /* the first that has a protocol in common; NULL: there is none */
    int codec;
};

static int negotiate_transports(struct link *link, struct negotiation *negotiation, struct fault *fault)
{
    const struct config *config = link->worker->hub->config;
    const struct router *router = link->worker->router;
    const struct offer *offer = &negotiation->offer;
    struct json_writer json = json_writer(&negotiation->transports);
    buf_clear(&negotiation->transports);
    negotiation->choice = NULL;
    json_begin_array(&json);
    for (size_t i = 0; i < router->transport_count; i++) {
        const struct transport_front *front = router->transports[i];
        if (!front->is_on(config) || !offer_has(offer->transports, front->transport->name)
            || offer_withholds(offer, front->transport->name))
            continue;
        int codec = negotiate_protocol(config, offer, front->transport);
        if (codec < 0)
            continue;
        negotiate_add_transport(&json, offer, config, front->transport);
        if (!negotiation->choice) {
            negotiation->choice = front->transport;
            negotiation->codec = codec;
        }
    }
    json_end_array(&json);
    if (negotiation->choice)
        return 0;
    fault_set(fault, FAULT_NO_TRANSPORT, "%s", "");
    return -ENOENT;
}

static void negotiate_add_limits(struct json_writer *json, const struct config *config)
{
    json_key(json, "keepAlive");
    json_add_uint(json, config->connection.keep_alive_ms);
    json_key(json, "timeout");
    json_add_uint(json, config->connection.timeout_ms);
    json_key(json, "resumeWindow");
    json_add_uint(json, config->resume.window_ms);
    json_key(json, "maxMessageSize");
    json_add_uint(json, config->connection.message_bytes);
}

static void negotiate_add_body(struct link *link, const struct negotiation *negotiation, const struct connection *connection, struct buf *body)
{
    char id[UUID_TEXT + 1], token[TOKEN_TEXT + 1];
    uuid_print(&connection->id, id);
    connection_token(connection, token);
    struct json_writer json = json_writer(body);
    json_begin_object(&json);
    json_key(&json, "connectionId");
    json_add_text(&json, id);
    json_key(&json, "connectionToken");
    json_add_text(&json, token);
    json_key(&json, "transports");
    json_add_raw(&json, buf_bytes(&negotiation->transports));
    json_key(&json, "transport");
    json_add_text(&json, negotiation->choice->name);
    json_key(&json, "protocol");
    json_add_text(&json, codecs[negotiation->codec]->name);
    negotiate_add_limits(&json, link->worker->hub->config);
    json_end_object(&json);
    if (buf_status(&negotiation->transports) < 0)
        buf_fail(body);
}

/* The client is to negotiate elsewhere. */
static void negotiate_redirect(struct link *link, const struct verdict *verdict)
{
    struct buf body = {0};
    struct json_writer json = json_writer(&body);
    json_begin_object(&json);
    json_key(&json, "url");
    json_add_string(&json, buf_bytes(&verdict->redirect_url));
    if (verdict->redirect_token.length) {
        json_key(&json, "accessToken");
        json_add_string(&json, buf_bytes(&verdict->redirect_token));
    }
    json_end_object(&json);
    native_answer(link, "application/json", &body);
}

/* REFUSED: with this fault; else it is answered, or will be. */
static enum admission_result negotiate(struct link *link, const struct request *request, struct negotiation *negotiation,
                                       struct admission_case *own, struct fault *fault)
{
    struct connection *connection = NULL;
    struct buf body = {0};
    if (admission_begin(link, request, own, fault) == ADMISSION_REFUSED)
        return ADMISSION_REFUSED;
    if (own->verdict->redirect_url.length) {
        negotiate_redirect(link, own->verdict);
        return ADMISSION_DONE;
    }
    negotiation->offer.verdict = own->verdict;
    if (own->verdict->withheld_count && negotiate_transports(link, negotiation, fault) < 0)
        return ADMISSION_REFUSED;
    enum admission_result result = admission_finish(link, request, own, negotiation->choice, (enum codec_id)negotiation->codec, &connection,
                                                    fault);
    if (result == ADMISSION_DONE) {
        negotiate_add_body(link, negotiation, connection, &body);
        native_answer(link, "application/json", &body);
    }
    return result;
}

static void native_negotiate(struct link *link, const struct request *request)
{
    struct fault fault = {0};
    struct negotiation negotiation = {.codec = -1};
    struct admission_case own = {0};
    enum admission_result result = ADMISSION_REFUSED;
    if (offer_read(request->body, &negotiation.offer, &fault) == 0 && negotiate_transports(link, &negotiation, &fault) == 0)
        result = negotiate(link, request, &negotiation, &own, &fault);
    if (result == ADMISSION_REFUSED)
        http_refuse(link, &fault, false, NULL);
    admission_end(&own);
    buf_done(&negotiation.transports);
}

/* A POST of envelopes for a connection. */
struct sending {
    struct connection *connection;
    const struct codec *codec;          /* of the body; downwards may go the other one */
    uint64_t next;                      /* number of the next envelope in the body */
};

/* Envelopes that came in an earlier try of the same request are passed over. */
static int send_one(struct bytes text, void *argument)
{
    struct sending *sending = argument;
    struct connection *connection = sending->connection;
    if (sending->next != 0 && sending->next <= connection->received) {
        sending->next += native_is_numbered(text, sending->codec->id);
        return 0;
    }
    uint64_t before = connection->received;
    int r = connection->dialect->receive(connection, text, sending->codec->id);
    if (r == 0 && sending->next)
        sending->next += connection->received - before;
    return r;
}

static void send_answer(struct link *link, const struct request *request, uint64_t received)
{
    struct buf body = {0};
    enum codec_id codec = http_header_has_token(request->head, "accept", codecs[CODEC_MSGPACK]->content_type)
        ? CODEC_MSGPACK : CODEC_JSON;
    if (codec == CODEC_MSGPACK) {
        msgpack_add_map(&body, 1);
        msgpack_add_text(&body, "received");
        msgpack_add_uint(&body, received);
    } else {
        buf_add_text(&body, "{\"received\":");
        buf_add_decimal(&body, received);
        buf_add_byte(&body, '}');
    }
    native_answer(link, codecs[codec]->content_type, &body);
}

static enum fault_id send_check(const struct request *request, struct sending *sending, struct buf *scratch,
                                struct fault *fault)
{
    struct bytes first = request_parameter(request, "first", scratch);
    struct bytes type = http_header(request->head, "content-type");
    sending->codec = type.data ? codec_by_content_type(type) : codecs[CODEC_JSON];
    if (!sending->codec)
        fault_set(fault, FAULT_BAD_CONTENT_TYPE, "send application/json or application/msgpack");
    else if (first.data && (text_parse_uint(first, &sending->next) < 0 || sending->next == 0))
        fault_set(fault, FAULT_BAD_REQUEST, "first must be the number of the first envelope, from 1");
    else if (sending->connection->link && sending->connection->transport->is_two_way)
        fault_set(fault, FAULT_OVERTAKEN, "another transport carries the connection now: this request came too late");
    else if (sending->next > sending->connection->received + 1)
        fault_set(fault, FAULT_BAD_REQUEST, "envelopes up to %llu are missing: %llu were received",
                  (unsigned long long)sending->next - 1, (unsigned long long)sending->connection->received);
    return fault->id;
}

static void native_send(struct link *link, const struct request *request)
{
    struct buf scratch = {0}, unpacked = {0};
    struct bytes body;
    struct fault fault = {0};
    struct sending sending = {.connection = request_connection(request, link->worker->hub)};
    int r = -EBADMSG;
    if (!sending.connection)
        fault_set(&fault, FAULT_UNKNOWN_TOKEN, "no connection has this token; negotiate again");
    else if (send_check(request, &sending, &scratch, &fault) == FAULT_NONE
             && coding_read(link, request, &unpacked, &body, &fault) == FAULT_NONE)
        r = sending.codec->each(body, NULL, send_one, &sending, &fault);
    if (r == -EAGAIN)
        fault_set(&fault, FAULT_BACK_PRESSURE, "the daemon is busy: %llu envelopes were received; send the rest again",
                  (unsigned long long)sending.connection->received);
    if (r == 0 || r == -ECONNRESET) {
        sending.connection->received_untold = 0;
        send_answer(link, request, sending.connection->received);
    } else {
        http_refuse(link, &fault, false, r == -EAGAIN ? "Retry-After: 1\r\n" : NULL);
    }
    buf_done(&scratch);
    buf_done(&unpacked);
}

static void native_end(struct link *link, const struct request *request)
{
    struct fault fault = {0};
    struct connection *connection = request_connection(request, link->worker->hub);
    if (connection) {
        struct fault why = {.id = FAULT_CLIENT_CLOSED};
        connection_close(connection, &why, false);
        http_respond(link, &(struct response){.status = 204});
    } else {
        fault_set(&fault, FAULT_UNKNOWN_TOKEN, "no connection has this token");
        http_refuse(link, &fault, false, NULL);
    }
}

const struct endpoint native_endpoints[NATIVE_ENDPOINT_COUNT] = {
    {.path = "/negotiate", .methods = METHOD(POST), .serve = native_negotiate},
    {.path = "/websocket", .methods = METHOD(GET), .transport = "websocket"},
    {.path = "/sse", .methods = METHOD(GET), .transport = "sse"},
    {.path = "/poll", .methods = METHOD(GET), .transport = "longpoll"},
    {.path = "/poll", .methods = METHOD(GET), .transport = "shortpoll"},
    {.path = "/send", .methods = METHOD(POST), .serve = native_send, .needs_token = true, .takes_gzip = true},
    {.path = "/connection", .methods = METHOD(DELETE), .serve = native_end, .needs_token = true},
};

/*
 * Polling: see polling.h. An answer is gathered whole from what is unsent and the unnumbered envelopes of this poll.
 */
#include "daemon/transport/polling.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/net/admission.h"
#include "daemon/net/http_coding.h"

#include <stdlib.h>

/* The unnumbered envelopes that go out with a poll's answer, before the numbered ones. */
struct poll {
    struct buf texts;
    size_t count;
};

static void poll_free_state(void *state)
{
    struct poll *poll = state;
    if (poll)
        buf_done(&poll->texts);
    free(poll);
}

static void poll_free(struct link *link)
{
    poll_free_state(STEAL(link->work->state));
}

static void poll_add(struct connection *connection, struct poll *poll, struct bytes text)
{
    if (poll->count++)
        connection->dialect->add_poll_between(connection, &poll->texts);
    buf_add_bytes(&poll->texts, text);
}

void polling_send_unnumbered(struct connection *connection, struct bytes text)
{
    struct link *link = connection->link;
    if (!link->work->state)
        link->work->state = calloc(1, sizeof(struct poll));
    if (!link->work->state) {
        connection_doom(connection, FAULT_INTERNAL);
        return;
    }
    link->work->free_state = poll_free_state;
    poll_add(connection, link->work->state, text);
    hub_mark_dirty(connection->hub, connection);
}

/* Of an unsent envelope. NULL: out of memory. */
static const struct encoding *poll_encoding(const struct connection *connection, uint32_t index)
{
    struct message *message = outbox_peek(&connection->outbox, index);
    return message_encoding(message, connection->dialect, connection->codec, &connection->hub->metrics);
}

/* How many unsent envelopes one answer may hold; at least one, if there is one. */
static uint32_t poll_count_envelopes(struct connection *connection)
{
    size_t batch_bytes = connection->hub->config->transports.poll_batch_bytes, bytes = 0;
    uint32_t count_max = (uint32_t)MIN(connection->hub->config->resume.envelopes, (uint64_t)outbox_unsent_count(&connection->outbox));
    uint32_t count = 0;
    for (; count < count_max; count++) {
        const struct encoding *encoding = poll_encoding(connection, count);
        if (!encoding || (count && bytes + encoding->length > batch_bytes))
            break;
        bytes += encoding->length;
    }
    return count;
}

/* A poll's whole body: the unnumbered envelopes, then the first `count` unsent ones. */
static void poll_add_body(struct connection *connection, const struct poll *poll, uint32_t count, struct buf *body)
{
    size_t unnumbered = poll ? poll->count : 0;
    connection->dialect->add_poll_start(connection, outbox_sent(&connection->outbox) + 1, unnumbered + count, body);
    if (poll && buf_status(&poll->texts) < 0)
        buf_fail(body);
    if (poll)
        buf_add_bytes(body, buf_bytes(&poll->texts));
    for (uint32_t i = 0; i < count; i++) {
        if (unnumbered || i)
            connection->dialect->add_poll_between(connection, body);
        buf_add_bytes(body, encoding_payload(poll_encoding(connection, i)));
    }
    connection->dialect->add_poll_end(connection, body);
}

/* Answers the poll that carries the connection, with whatever there is; 204 when there is nothing. */
static void poll_answer(struct connection *connection)
{
    struct link *link = STEAL(connection->link);
    struct poll *poll = link->work->state;
    struct response response = {.status = 204};
    struct buf body = {0}, packed = {0};
    uint32_t count = poll_count_envelopes(connection);
    if (poll || count) {
        poll_add_body(connection, poll, count, &body);
        response = (struct response){.status = 200, .body = buf_bytes(&body),
                                     .content_type = connection->dialect->poll_content_type(connection)};
    }
    /* The unnumbered ones may have the connection's token among them, which is never compressed. */
    if (count && !poll && buf_status(&body) == 0)
        coding_pack(link, &response, &packed);
    link->connection = NULL;
    poll_free(link);
    if (buf_status(&body) == 0) {
        connection_mark_sent(connection, count, 0);
        connection->sent_ms = (uint32_t)connection->hub->now_ms;
        connection_detach(connection);
        http_respond(link, &response);
    } else {
        connection_detach(connection);
        link_free(link);
    }
    buf_done(&body);
    buf_done(&packed);
}

void polling_flush(struct connection *connection)
{
    /* The next request on the link may be served with the answer, and touch any connection: none may be half sent then. */
    flusher_run(&connection->link->worker->flusher);
    if (outbox_unsent_count(&connection->outbox) || connection->link->work->state)
        poll_answer(connection);
}

uint64_t polling_tend(struct connection *connection, uint64_t now_ms)
{
    /* A held poll needs no looking after: its link's deadline ends it. */
    return 0;
}

void polling_close(struct link *link, const struct fault *why, struct bytes farewell)
{
    struct connection *connection = STEAL(link->connection);
    struct buf body = {0};
    struct response response = {.status = 204};
    if (farewell.length) {
        connection->dialect->add_poll_start(connection, outbox_sent(&connection->outbox) + 1, 1, &body);
        buf_add_bytes(&body, farewell);
        connection->dialect->add_poll_end(connection, &body);
        response = (struct response){.status = 200, .body = buf_bytes(&body),
                                     .content_type = connection->dialect->poll_content_type(connection)};
    }
    poll_free(link);
    if (buf_status(&body) == 0)
        http_respond(link, &response);
    else
        link_free(link);
    buf_done(&body);
}

static size_t poll_on_data(struct link *link, unsigned char *data, size_t length)
{
    return 0;
}

static void poll_on_drained(struct link *link)
{
}

static void poll_on_lost(struct link *link, enum fault_id why)
{
    struct connection *connection = STEAL(link->connection);
    poll_free(link);
    link_free(link);
    connection_detach(connection);
}

static void poll_on_deadline(struct link *link)
{
    poll_answer(link->connection);
}

static const struct link_handler poll_handler = {
    .on_data = poll_on_data,
    .on_drained = poll_on_drained,
    .on_lost = poll_on_lost,
    .on_deadline = poll_on_deadline,
    .on_retry = link_resume,
};

uint64_t polling_wait_ms(const struct request *request, struct buf *scratch, uint64_t fallback)
{
    uint64_t wait_ms;
    struct bytes text = request_parameter(request, "wait", scratch);
    return text.data && text_parse_uint(text, &wait_ms) == 0 ? wait_ms : fallback;
}

/* By what the client accepts; JSON when it does not say. */
static enum codec_id poll_codec(const struct http_head *head, const struct config *config)
{
    bool wants_msgpack = http_header_has_token(head, "accept", codecs[CODEC_MSGPACK]->content_type);
    if (!config->protocols.json)
        return CODEC_MSGPACK;
    return wants_msgpack && config->protocols.msgpack ? CODEC_MSGPACK : CODEC_JSON;
}

static bool is_polling(const struct transport *transport)
{
    return transport && transport->flush == polling_flush;
}

void polling_open(struct link *link, const struct request *request, const struct transport *transport, uint64_t wait_ms)
{
    struct fault fault = {0};
    struct admission admission;
    enum codec_id codec = poll_codec(request->head, link->worker->hub->config);
    enum admission_result result = admission_open(link, request, codec, &admission, &fault);
    if (result == ADMISSION_REFUSED)
        http_refuse(link, &fault, false, NULL);
    if (result != ADMISSION_DONE)
        return;
    struct connection *connection = admission.connection;
    bool is_first = !is_polling(connection->transport);
    connection_attach(connection, link, transport);
    link->takes_gzip = link->worker->hub->config->compression.polls && coding_is_wanted(request->head);
    link->connection = connection;
    if (is_first)
        connection_welcome(connection, admission.is_resumed);
    /* A doomed one is answered with its farewell at the end of the turn. */
    bool is_due = wait_ms == 0 || outbox_unsent_count(&connection->outbox) || link->work->state;
    if (is_due && connection->doom == FAULT_NONE) {
        poll_answer(connection);
        return;
    }
    http_hold(link, &poll_handler);
    link_set_deadline(link, wait_ms);
}

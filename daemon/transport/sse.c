/*
 * Server-sent events transport (WHATWG HTML, "Server-sent events"): each envelope is one event on a response without an
 * end. Upwards the client posts to the dialect's send address.
 */
#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/net/admission.h"
#include "daemon/net/stream.h"
#include "daemon/transport/transports.h"

#include <stdio.h>

static int sse_frame(const struct connection *connection, uint64_t number, const struct encoding *encoding,
                     struct iovec pieces[static STREAM_PIECES_MAX], char scratch[static STREAM_SCRATCH])
{
    struct bytes payload = encoding_payload(encoding);
    int length = connection->dialect->numbers_sse
        ? snprintf(scratch, STREAM_SCRATCH, "id: %llu\ndata: ", (unsigned long long)number)
        : snprintf(scratch, STREAM_SCRATCH, "data: ");
    pieces[0] = (struct iovec){scratch, (size_t)length};
    pieces[1] = (struct iovec){(void *)payload.data, payload.length};
    pieces[2] = (struct iovec){"\n\n", 2};
    return 3;
}

static void sse_flush(struct connection *connection)
{
    stream_flush_turn(connection, sse_frame);
}

static void sse_add_event(struct buf *out, struct bytes text)
{
    buf_add_text(out, "data: ");
    buf_add_bytes(out, text);
    buf_add_text(out, "\n\n");
}

static void sse_send_unnumbered(struct connection *connection, struct bytes text)
{
    struct buf event = {0};
    sse_add_event(&event, text);
    stream_queue(connection, &event);
    buf_done(&event);
}

static void sse_on_lost(struct link *link, enum fault_id why)
{
    struct connection *connection = STEAL(link->connection);
    link_free(link);
    if (connection)
        connection_detach(connection);
}

static void sse_close(struct link *link, const struct fault *why, struct bytes farewell)
{
    stream_finish(link, sse_frame, why);
    if (link->is_closed)
        return;
    if (farewell.length) {
        struct buf event = {0};
        sse_add_event(&event, farewell);
        link_send_buf(link, &event);
        buf_done(&event);
    }
    link_close_gracefully(link);
}

/* Nobody has to answer: a dead peer shows as a write that fails (TCP_USER_TIMEOUT). */
static uint64_t sse_tend(struct connection *connection, uint64_t now_ms)
{
    uint64_t keep_alive_ms = connection->hub->config->connection.keep_alive_ms;
    uint64_t next_ms = stream_tend(connection, now_ms);
    if (next_ms == 0)
        return 0;
    uint64_t quiet_ms = connection_age_ms(now_ms, connection->sent_ms);
    if (quiet_ms >= keep_alive_ms) {
        struct buf ping = {0};
        connection->dialect->add_ping(connection, &ping);
        if (ping.length && buf_status(&ping) == 0)
            sse_send_unnumbered(connection, buf_bytes(&ping));
        buf_done(&ping);
        quiet_ms = 0;
    }
    return MIN(next_ms, keep_alive_ms - quiet_ms);
}

/* A client has nothing more to say on this link. */
static size_t sse_on_data(struct link *link, unsigned char *data, size_t length)
{
    return length;
}

static void sse_on_drained(struct link *link)
{
    if (link->connection)
        stream_flush(link->connection, sse_frame);
}

static const struct link_handler sse_handler = {
    .on_data = sse_on_data,
    .on_drained = sse_on_drained,
    .on_lost = sse_on_lost,
    .on_deadline = link_free,
    .on_retry = link_resume,
};

static void sse_open(struct link *link, const struct request *request)
{
    struct fault fault = {0};
    struct admission admission;
    enum admission_result result = admission_open(link, request, CODEC_JSON, &admission, &fault);
    if (result == ADMISSION_REFUSED)
        http_refuse(link, &fault, false, NULL);
    if (result != ADMISSION_DONE)
        return;
    connection_attach(admission.connection, link, sse_front.transport);
    link->connection = admission.connection;
    link_set_handler(link, &sse_handler);
    http_begin_stream(link, "text/event-stream");
    if (link->is_closed)
        return;
    connection_welcome(admission.connection, admission.is_resumed);
    if (!link->is_closed)
        connection_tend_within(admission.connection, link->worker->hub->config->connection.keep_alive_ms);
}

static bool sse_is_on(const struct config *config)
{
    return config->transports.sse && config->protocols.json;
}

static const struct transport sse = {
    .name = "sse",
    .path = "/sse",
    .is_lasting = true,
    .flush = sse_flush,
    .send_unnumbered = sse_send_unnumbered,
    .tend = sse_tend,
    .close = sse_close,
};

const struct transport_front sse_front = {
    .transport = &sse,
    .is_on = sse_is_on,
    .open = sse_open,
};

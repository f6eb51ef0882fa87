/*
 * What is owed to a connection, and what came from it: queueing, acknowledgements in both directions, and the
 * limits for clients that do not take what is theirs.
 */
#include "daemon/core/connection.h"

#include "daemon/config/config.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/core/slow.h"
#include "daemon/core/trace.h"

/* rtc.ack is worth sending this often (rtc-protocol(7), "Stateful reconnect"). */
enum { ACK_EVERY_ENVELOPES = 64 };

/* What few messages ask for. */
static void connection_push_more(struct connection *connection, const struct message *message)
{
    if (message->trace)
        trace_note_queued(message->trace, connection);
    slow_look(connection, message);
}

void connection_push(struct connection *connection, struct message *message)
{
    struct hub *hub = connection->hub;
    struct outbox *outbox = &connection->outbox;
    if (outbox_push(outbox, message, message->size) < 0) {
        message_unref(message);
        connection_doom(connection, FAULT_INTERNAL);
        return;
    }
    metrics_add(&hub->metrics, METRIC_MESSAGES_DELIVERED, 1);
    if (slow_is_due(hub->config, outbox->owed) || message->has_more)
        connection_push_more(connection, message);
    if (!connection->is_dirty && connection->link)
        hub_mark_dirty(hub, connection);
}

int connection_acknowledge(struct connection *connection, uint64_t number)
{
    uint64_t before = connection->outbox.first;
    int r = outbox_acknowledge(&connection->outbox, number);
    if (r == 0 && number + 1 >= before)
        connection->has_forgotten = false;
    metrics_add(&connection->hub->metrics, METRIC_MESSAGES_ACKNOWLEDGED, connection->outbox.first - before);
    return r;
}

void connection_count_received(struct connection *connection)
{
    struct hub *hub = connection->hub;
    connection->received++;
    connection->received_untold++;
    metrics_add(&hub->metrics, METRIC_MESSAGES_RECEIVED, 1);
    if (connection->received_untold >= ACK_EVERY_ENVELOPES)
        connection_tell_received(connection);
}

void connection_tell_received(struct connection *connection)
{
    if (!connection->link || !connection->transport->is_lasting || connection->received_untold == 0)
        return;
    struct buf text = {0};
    connection->dialect->add_ack(connection, &text);
    if (text.length && buf_status(&text) == 0) {
        connection->transport->send_unnumbered(connection, buf_bytes(&text));
        connection->received_untold = 0;
    }
    buf_done(&text);
}

static void note_forgotten(struct connection *connection, uint32_t count)
{
    if (count == 0)
        return;
    connection->has_forgotten = true;
    metrics_add(&connection->hub->metrics, METRIC_ENVELOPES_FORGOTTEN, count);
}

void connection_mark_sent(struct connection *connection, uint32_t count, uint32_t partial)
{
    struct hub *hub = connection->hub;
    uint32_t count_max = (uint32_t)hub->config->resume.envelopes, bytes_max = (uint32_t)hub->config->resume.bytes;
    if (connection->is_traced)
        trace_note_sent(connection, count);
    outbox_mark_sent(&connection->outbox, count, partial);
    slow_note_sent(connection);
    if (outbox_keeps_more(&connection->outbox, count_max, bytes_max))
        note_forgotten(connection, outbox_forget(&connection->outbox, count_max, bytes_max, 0));
}

void connection_watch_stall(struct connection *connection)
{
    struct hub *hub = connection->hub;
    if (outbox_watch(&connection->outbox, hub->now_ms, hub->config->queue.time_ms))
        connection_tend_within(connection, hub->config->queue.time_ms);
}

void connection_forget_old(struct connection *connection)
{
    struct hub *hub = connection->hub;
    note_forgotten(connection, outbox_forget_old(&connection->outbox, hub->now_ms, hub->config->resume.window_ms));
}

/*
 * Carry: what goes over the link of now: envelopes from the sent queue, in batches, acknowledgements, and signs of life. All of
 * it leaves at the end of a round of the loop, so that what was sent in one round goes out together.
 */
#include "lib/client/client.h"

#include "lib/client/error.h"
#include "lib/client/link.h"

enum {
    ACK_ENVELOPES = 64, ACK_MS = 10000,         /* rtc-protocol(7), "Stateful reconnect" */
    BATCH_ENVELOPES = 64,
};

static uint64_t keep_alive_ms(const struct rtc_client *client)
{
    /* The server asks after its keepAlive; a client that waits a little longer need not ask as well. */
    uint64_t ms = client->options.keep_alive_ms ? client->options.keep_alive_ms : client->session.keep_alive_ms * 5 / 4;
    uint64_t timeout_ms = client->options.timeout_ms ? client->options.timeout_ms : client->session.timeout_ms;
    /* One of the two may be the caller's and the other the server's. */
    return ms < timeout_ms ? ms : MAX(timeout_ms / 2, (uint64_t)1);
}

uint64_t client_timeout_ms(const struct rtc_client *client)
{
    return client->options.timeout_ms ? client->options.timeout_ms : client->session.timeout_ms;
}

static bool carry_may_send(const struct rtc_client *client)
{
    const struct rtc_link *link = client->link;
    return link && link->is_open && !link->is_over && !link->is_held && link->kind->is_writable(link->transport);
}

/* An envelope without a number, for the link of now. */
static void carry_send_unnumbered(struct rtc_client *client, const char *event_name, struct bytes json)
{
    struct rtc_link *link = client->link;
    struct buf text = {0};
    struct rtc_envelope envelope = {.event_name = bytes_to(bytes_text(event_name)), .json = bytes_to(json)};
    if (codec_encode(link->codec, &envelope, &text) == RTC_OK) {
        struct rtc_bytes one = bytes_to(buf_bytes(&text));
        link->kind->send(link->transport, 0, &one, 1);
    }
    buf_done(&text);
}

static void carry_send_ack(struct rtc_client *client)
{
    struct buf data = {0};
    struct session *session = &client->session;
    client->carry.owes_ack = false;
    io_timer_stop(&client->io, &client->carry.ack_timer);
    if (client->link->kind->is_polled || session->acknowledged == session->received)
        return;
    buf_add_format(&data, "{\"received\":%llu}", (unsigned long long)session->received);
    session->acknowledged = session->received;
    carry_send_unnumbered(client, "rtc.ack", buf_bytes(&data));
    buf_done(&data);
}

/* false: there is nothing to send, or the link has failed of it. */
static bool carry_send_batch(struct rtc_client *client)
{
    struct rtc_link *link = client->link;
    struct rtc_bytes envelopes[BATCH_ENVELOPES];
    size_t count = 0, bytes = 0;
    uint64_t first = 0, number;
    struct sent *sent;
    while (count < BATCH_ENVELOPES && (sent = sent_queue_peek(&client->sent))) {
        enum rtc_code code = sent_write(sent, link->codec);
        if (code != RTC_OK) {
            link_fail(link, code, "an envelope cannot be written in %s", link->codec->name);
            return false;
        }
        /* A server that takes one envelope of that size takes some of that size together. */
        if (count && bytes + sent->text.length > client->session.message_max)
            break;
        sent_queue_next(&client->sent, &number);
        first = count ? first : number;
        bytes += sent->text.length + 1;
        envelopes[count++] = bytes_to(buf_bytes(&sent->text));
    }
    if (count)
        link->kind->send(link->transport, first, envelopes, count);
    return count != 0;
}

static void carry_flush(struct io_timer *timer)
{
    struct rtc_client *client = CLIENT_OF(timer, carry.flush_timer);
    struct carry *carry = &client->carry;
    if (carry->owes_pong && carry_may_send(client)) {
        carry->owes_pong = false;
        carry_send_unnumbered(client, "rtc.pong", buf_bytes(&carry->pong));
    }
    if (carry->owes_ack && carry_may_send(client))
        carry_send_ack(client);
    while (carry_may_send(client) && carry_send_batch(client))
        ;
}

void carry_flush_soon(struct rtc_client *client)
{
    struct io_timer *timer = &client->carry.flush_timer;
    if (client->link && !io_timer_is_set(timer))
        io_later(&client->io, timer);
}

static void carry_on_ack_timer(struct io_timer *timer)
{
    struct rtc_client *client = CLIENT_OF(timer, carry.ack_timer);
    client->carry.owes_ack = true;
    carry_flush_soon(client);
}

void carry_received(struct rtc_client *client)
{
    struct carry *carry = &client->carry;
    if (client->session.received - client->session.acknowledged >= ACK_ENVELOPES) {
        carry->owes_ack = true;
        carry_flush_soon(client);
    } else if (!io_timer_is_set(&carry->ack_timer)) {
        io_timer_set(&client->io, &carry->ack_timer, ACK_MS);
    }
}

/* Silence: asked into after keepAlive, the link's end after timeout. A transport that polls knows itself what to wait for. */
static void carry_on_alive_timer(struct io_timer *timer)
{
    struct rtc_client *client = CLIENT_OF(timer, carry.alive_timer);
    struct rtc_link *link = client->link;
    uint64_t keep_ms = keep_alive_ms(client), timeout_ms = client_timeout_ms(client);
    if (!link || link->kind->is_polled)
        return;
    uint64_t silent_ms = client->io.now_ms - link->heard_ms;
    if (silent_ms >= timeout_ms) {
        link_fail(link, RTC_NETWORK, "nothing was heard from the server for %llu ms", (unsigned long long)silent_ms);
        return;
    }
    if (silent_ms < keep_ms) {
        io_timer_set(&client->io, timer, keep_ms - silent_ms);
        return;
    }
    if (client->carry.pinged_ms <= link->heard_ms && carry_may_send(client)) {
        client->carry.pinged_ms = client->io.now_ms;
        carry_send_unnumbered(client, "rtc.ping", (struct bytes){0});
    }
    io_timer_set(&client->io, timer, timeout_ms - silent_ms);
}

void carry_begin(struct rtc_client *client)
{
    struct carry *carry = &client->carry;
    carry->flush_timer.on_due = carry_flush;
    carry->ack_timer.on_due = carry_on_ack_timer;
    carry->alive_timer.on_due = carry_on_alive_timer;
    carry->owes_pong = false;
    carry->pinged_ms = 0;
    /* The URL of the link said how far the client is. */
    client->session.acknowledged = client->link->kind->is_polled ? client->session.acknowledged : client->session.received;
    io_timer_set(&client->io, &carry->alive_timer, keep_alive_ms(client));
    carry_flush_soon(client);
}

void carry_stop(struct rtc_client *client)
{
    struct carry *carry = &client->carry;
    io_timer_stop(&client->io, &carry->flush_timer);
    io_timer_stop(&client->io, &carry->ack_timer);
    io_timer_stop(&client->io, &carry->alive_timer);
    carry->owes_ack = carry->owes_pong = false;
}

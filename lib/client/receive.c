/*
 * Receive: what a link brings. Envelopes of the protocol's own are rows of a table; numbered ones are counted, those that came
 * before over another link are passed over, and the rest goes to the handlers or to who asked.
 */
#include "lib/client/client.h"

#include "lib/client/error.h"
#include "lib/client/link.h"
#include "lib/fault.h"
#include "lib/json.h"

static void take_welcome(struct rtc_link *link, const struct rtc_envelope *envelope)
{
    struct welcome welcome;
    struct rtc_error error;
    if (welcome_read(&welcome, bytes_from(envelope->json), &error) != RTC_OK) {
        rtc_link_failed(link, &error, true);
        return;
    }
    connect_greeted(link->client, link, &welcome);
    welcome_done(&welcome);
}

static void take_ping(struct rtc_link *link, const struct rtc_envelope *envelope)
{
    struct carry *carry = &link->client->carry;
    /* Where an answer would be a request of its own, nobody waits for it (rtc-protocol(7), "Keep-alive"). */
    if (link->kind->is_downward || link->kind->is_polled)
        return;
    buf_clear(&carry->pong);
    buf_add_bytes(&carry->pong, bytes_from(envelope->json));
    carry->owes_pong = true;
    carry_flush_soon(link->client);
}

static void take_pong(struct rtc_link *link, const struct rtc_envelope *envelope)
{
}

static void take_ack(struct rtc_link *link, const struct rtc_envelope *envelope)
{
    uint64_t received;
    if (json_uint(json_member(bytes_from(envelope->json), "received"), &received) == 0)
        rtc_link_acknowledged(link, received);
}

/* The reason is the name of a fault, or what an operator said. */
static void take_close(struct rtc_link *link, const struct rtc_envelope *envelope)
{
    struct rtc_error why;
    struct buf scratch = {0};
    struct bytes reason = {0};
    char quoted[ERROR_QUOTE];
    bool can_reconnect;
    if (json_bool(json_member(bytes_from(envelope->json), "reconnect"), &can_reconnect) < 0)
        can_reconnect = true;
    if (json_string(json_member(bytes_from(envelope->json), "reason"), &scratch, &reason) < 0)
        reason = BYTES("none given");
    enum fault_id id = fault_by_name(error_quote(reason, quoted));
    const struct fault_row *row = &fault_rows[id ? id : FAULT_DISCONNECTED];
    error_set(&why, error_code_by_name(bytes_text(row->code)), "the server ended the connection: %s%s%s%s", quoted,
              id ? " (" : "", id ? row->sentence : "", id ? ")" : "");
    buf_done(&scratch);
    rtc_link_failed(link, &why, can_reconnect);
}

/* rtc-protocol(7), "Stateful reconnect": these have no number. */
static const struct {
    const char *name;
    void (*take)(struct rtc_link *link, const struct rtc_envelope *envelope);
} unnumbered[] = {
    {"rtc.welcome", take_welcome}, {"rtc.ping", take_ping}, {"rtc.pong", take_pong}, {"rtc.ack", take_ack}, {"rtc.close", take_close},
};

static bool receive_unnumbered(struct rtc_link *link, const struct rtc_envelope *envelope)
{
    for (size_t i = 0; i < COUNT_OF(unnumbered); i++) {
        if (!bytes_is(bytes_from(envelope->event_name), unnumbered[i].name))
            continue;
        unnumbered[i].take(link, envelope);
        return true;
    }
    return false;
}

/* Counts; false: it is not to be handed out. */
static bool receive_number(struct rtc_link *link)
{
    struct session *session = &link->client->session;
    if (!link->is_open && !link->kind->is_polled) {
        link_fail(link, RTC_BAD_ANSWER, "the server sends events before rtc.welcome");
        return false;
    }
    if (!link->is_open)
        connect_greeted(link->client, link, NULL);
    if (link->is_over)
        return false;
    link->number++;
    if (link->number <= session->received)
        return false;
    if (link->number > session->received + 1) {
        link_fail(link, RTC_BAD_ANSWER, "envelopes %llu to %llu are missing", (unsigned long long)session->received + 1,
                  (unsigned long long)link->number - 1);
        return false;
    }
    session->received = link->number;
    carry_received(link->client);
    return true;
}

/* The text of the message that is being handed out, NUL-terminated: room for all of it first, so that nothing moves. */
static const char *keep_text(struct buf *text, struct rtc_bytes bytes)
{
    if (!bytes.data)
        return NULL;
    const char *kept = (const char *)text->data + text->length;
    buf_add(text, bytes.data, bytes.length);
    buf_add_byte(text, '\0');
    return kept;
}

/* rtc-protocol(7), rtc.left: without a group in its head it is about the client itself. A join that is under way is a newer wish. */
static void receive_left(struct rtc_client *client, struct rtc_bytes json)
{
    struct buf scratch = {0};
    struct bytes name;
    struct group *group = NULL;
    if (json_string(json_member(bytes_from(json), "group"), &scratch, &name) == 0)
        group = groups_find(&client->groups, name);
    if (group && group->join_id == 0)
        groups_remove(&client->groups, group);
    buf_done(&scratch);
}

static void receive_event(struct rtc_client *client, const struct rtc_envelope *envelope)
{
    struct buf *text = &client->carry.text;
    struct rtc_bytes json = envelope->json.length ? envelope->json : (struct rtc_bytes){"null", 4};
    struct group *group = envelope->group.length ? groups_find(&client->groups, bytes_from(envelope->group)) : NULL;
    buf_clear(text);
    if (!buf_room(text, envelope->event_name.length + json.length + envelope->group.length + envelope->key.length
                  + envelope->from_connection_id.length + envelope->from_user_id.length + 6)) {
        client_log(client, RTC_LOG_ERROR, "out of memory: an envelope was lost");
        return;
    }
    struct rtc_message message = {
        .event_name = keep_text(text, envelope->event_name), .json = keep_text(text, json), .data = envelope->data,
        .group = keep_text(text, envelope->group), .offset = envelope->offset, .key = keep_text(text, envelope->key),
        .from_connection_id = keep_text(text, envelope->from_connection_id), .from_user_id = keep_text(text, envelope->from_user_id),
    };
    if (group && envelope->offset)
        group_note_offset(group, envelope->offset);
    if (bytes_is(bytes_from(envelope->event_name), "rtc.left") && envelope->group.length == 0)
        receive_left(client, json);
    if (bytes_is(bytes_from(envelope->event_name), "rtc.error"))
        client_log(client, RTC_LOG_WARNING, "the server could not do what was asked: %s", message.json);
    handlers_call(&client->handlers, client, &message);
}

void receive_envelope(struct rtc_link *link, struct bytes text)
{
    struct rtc_client *client = link->client;
    struct rtc_envelope envelope;
    enum rtc_code code = link->codec->decode(bytes_to(text), &envelope, link->codec->argument);
    if (code != RTC_OK) {
        char quoted[ERROR_QUOTE];
        link_fail(link, code == RTC_NO_MEMORY ? code : RTC_BAD_ANSWER, "what came is no envelope in %s: %s", link->codec->name,
                  error_quote(text, quoted));
        return;
    }
    if (receive_unnumbered(link, &envelope) || !receive_number(link))
        return;
    if (bytes_is(bytes_from(envelope.event_name), "rtc.reply"))
        requests_answer(client, &envelope);
    else
        receive_event(client, &envelope);
}

enum rtc_code rtc_on(struct rtc_client *client, const char *event_name, rtc_event_fn *handler, void *argument)
{
    if (!handler)
        return client_fail(client, RTC_BAD_ARGUMENT, "rtc_on: there is no handler");
    enum rtc_code code = handlers_add(&client->handlers, event_name, handler, argument);
    return code == RTC_OK ? RTC_OK : client_fail(client, code, "out of memory");
}

void rtc_off(struct rtc_client *client, const char *event_name, rtc_event_fn *handler, void *argument)
{
    handlers_remove(&client->handlers, event_name, handler, argument);
}

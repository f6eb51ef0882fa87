/*
 * Driver say: everything that is seen, as one line of JSON each.
 */
#include "tests/clients/driver.h"

#include <err.h>
#include <stdlib.h>
#include <unistd.h>

static struct buf lines;

static struct json_writer begin(const struct client *client, const char *saw)
{
    struct json_writer writer = json_writer(&lines);
    json_begin_object(&writer);
    json_key(&writer, "saw");
    json_add_text(&writer, saw);
    json_key(&writer, "client");
    json_add_text(&writer, client->id);
    return writer;
}

static void end(struct json_writer *writer)
{
    json_end_object(writer);
    buf_add_byte(&lines, '\n');
}

void say_flush(void)
{
    for (size_t at = 0; at < lines.length;) {
        ssize_t written = write(STDOUT_FILENO, lines.data + at, lines.length - at);
        if (written < 0)
            err(1, "standard output");
        at += (size_t)written;
    }
    buf_clear(&lines);
}

static void add_text(struct json_writer *writer, const char *key, const char *text)
{
    json_key(writer, key);
    json_add_text(writer, text);
}

static void add_uint(struct json_writer *writer, const char *key, uint64_t value)
{
    json_key(writer, key);
    json_add_uint(writer, value);
}

static void add_error(struct json_writer *writer, const struct rtc_error *error)
{
    add_text(writer, "code", rtc_error_word(error));
    add_text(writer, "message", error->message);
}

void say_refused(const struct client *client, const char *word, const struct rtc_error *error)
{
    struct json_writer writer = begin(client, "refused");
    add_text(&writer, "do", word);
    add_error(&writer, error);
    end(&writer);
}

void say_token(const struct client *client)
{
    if (client->is_quiet)
        return;
    struct json_writer writer = begin(client, "token");
    end(&writer);
}

void say_policy(const struct client *client, const struct rtc_retry *retry)
{
    if (client->is_quiet)
        return;
    struct json_writer writer = begin(client, "policy");
    add_uint(&writer, "attempt", retry->attempt);
    json_key(&writer, "isFirstConnect");
    json_add_bool(&writer, retry->is_first_connect);
    add_text(&writer, "code", rtc_error_word(&retry->error));
    end(&writer);
}

void say_answer(const struct client *client, uint64_t id)
{
    struct json_writer writer = begin(client, "answer");
    add_uint(&writer, "id", id);
    add_text(&writer, "state", rtc_state_name(rtc_state(client->rtc)));
    add_text(&writer, "connectionId", rtc_connection_id(client->rtc));
    add_text(&writer, "userId", rtc_user_id(client->rtc));
    add_text(&writer, "transport", rtc_transport_name(client->rtc));
    add_text(&writer, "protocol", rtc_protocol_name(client->rtc));
    if (client->is_counting) {
        add_uint(&writer, "sent", client->count.sent);
        add_uint(&writer, "back", client->count.numbers_count);
    }
    end(&writer);
}

void say_counted(const struct client *client)
{
    struct json_writer writer = begin(client, "counted");
    add_uint(&writer, "resumed", client->resumed);
    json_key(&writer, "numbers");
    json_begin_array(&writer);
    for (size_t i = 0; i < client->count.numbers_count; i++)
        json_add_uint(&writer, client->count.numbers[i]);
    json_end_array(&writer);
    end(&writer);
}

static void add_reply(const struct client *client, uint64_t id, const struct rtc_error *error, const char *json)
{
    struct json_writer writer = begin(client, "reply");
    add_uint(&writer, "id", id);
    json_key(&writer, error->code ? "error" : "data");
    if (error->code) {
        json_begin_object(&writer);
        add_error(&writer, error);
        json_end_object(&writer);
    } else {
        json_add_raw(&writer, bytes_text(json ? json : "null"));
    }
    end(&writer);
}

void say_request_failed(const struct client *client, uint64_t id, const struct rtc_error *error)
{
    add_reply(client, id, error, NULL);
}

void say_reply(struct rtc_client *rtc, const struct rtc_error *error, const char *json, void *argument)
{
    struct request *request = argument;
    if (!error->code != !!json)
        errx(1, "a reply has both data and an error, or neither");
    add_reply(request->client, request->id, error, json);
    list_remove(&request->node);
    free(request);
}

void say_event(struct rtc_client *rtc, const struct rtc_message *message, void *argument)
{
    struct handler *handler = argument;
    struct json_writer writer = begin(handler->client, "event");
    add_text(&writer, "event", message->event_name);
    add_text(&writer, "handler", handler->name);
    json_key(&writer, "data");
    json_add_raw(&writer, bytes_text(message->json));
    if (message->group)
        add_text(&writer, "group", message->group);
    if (message->offset)
        add_uint(&writer, "offset", message->offset);
    if (message->key)
        add_text(&writer, "key", message->key);
    if (message->from_connection_id) {
        json_key(&writer, "from");
        json_begin_object(&writer);
        add_text(&writer, "connectionId", message->from_connection_id);
        add_text(&writer, "userId", message->from_user_id);
        json_end_object(&writer);
    }
    end(&writer);
}

static void on_state_change(struct rtc_client *rtc, enum rtc_state from, enum rtc_state to, void *argument)
{
    struct json_writer writer = begin(argument, "state");
    add_text(&writer, "from", rtc_state_name(from));
    add_text(&writer, "to", rtc_state_name(to));
    end(&writer);
}

static void on_reconnecting(struct rtc_client *rtc, const struct rtc_error *why, void *argument)
{
    struct json_writer writer = begin(argument, "reconnecting");
    add_error(&writer, why);
    end(&writer);
}

static void on_reconnected(struct rtc_client *rtc, const struct rtc_reconnected *how, void *argument)
{
    struct client *client = argument;
    client->resumed += how->is_resumed;
    if (client->is_quiet)
        return;
    struct json_writer writer = begin(client, "reconnected");
    json_key(&writer, "resumed");
    json_add_bool(&writer, how->is_resumed);
    add_uint(&writer, "unacknowledged", how->unacknowledged);
    end(&writer);
}

static void on_close(struct rtc_client *rtc, const struct rtc_error *reason, void *argument)
{
    struct json_writer writer = begin(argument, "close");
    add_error(&writer, reason);
    end(&writer);
}

void say_life(struct client *client)
{
    static const struct rtc_life all = {on_state_change, on_reconnecting, on_reconnected, on_close, NULL};
    static const struct rtc_life few = {.on_reconnected = on_reconnected, .on_close = on_close};
    rtc_set_life(client->rtc, client->is_quiet ? &few : &all, client);
}

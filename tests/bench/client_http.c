/*
 * Client over plain HTTP: server-sent events on an answer without an end, polls, each answered by its next, and posts, one after the
 * other on one link.
 */
#include "tests/bench/client.h"
#include "tests/bench/speech.h"

#include <err.h>
#include <stdlib.h>

/* The head that `data` begins with, its blank line included; empty: more is needed. */
static struct bytes take_head(const unsigned char *data, size_t length)
{
    const unsigned char *end = memmem(data, length, "\r\n\r\n", 4);
    if (!end)
        return bytes_of(NULL, 0);
    if (memcmp(data, "HTTP/1.1 20", 11) != 0)
        errx(1, "a request was refused: %.*s", (int)length, (const char *)data);
    return bytes_of(data, (size_t)(end - data) + 4);
}

struct bytes http_field(struct bytes head, const char *name)
{
    size_t name_length = strlen(name);
    const unsigned char *end = head.data + head.length, *line = head.data;
    while ((line = memmem(line, (size_t)(end - line), "\r\n", 2)) && end - line > (ptrdiff_t)name_length + 4) {
        line += 2;
        if (strncasecmp((const char *)line, name, name_length) == 0 && line[name_length] == ':') {
            line += name_length + 2;
            return bytes_of(line, (size_t)((const unsigned char *)memmem(line, (size_t)(end - line), "\r\n", 2) - line));
        }
    }
    return bytes_of(NULL, 0);
}

static void events_begin(struct load *load, struct client *client)
{
    struct buf head = {0};
    buf_add_text(&head, "GET ");
    client->speech->add_request(&head, client);
    buf_add_format(&head, " HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nAccept: text/event-stream\r\n\r\n", load->port);
    client_send_raw(client, buf_bytes(&head));
    buf_done(&head);
}

/* Events end with an empty line. Where the stream is cut into chunks, the lines between those are not empty: they have a
 * carriage return. */
static void take_events(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    const unsigned char *end = data + length;
    for (const unsigned char *newline; (newline = memchr(data, '\n', (size_t)(end - data))); data = newline + 1) {
        client->line += (uint64_t)(newline - data);
        client->item += client->line;
        if (client->line == 0) {
            if (client->item >= load->message_min)
                client_took(load, client, 1);
            client->item = 0;
        }
        client->line = 0;
    }
    client->line += (uint64_t)(end - data);
}

static size_t events_take(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    if (!client->is_answered) {
        struct bytes head = take_head(data, length);
        client->is_answered = head.length > 0;
        if (head.length && !client->speech->greet)
            client_opened(load, client);
        return head.length;
    }
    if (!client->is_open) {
        const unsigned char *end = memmem(data, length, "\n\n", 2);
        if (!end)
            return 0;
        client_greet(load, client, bytes_of(data, (size_t)(end - data)));
        return (size_t)(end - data) + 2;
    }
    take_events(load, client, data, length);
    return length;
}

const struct carrier carrier_events = {events_begin, events_take};

static void polls_ask(struct load *load, struct client *client)
{
    static struct buf request;
    buf_clear(&request);
    client->speech->add_request(&request, client);
    client_send_raw(client, buf_bytes(&request));
}

static void polls_begin(struct load *load, struct client *client)
{
    polls_ask(load, client);
    /* Without a greeting nothing comes before the first message. */
    if (!client->speech->greet)
        client_opened(load, client);
}

/* A whole answer: how long it is; 0: more is needed. */
static size_t take_answer(const unsigned char *data, size_t length, struct bytes *ret_head, struct bytes *ret_body)
{
    *ret_head = take_head(data, length);
    if (ret_head->length == 0)
        return 0;
    struct bytes size = http_field(*ret_head, "Content-Length");
    size_t whole = ret_head->length + (size.length ? strtoul((const char *)size.data, NULL, 10) : 0);
    *ret_body = bytes_of(data + ret_head->length, whole - ret_head->length);
    return length < whole ? 0 : whole;
}

static size_t polls_take(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    struct bytes head, body;
    size_t whole = take_answer(data, length, &head, &body);
    if (whole == 0)
        return 0;
    if (!client->is_open)
        client_greet(load, client, body);
    else
        client_took(load, client, client->speech->take_answer(client, head, body));
    polls_ask(load, client);
    return whole;
}

const struct carrier carrier_polls = {polls_begin, polls_take};

static void posts_begin(struct load *load, struct client *client)
{
    client_opened(load, client);
}

static size_t posts_take(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    struct bytes head, body;
    size_t whole = take_answer(data, length, &head, &body);
    if (whole)
        load->on_answer(client, body, load->argument);
    return whole;
}

const struct carrier carrier_posts = {posts_begin, posts_take};

/*
 * Peer: a program on librtc for test_librtc.py, which says on stdin what to do, a line each, and reads on stdout what happened.
 * It drives the client with poll(), as a program with a loop of its own does.
 */
#include "lib/rtc.h"
#include "tests/client/peer.h"

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 * 1024 };

struct peer {
    struct rtc_client *client;
    char *input;
    size_t length;
    bool is_over;
    bool stops_in_handler;
    unsigned token_count;
    char token[32];
};

static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    putchar('\n');
    fflush(stdout);
}

static void on_state_change(struct rtc_client *client, enum rtc_state from, enum rtc_state to, void *argument)
{
    const char *transport = rtc_transport_name(client), *protocol = rtc_protocol_name(client);
    say("state %s %s %s", rtc_state_name(to), transport ? transport : "-", protocol ? protocol : "-");
}

static void on_reconnecting(struct rtc_client *client, const struct rtc_error *why, void *argument)
{
    say("reconnecting %s %s", rtc_error_word(why), why->message);
}

static void on_reconnected(struct rtc_client *client, const struct rtc_reconnected *how, void *argument)
{
    say("reconnected %s %zu", how->is_resumed ? "resumed" : "new", how->unacknowledged);
}

static void on_close(struct rtc_client *client, const struct rtc_error *reason, void *argument)
{
    say("close %s %s", rtc_error_word(reason), reason->message);
}

static void on_event(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
    struct peer *peer = argument;
    say("event %s %s %s", message->event_name, message->group ? message->group : "-", message->json);
    if (peer->stops_in_handler)
        rtc_stop(client);
}

static void on_reply(struct rtc_client *client, const struct rtc_error *error, const char *json, void *argument)
{
    char *label = argument;
    say("reply %s %s %s", label, rtc_error_word(error), error->code == RTC_OK ? json : error->message);
    free(label);
}

static void on_log(enum rtc_level level, const char *text, void *argument)
{
    fprintf(stderr, "log %d %s\n", level, text);
}

static const char *next_token(void *argument)
{
    struct peer *peer = argument;
    snprintf(peer->token, sizeof(peer->token), "token-%u", ++peer->token_count);
    return peer->token;
}

static int64_t give_up_after(const struct rtc_retry *retry, void *argument)
{
    say("policy %u %d %s", retry->attempt, retry->is_first_connect, rtc_error_word(&retry->error));
    return retry->attempt >= 3 ? -1 : 10;
}

/* The next word of a line, which is cut off it. */
static char *word(char **rest)
{
    char *start = *rest ? *rest : "";
    char *blank = strchr(start, ' ');
    *rest = blank ? blank + 1 : NULL;
    if (blank)
        *blank = '\0';
    return start;
}

static void said(const char *what, enum rtc_code code, struct rtc_client *client)
{
    if (code != RTC_OK)
        say("refused %s %s %s", what, rtc_code_name(code), rtc_error(client)->message);
}

static void do_send(struct peer *peer, char *rest)
{
    const char *kind = word(&rest), *name = word(&rest), *event = word(&rest);
    struct rtc_target to = {.name = name};
    to.kind = strcmp(kind, "group") == 0 ? RTC_TO_GROUP : strcmp(kind, "user") == 0 ? RTC_TO_USER : strcmp(kind, "all") == 0 ? RTC_TO_ALL
        : strcmp(kind, "connection") == 0 ? RTC_TO_CONNECTION : RTC_TO_SERVER;
    said("send", rtc_send_to(peer->client, &to, event, rest), peer->client);
}

static void do_numbers(struct peer *peer, char *rest)
{
    const char *group = word(&rest);
    int from = atoi(word(&rest)), to = atoi(word(&rest));
    struct rtc_target target = {RTC_TO_GROUP, group, false};
    for (int number = from; number <= to; number++) {
        char json[16];
        snprintf(json, sizeof(json), "%d", number);
        said("send", rtc_send_to(peer->client, &target, "number", json), peer->client);
    }
}

static void do_invoke(struct peer *peer, char *rest)
{
    char *label = strdup(word(&rest));
    unsigned timeout_ms = (unsigned)atoi(word(&rest));
    const char *event = word(&rest);
    enum rtc_code code = rtc_invoke(peer->client, NULL, event, rest, timeout_ms, on_reply, label);
    said("invoke", code, peer->client);
    if (code != RTC_OK)
        free(label);
}

static void do_group(struct peer *peer, const char *name, bool is_join)
{
    char *label = strdup(is_join ? "join" : "leave");
    enum rtc_code code = is_join ? rtc_join(peer->client, name, NULL, on_reply, label) : rtc_leave(peer->client, name, on_reply, label);
    said(label, code, peer->client);
    if (code != RTC_OK)
        free(label);
}

static void do_line(struct peer *peer, char *line)
{
    char *rest = line;
    const char *verb = word(&rest);
    if (strcmp(verb, "start") == 0)
        said("start", rtc_start(peer->client), peer->client);
    else if (strcmp(verb, "stop") == 0)
        rtc_stop(peer->client);
    else if (strcmp(verb, "send") == 0)
        do_send(peer, rest);
    else if (strcmp(verb, "numbers") == 0)
        do_numbers(peer, rest);
    else if (strcmp(verb, "invoke") == 0)
        do_invoke(peer, rest);
    else if (strcmp(verb, "join") == 0)
        do_group(peer, rest, true);
    else if (strcmp(verb, "leave") == 0)
        do_group(peer, rest, false);
    else if (strcmp(verb, "stop-in-handler") == 0)
        peer->stops_in_handler = true;
    else if (strcmp(verb, "off") == 0)
        rtc_off(peer->client, NULL, on_event, peer);
    else if (strcmp(verb, "id") == 0)
        say("id %s %s %s", rtc_connection_id(peer->client) ? rtc_connection_id(peer->client) : "-",
            rtc_user_id(peer->client) ? rtc_user_id(peer->client) : "-",
            rtc_transport_name(peer->client) ? rtc_transport_name(peer->client) : "-");
    else
        say("what is %s?", verb);
}

static void read_lines(struct peer *peer)
{
    ssize_t got = read(STDIN_FILENO, peer->input + peer->length, LINE_MAX_BYTES - peer->length);
    if (got <= 0) {
        peer->is_over = true;
        return;
    }
    peer->length += (size_t)got;
    char *start = peer->input, *end;
    while ((end = memchr(start, '\n', peer->length))) {
        *end = '\0';
        do_line(peer, start);
        peer->length -= (size_t)(end + 1 - start);
        start = end + 1;
    }
    memmove(peer->input, start, peer->length);
}

/* An option of the command line: name=value. */
static void set_option(struct rtc_builder *builder, struct peer *peer, char *option)
{
    char *value = strchr(option, '=');
    *value++ = '\0';
    unsigned number = (unsigned)atoi(value);
    if (strcmp(option, "url") == 0)
        rtc_builder_url(builder, value);
    else if (strcmp(option, "transports") == 0)
        rtc_builder_transports(builder, value);
    else if (strcmp(option, "protocols") == 0)
        rtc_builder_protocols(builder, value);
    else if (strcmp(option, "user") == 0)
        rtc_builder_user(builder, value);
    else if (strcmp(option, "token") == 0)
        rtc_builder_access_token(builder, value);
    else if (strcmp(option, "tokens") == 0)
        rtc_builder_access_token_from(builder, next_token, peer);
    else if (strcmp(option, "delay") == 0)
        rtc_builder_reconnect_delays(builder, &number, 1);
    else if (strcmp(option, "policy") == 0)
        rtc_builder_reconnect_policy(builder, give_up_after, NULL);
    else if (strcmp(option, "retry-first") == 0)
        rtc_builder_retry_first(builder, true);
    else if (strcmp(option, "keep-alive") == 0)
        rtc_builder_keep_alive_ms(builder, number);
    else if (strcmp(option, "timeout") == 0)
        rtc_builder_timeout_ms(builder, number);
    else if (strcmp(option, "open-timeout") == 0)
        rtc_builder_open_timeout_ms(builder, number);
    else if (strcmp(option, "upgrade") == 0)
        rtc_builder_upgrade_ms(builder, number);
    else if (strcmp(option, "queue") == 0)
        rtc_builder_queue(builder, number, 1024 * 1024);
    else if (strcmp(option, "ca") == 0)
        rtc_builder_tls(builder, &(struct rtc_tls){.ca_file = value});
    else if (strcmp(option, "own-codec") == 0)
        rtc_builder_codec(builder, peer_codec());
    else if (strcmp(option, "own-transport") == 0)
        rtc_builder_transport(builder, peer_transport((uint16_t)number));
}

int main(int count, char **options)
{
    struct peer peer = {.input = malloc(LINE_MAX_BYTES)};
    struct rtc_builder *builder = rtc_builder_new();
    struct rtc_error error;
    for (int i = 1; i < count; i++)
        set_option(builder, &peer, options[i]);
    rtc_builder_logger(builder, on_log, NULL, RTC_LOG_DEBUG);
    peer.client = rtc_builder_build(builder, &error);
    rtc_builder_free(builder);
    if (!peer.client) {
        say("refused build %s %s", rtc_code_name(error.code), error.message);
        free(peer.input);
        return 0;
    }
    struct rtc_life life = {on_state_change, on_reconnecting, on_reconnected, on_close, NULL};
    rtc_set_life(peer.client, &life, NULL);
    rtc_on(peer.client, NULL, on_event, &peer);
    while (!peer.is_over) {
        struct pollfd waits[] = {{rtc_fd(peer.client), rtc_events(peer.client), 0}, {STDIN_FILENO, POLLIN, 0}};
        poll(waits, 2, rtc_timeout_ms(peer.client));
        rtc_process(peer.client);
        if (waits[1].revents)
            read_lines(&peer);
    }
    rtc_stop(peer.client);
    rtc_run(peer.client);
    rtc_free(peer.client);
    free(peer.input);
    return 0;
}

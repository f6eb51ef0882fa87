/*
 * A program with a poll loop of its own, which waits for the client and for the terminal at once: each line of the standard
 * input goes to a group, and what is said there is printed. End of input ends it.
 *
 *     cc poll.c $(pkg-config --cflags --libs librtc) && ./a.out http://127.0.0.1:8000/rtc news
 */
#include <rtc.h>

#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct chat {
    struct rtc_client *client;
    const char *group;
    char line[4096];
    size_t length;
    bool is_over;
};

static void on_event(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
    printf("%s: %s\n", message->event_name, message->json);
    fflush(stdout);
}

static void on_close(struct rtc_client *client, const struct rtc_error *reason, void *argument)
{
    struct chat *chat = argument;
    chat->is_over = true;
    if (reason->code != RTC_STOPPED)
        fprintf(stderr, "%s: %s\n", rtc_code_name(reason->code), reason->message);
}

/* A line as a JSON string; good enough for text without control characters. */
static void say(struct chat *chat, const char *text)
{
    const struct rtc_target to = {.kind = RTC_TO_GROUP, .name = chat->group};
    char json[2 * sizeof(chat->line) + 3];
    size_t length = 0;
    json[length++] = '"';
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            json[length++] = '\\';
        json[length++] = *text;
    }
    json[length++] = '"';
    json[length] = '\0';
    if (rtc_send_to(chat->client, &to, "chat", json) != RTC_OK)
        fprintf(stderr, "%s\n", rtc_error(chat->client)->message);
}

static void read_lines(struct chat *chat)
{
    ssize_t got = read(STDIN_FILENO, chat->line + chat->length, sizeof(chat->line) - 1 - chat->length);
    char *end;
    if (got <= 0) {
        rtc_stop(chat->client);
        return;
    }
    chat->length += (size_t)got;
    while ((end = memchr(chat->line, '\n', chat->length))) {
        *end = '\0';
        say(chat, chat->line);
        chat->length -= (size_t)(end + 1 - chat->line);
        memmove(chat->line, end + 1, chat->length);
    }
    if (chat->length == sizeof(chat->line) - 1)
        chat->length = 0;       /* too long a line */
}

static void loop(struct chat *chat)
{
    while (!chat->is_over) {
        struct pollfd waits[] = {
            {.fd = rtc_fd(chat->client), .events = rtc_events(chat->client)},
            {.fd = STDIN_FILENO, .events = POLLIN},
        };
        if (poll(waits, 2, rtc_timeout_ms(chat->client)) < 0)
            continue;
        rtc_process(chat->client);
        if (waits[1].revents && !chat->is_over)
            read_lines(chat);
    }
    rtc_run(chat->client);      /* until the server was told */
}

int main(int count, char **arguments)
{
    static const struct rtc_life life = {.on_close = on_close};
    struct chat chat = {0};
    struct rtc_error error;
    if (count != 3) {
        fprintf(stderr, "usage: %s URL GROUP\n", arguments[0]);
        return EXIT_FAILURE;
    }
    chat.group = arguments[2];
    struct rtc_builder *builder = rtc_builder_new();
    if (!builder)
        return EXIT_FAILURE;
    rtc_builder_url(builder, arguments[1]);
    chat.client = rtc_builder_build(builder, &error);
    rtc_builder_free(builder);
    if (!chat.client) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    rtc_set_life(chat.client, &life, &chat);
    rtc_on(chat.client, NULL, on_event, NULL);
    rtc_start(chat.client);
    rtc_join(chat.client, chat.group, NULL, NULL, NULL);
    loop(&chat);
    rtc_free(chat.client);
    return EXIT_SUCCESS;
}

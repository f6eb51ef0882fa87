/*
 * A program without a loop of its own: joins a group, says something there, and prints what it hears until it has heard ten
 * events or the connection is over.
 *
 *     cc blocking.c $(pkg-config --cflags --libs librtc) && ./a.out http://127.0.0.1:8000/rtc news
 */
#include <rtc.h>

#include <stdio.h>
#include <stdlib.h>

static void on_event(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
    unsigned *left = argument;
    printf("%s in %s: %s\n", message->event_name, message->group ? message->group : "no group", message->json);
    fflush(stdout);
    if (--*left == 0)
        rtc_stop(client);
}

static void on_joined(struct rtc_client *client, const struct rtc_error *error, const char *json, void *argument)
{
    const struct rtc_target to = {.kind = RTC_TO_GROUP, .name = argument};
    if (error->code != RTC_OK) {
        fprintf(stderr, "cannot join %s: %s\n", to.name, error->message);
        rtc_stop(client);
    } else if (rtc_send_to(client, &to, "chat", "{\"text\":\"hello\"}") != RTC_OK) {
        fprintf(stderr, "cannot say hello: %s\n", rtc_error(client)->message);
    }
}

static void on_close(struct rtc_client *client, const struct rtc_error *reason, void *argument)
{
    if (reason->code != RTC_STOPPED)
        fprintf(stderr, "%s: %s\n", rtc_code_name(reason->code), reason->message);
}

int main(int count, char **arguments)
{
    static const struct rtc_life life = {.on_close = on_close};
    struct rtc_error error;
    unsigned left = 10;
    if (count != 3) {
        fprintf(stderr, "usage: %s URL GROUP\n", arguments[0]);
        return EXIT_FAILURE;
    }
    struct rtc_builder *builder = rtc_builder_new();
    if (!builder)
        return EXIT_FAILURE;
    rtc_builder_url(builder, arguments[1]);
    struct rtc_client *client = rtc_builder_build(builder, &error);
    rtc_builder_free(builder);
    if (!client) {
        fprintf(stderr, "%s\n", error.message);
        return EXIT_FAILURE;
    }
    rtc_set_life(client, &life, NULL);
    rtc_on(client, NULL, on_event, &left);
    rtc_start(client);
    rtc_join(client, arguments[2], NULL, on_joined, arguments[2]);
    enum rtc_code code = rtc_run(client);
    rtc_free(client);
    return code == RTC_OK ? EXIT_SUCCESS : EXIT_FAILURE;
}

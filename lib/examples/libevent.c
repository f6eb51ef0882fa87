/*
 * Any number of clients in the loop of a program that uses libevent. Each client is one descriptor and one timeout:
 * whatever wakes it, rtc_process() does what can be done, and then it says anew what it waits for.
 *
 *     cc libevent.c $(pkg-config --cflags --libs librtc libevent_core) && ./a.out http://127.0.0.1:8000/rtc news 5000
 *
 * All join the group; when the last one has, one of them says hello there, and the program ends once every one has heard it.
 */
#include <rtc.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>

struct crowd {
    struct event_base *base;
    const char *group;
    unsigned count, joined, heard, closed;
};

struct member {
    struct crowd *crowd;
    struct rtc_client *client;
    struct event *event;
};

/* What the client waits for now. A timeout of -1 is none. */
static void wait_again(struct member *member)
{
    int ms = rtc_timeout_ms(member->client);
    const struct timeval timeout = {ms / 1000, ms % 1000 * 1000};
    event_add(member->event, ms < 0 ? NULL : &timeout);
}

static void on_ready(evutil_socket_t descriptor, short what, void *argument)
{
    struct member *member = argument;
    rtc_process(member->client);
    wait_again(member);
}

static void on_event(struct rtc_client *client, const struct rtc_message *message, void *argument)
{
    struct crowd *crowd = ((struct member *)argument)->crowd;
    if (++crowd->heard == crowd->count)
        event_base_loopbreak(crowd->base);
}

static void on_joined(struct rtc_client *client, const struct rtc_error *error, const char *json, void *argument)
{
    struct crowd *crowd = ((struct member *)argument)->crowd;
    const struct rtc_target to = {.kind = RTC_TO_GROUP, .name = crowd->group};
    if (error->code != RTC_OK)
        fprintf(stderr, "cannot join %s: %s\n", crowd->group, error->message);
    else if (++crowd->joined == crowd->count)
        rtc_send_to(client, &to, "hello", NULL);
}

static void on_close(struct rtc_client *client, const struct rtc_error *reason, void *argument)
{
    struct crowd *crowd = ((struct member *)argument)->crowd;
    if (reason->code != RTC_STOPPED)
        fprintf(stderr, "%s: %s\n", rtc_code_name(reason->code), reason->message);
    if (++crowd->closed == crowd->count)
        event_base_loopbreak(crowd->base);
}

static int member_begin(struct member *member, const struct rtc_builder *builder)
{
    static const struct rtc_life life = {.on_close = on_close};
    struct crowd *crowd = member->crowd;
    struct rtc_error error;
    member->client = rtc_builder_build(builder, &error);
    if (!member->client) {
        fprintf(stderr, "%s\n", error.message);
        return -1;
    }
    member->event = event_new(crowd->base, rtc_fd(member->client), EV_READ, on_ready, member);
    if (!member->event)
        return -1;
    rtc_set_life(member->client, &life, member);
    rtc_on(member->client, "hello", on_event, member);
    rtc_start(member->client);
    rtc_join(member->client, crowd->group, NULL, on_joined, member);
    wait_again(member);
    return 0;
}

static void member_end(struct member *member)
{
    if (member->event)
        event_free(member->event);
    rtc_free(member->client);
}

static void crowd_run(struct crowd *crowd, struct member *members, const char *url)
{
    struct rtc_builder *builder = rtc_builder_new();
    if (!builder)
        return;
    rtc_builder_url(builder, url);
    rtc_builder_retry_first(builder, true);     /* a crowd at the door may have to knock twice */
    rtc_builder_open_timeout_ms(builder, 30000);
    unsigned begun = 0;
    while (begun < crowd->count) {
        members[begun].crowd = crowd;
        if (member_begin(&members[begun++], builder) < 0)
            break;
    }
    rtc_builder_free(builder);
    event_base_dispatch(crowd->base);
    for (unsigned i = 0; i < begun; i++)
        member_end(&members[i]);
}

int main(int count, char **arguments)
{
    struct crowd crowd = {0};
    if (count != 4 || (crowd.count = (unsigned)atoi(arguments[3])) == 0) {
        fprintf(stderr, "usage: %s URL GROUP COUNT\n", arguments[0]);
        return EXIT_FAILURE;
    }
    struct member *members = calloc(crowd.count, sizeof(*members));
    crowd.base = event_base_new();
    crowd.group = arguments[2];
    if (members && crowd.base)
        crowd_run(&crowd, members, arguments[1]);
    printf("%u of %u have heard it\n", crowd.heard, crowd.count);
    free(members);
    if (crowd.base)
        event_base_free(crowd.base);
    return crowd.heard == crowd.count ? EXIT_SUCCESS : EXIT_FAILURE;
}

/*
 * Connect: what is done with an action, and what the client tells.
 */
#include "cli/connect.h"

#include <stdlib.h>
#include <string.h>

/* A request that is under way. */
struct request {
    struct connect *connect;
    uint64_t id;
    char what[];                    /* in words: "join news" */
};

static void on_reply(struct rtc_client *client, const struct rtc_error *error, const char *json, void *argument)
{
    struct request *request = argument;
    request->connect->awaited--;
    if (error->code != RTC_STOPPED || request->id)
        connect_view_reply(&request->connect->view, request->what, request->id, error, json);
    free(request);
}

static struct request *request_new(struct connect *connect, const struct connect_action *action, const char *verb, const char *name)
{
    size_t length = strlen(verb) + strlen(name) + 2;
    struct request *request = malloc(sizeof(*request) + length);
    if (!request)
        return NULL;
    *request = (struct request){.connect = connect, .id = action->id};
    char *end = stpcpy(stpcpy(stpcpy(request->what, verb), " "), name);
    assert((size_t)(end - request->what) + 1 == length);
    return request;
}

static enum rtc_code ask(struct connect *connect, const struct connect_action *action)
{
    struct request *request = action->verb == CONNECT_JOIN ? request_new(connect, action, "join", action->group)
        : action->verb == CONNECT_LEAVE ? request_new(connect, action, "leave", action->group)
        : request_new(connect, action, "reply to", action->event_name);
    enum rtc_code code = RTC_NO_MEMORY;
    if (request && action->verb == CONNECT_JOIN)
        code = rtc_join(connect->client, action->group, &action->since, on_reply, request);
    else if (request && action->verb == CONNECT_LEAVE)
        code = rtc_leave(connect->client, action->group, on_reply, request);
    else if (request)
        code = rtc_invoke(connect->client, &action->to, action->event_name, action->json, 0, on_reply, request);
    if (code == RTC_OK)
        connect->awaited++;
    else
        free(request);
    return code;
}

static void show_status(struct connect *connect)
{
    const struct rtc_client *client = connect->client;
    const char *transport = rtc_transport_name(client), *id = rtc_connection_id(client), *user = rtc_user_id(client);
    connect_view_note(&connect->view, "%s%s%s; connection %s, user %s", rtc_state_name(rtc_state(client)), transport ? " over " : "",
                      transport ? transport : "", id ? id : "none", user ? user : "none");
}

static void show_help(struct connect *connect)
{
    const struct connect_word *word;
    for (size_t i = 0; (word = connect_words(i)); i++)
        connect_view_say(&connect->view, "    %-11s %-20s %s", word->word, word->arguments, word->summary);
    connect_view_say(&connect->view, "DATA is JSON; a name with blanks stands in quotes");
}

static enum rtc_code act(struct connect *connect, const struct connect_action *action)
{
    switch (action->verb) {
    case CONNECT_SEND:
        return rtc_send_to(connect->client, &action->to, action->event_name, action->json);
    case CONNECT_INVOKE:
    case CONNECT_JOIN:
    case CONNECT_LEAVE:
        return ask(connect, action);
    case CONNECT_STATUS:
        show_status(connect);
        return RTC_OK;
    case CONNECT_HELP:
        show_help(connect);
        return RTC_OK;
    case CONNECT_QUIT:
        rtc_stop(connect->client);
        return RTC_OK;
    case CONNECT_NOTHING:
        break;
    }
    return RTC_OK;
}

enum rtc_code connect_do(struct connect *connect, const struct connect_action *action)
{
    enum rtc_code code = act(connect, action);
    if (code == RTC_OK || code == RTC_QUEUE_FULL)
        return code;
    struct rtc_error error = *rtc_error(connect->client);
    if (action->id)
        connect_view_reply(&connect->view, "", action->id, &error, NULL);
    else
        connect_view_note(&connect->view, "%s: %s", rtc_code_name(code), error.message);
    return code;
}

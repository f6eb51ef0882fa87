/*
 * probe: a plug-in for tests. Does what requests and events ask it to do, by words in the query (say=WORD:ARGUMENT:ARGUMENT,…) or in the
 * event's data, and notes in a file, which is its argument, what it was told. Built several times: VARIANT makes it wrong in some way.
 */
#include "lib/rtcd_plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct probe {
    int notes;                          /* a descriptor */
    _Atomic unsigned long events;       /* of all workers */
};

struct probe_worker {
    unsigned long events;               /* of this one */
};

static struct rtcd_text text(const char *string)
{
    return (struct rtcd_text){string, strlen(string)};
}

static void note(struct rtcd_call *call, const char *what, struct rtcd_text about, struct rtcd_text more)
{
    const struct probe *probe = call->plugin;
    char line[512];
    int length = snprintf(line, sizeof(line), "%s %.*s %.*s\n", what, (int)about.length, about.bytes, (int)more.length, more.bytes);
    if (write(probe->notes, line, (size_t)length) != length)
        abort();
}

/* One word with its arguments. */
static int say(struct rtcd_call *call, const char *word, const char *a, const char *b)
{
    const struct rtcd_services *services = call->services;
    if (strcmp(word, "refuse") == 0)
        return services->refuse(call, text(a), text(b));
    if (strcmp(word, "user") == 0)
        return services->set_user(call, text(a));
    if (strcmp(word, "group") == 0)
        return services->add_group(call, text(a));
    if (strcmp(word, "label") == 0)
        return services->add_label(call, text(a), text(b));
    if (strcmp(word, "info") == 0)
        return services->set_info(call, text(a));
    if (strcmp(word, "withhold") == 0)
        return services->withhold(call, text(a));
    if (strcmp(word, "redirect") == 0)
        return services->redirect(call, text("https://eu.example.org/rtc"), text(a));
    if (strcmp(word, "group-publish") == 0)
        return services->publish(call, RTCD_TO_GROUP, text(a), text("probe.said"), text(b));
    if (strcmp(word, "user-publish") == 0)
        return services->publish(call, RTCD_TO_USER, text(a), text("probe.said"), text(b));
    if (strcmp(word, "connection-publish") == 0)
        return services->publish(call, RTCD_TO_CONNECTION, text(a), text("probe.said"), text(b));
    if (strcmp(word, "event-publish") == 0)
        return services->publish(call, RTCD_TO_GROUP, text("g"), text(a), text(b));
    if (strcmp(word, "reply") == 0)
        return services->reply(call, text(a));
    if (strcmp(word, "sleep") == 0)
        return usleep((useconds_t)atoi(a) * 1000);
    return -ENOENT;
}

/* WORD:A:B,WORD:A:B for this hook: those that begin with its letter. The last answer. */
static int say_all(struct rtcd_call *call, char hook, struct rtcd_text words)
{
    char copy[1024], *rest = NULL;
    int r = 0;
    snprintf(copy, sizeof(copy), "%.*s", (int)words.length, words.bytes);
    for (char *item = strtok_r(copy, ",&\"", &rest); item; item = strtok_r(NULL, ",&\"", &rest)) {
        char *parts = NULL, *word, *a, *b;
        if (item[0] != hook || item[1] != '.')
            continue;
        word = strtok_r(item + 2, ":", &parts);
        a = strtok_r(NULL, ":", &parts);
        b = strtok_r(NULL, ":", &parts);
        if (word)
            r = say(call, word, a ? a : "", b ? b : "");
        if (r < 0)
            note(call, "answer", text(word), text(strerror(-r)));
    }
    return r;
}

static int probe_init(struct rtcd_call *call, const char *arguments)
{
    struct probe *probe = call->plugin = calloc(1, sizeof(*probe));
    if (strcmp(arguments, "fail") == 0) {
        free(probe);
        return -ENXIO;
    }
    probe->notes = open(*arguments ? arguments : "/dev/null", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (call->services->publish(call, RTCD_TO_GROUP, text("g"), text("n"), text("1")) != -EPERM)
        return -EINVAL;
    note(call, "init", text(arguments), text(""));
    return 0;
}

static void probe_done(struct rtcd_call *call)
{
    struct probe *probe = call->plugin;
    char line[64];
    snprintf(line, sizeof(line), "done after %lu events", probe->events);
    call->services->log(call, RTCD_INFO, line);
    close(probe->notes);
    free(probe);
}

static int probe_worker_init(struct rtcd_call *call)
{
    call->worker = calloc(1, sizeof(struct probe_worker));
    return call->worker ? 0 : -ENOMEM;
}

static void probe_worker_done(struct rtcd_call *call)
{
    free(call->worker);
}

static void probe_negotiate(struct rtcd_call *call, const struct rtcd_request *request)
{
    note(call, "negotiate", request->user, request->transport);
    say_all(call, 'n', request->query);
}

static void probe_connect(struct rtcd_call *call, const struct rtcd_request *request)
{
    note(call, request->is_proved ? "connect proved" : "connect", request->user, request->transport);
    note(call, "query", request->query, request->header_count ? request->headers[0].value : text("none"));
    say_all(call, 'c', request->query);
}

static int probe_event(struct rtcd_call *call, const struct rtcd_connection *connection, const struct rtcd_event *event)
{
    struct probe *probe = call->plugin;
    struct probe_worker *worker = call->worker;
    if (event->name.length < 6 || memcmp(event->name.bytes, "probe.", 6) != 0)
        return RTCD_PASS;
    atomic_fetch_add(&probe->events, 1);
    worker->events++;
    note(call, "event", connection->user, connection->labels);
    int r = say_all(call, 'e', event->json);
    if (event->name.length == 12 && memcmp(event->name.bytes, "probe.answer", 12) == 0) {
        char answer[32];
        snprintf(answer, sizeof(answer), "%d", r);
        call->services->reply(call, text(answer));
    }
    return event->name.length == 10 && memcmp(event->name.bytes, "probe.pass", 10) == 0 ? RTCD_PASS : RTCD_HANDLED;
}

static void probe_disconnect(struct rtcd_call *call, const struct rtcd_connection *connection, struct rtcd_text reason)
{
    note(call, connection->was_opened ? "disconnect" : "disconnect unopened", reason, connection->labels);
}

#if VARIANT == 3
const int no_plugin = 3;
#else
const struct rtcd_plugin rtcd_plugin = {
    .size = VARIANT == 2 ? 8 : sizeof(rtcd_plugin),
    .abi = VARIANT == 1 ? RTCD_PLUGIN_ABI + 1 : RTCD_PLUGIN_ABI,
    .name = VARIANT == 4 ? "of two" : "probe",
    .version = "0.1",
    .init = probe_init,
    .done = probe_done,
    .worker_init = probe_worker_init,
    .worker_done = probe_worker_done,
    .negotiate = probe_negotiate,
    .connect = probe_connect,
    .event = probe_event,
    .disconnect = probe_disconnect,
};
#endif

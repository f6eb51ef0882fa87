/*
 * Driver: see driver.h. Runs thousands of clients in one loop of its own, as a program would that has one: an epoll
 * descriptor that holds rtc_fd() of each, and the time at which each wants to be looked after.
 */
#include "lib/table.h"
#include "tests/clients/driver.h"

#include <err.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_AT_ONCE = 512 };

struct driver {
    int epoll;
    struct list clients;
    struct table by_id;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static struct bytes client_key(const void *entry)
{
    return bytes_text(((const struct client *)entry)->id);
}

/* To be called after whatever may have changed what the client waits for. */
static void client_touched(struct client *client)
{
    int wait_ms = rtc_timeout_ms(client->rtc);
    client->due_ms = wait_ms < 0 ? UINT64_MAX : now_ms() + (uint64_t)wait_ms;
}

static void client_free(struct driver *driver, struct client *client)
{
    if (client->rtc) {
        epoll_ctl(driver->epoll, EPOLL_CTL_DEL, rtc_fd(client->rtc), NULL);
        table_remove(&driver->by_id, client_key(client));
        list_remove(&client->node);
    }
    rtc_free(client->rtc);
    LIST_EACH(node, &client->handlers) {
        struct handler *handler = CONTAINER_OF(node, struct handler, node);
        free(handler->event);
        free(handler->name);
        free(handler);
    }
    LIST_EACH(node, &client->requests)
        free(CONTAINER_OF(node, struct request, node));
    turns_done(&client->tokens);
    turns_done(&client->delays);
    count_done(&client->count);
    free(client->token);
    free(client->id);
    free(client);
}

static void build(struct driver *driver, char *id, struct bytes command)
{
    struct client *client = calloc(1, sizeof(*client));
    client->id = id;
    list_init(&client->handlers);
    list_init(&client->requests);
    client->is_quiet = member_is_true(command, "quiet");
    client->rtc = build_client(client, command);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (!client->rtc) {
        client_free(driver, client);
        return;
    }
    say_life(client);
    if (table_insert(&driver->by_id, client) < 0 || epoll_ctl(driver->epoll, EPOLL_CTL_ADD, rtc_fd(client->rtc), &event) < 0)
        err(1, "%s: there is such a client already, or no memory", client->id);
    list_append(&driver->clients, &client->node);
    client_touched(client);
}

static void refuse_unless_ok(struct client *client, const char *word, enum rtc_code code)
{
    if (code != RTC_OK)
        say_refused(client, word, rtc_error(client->rtc));
}

/* {"group": G} and so on; *ret_name is to be freed. */
static struct rtc_target target_of(struct bytes to, char **ret_name)
{
    static const struct { const char *name; enum rtc_target_kind kind; } kinds[] = {
        {"group", RTC_TO_GROUP}, {"user", RTC_TO_USER}, {"connection", RTC_TO_CONNECTION}};
    struct rtc_target target = {.kind = member_is_true(to, "all") ? RTC_TO_ALL : RTC_TO_SERVER, .except_self = member_is_true(to, "exceptSelf")};
    *ret_name = NULL;
    for (size_t i = 0; i < COUNT_OF(kinds) && !*ret_name; i++) {
        *ret_name = member_text(to, kinds[i].name);
        if (*ret_name)
            target.kind = kinds[i].kind;
    }
    target.name = *ret_name;
    return target;
}

static void do_send(struct client *client, const char *word, const char *event, const char *data, struct bytes command)
{
    char *name;
    struct rtc_target to = target_of(json_member(command, "to"), &name);
    char *key = member_text(command, "key");
    to.key = key;
    refuse_unless_ok(client, word, strcmp(word, "send") == 0 ? rtc_send(client->rtc, event, data) : rtc_send_to(client->rtc, &to, event, data));
    free(key);
    free(name);
}

/* What has a reply: a call that fails is a reply that tells so. */
static void do_request(struct client *client, const char *word, const char *event, const char *data, struct bytes command)
{
    struct request *request = calloc(1, sizeof(*request));
    char *name, *group = member_text(command, "group"), *epoch = member_text(json_member(command, "since"), "epoch");
    struct rtc_target to = target_of(json_member(command, "to"), &name);
    struct rtc_since since = {.epoch = epoch, .offset = member_uint(json_member(command, "since"), "offset", 0),
                              .last = (unsigned)member_uint(command, "last", 0)};
    enum rtc_code code;
    *request = (struct request){.client = client, .id = member_uint(command, "id", 0)};
    list_append(&client->requests, &request->node);
    if (strcmp(word, "join") == 0)
        code = rtc_join(client->rtc, group, &since, say_reply, request);
    else if (strcmp(word, "leave") == 0)
        code = rtc_leave(client->rtc, group, say_reply, request);
    else
        code = rtc_invoke(client->rtc, to.kind == RTC_TO_SERVER ? NULL : &to, event, data, (unsigned)member_uint(command, "timeout", 0),
                          say_reply, request);
    if (code != RTC_OK) {
        say_request_failed(client, request->id, rtc_error(client->rtc));
        list_remove(&request->node);
        free(request);
    }
    free(name);
    free(group);
    free(epoch);
}

static const char *event_name(const char *event)
{
    return strcmp(event, "*") == 0 ? NULL : event;
}

static void do_on(struct client *client, const char *event, struct bytes command)
{
    struct handler *handler = calloc(1, sizeof(*handler));
    *handler = (struct handler){.client = client, .event = strdup(event), .name = member_text(command, "handler")};
    list_append(&client->handlers, &handler->node);
    refuse_unless_ok(client, "on", rtc_on(client->rtc, event_name(event), say_event, handler));
}

static void do_off(struct client *client, const char *event, struct bytes command)
{
    char *name = member_text(command, "handler");
    if (!name)
        rtc_off(client->rtc, event_name(event), NULL, NULL);
    LIST_EACH(node, &client->handlers) {
        struct handler *handler = CONTAINER_OF(node, struct handler, node);
        if (name && handler->name && strcmp(handler->name, name) == 0 && strcmp(handler->event, event) == 0)
            rtc_off(client->rtc, event_name(event), say_event, handler);
    }
    free(name);
}

static void do_word(struct driver *driver, struct client *client, const char *word, struct bytes command)
{
    char *event = member_text(command, "event");
    struct bytes value = json_member(command, "data");
    char *data = value.length ? strndup((const char *)value.data, value.length) : NULL;
    if (strcmp(word, "start") == 0)
        refuse_unless_ok(client, word, rtc_start(client->rtc));
    else if (strcmp(word, "stop") == 0)
        rtc_stop(client->rtc);
    else if (strcmp(word, "on") == 0)
        do_on(client, event, command);
    else if (strcmp(word, "off") == 0)
        do_off(client, event, command);
    else if (strcmp(word, "send") == 0 || strcmp(word, "sendTo") == 0)
        do_send(client, word, event, data, command);
    else if (strcmp(word, "invoke") == 0 || strcmp(word, "join") == 0 || strcmp(word, "leave") == 0)
        do_request(client, word, event, data, command);
    else if (strcmp(word, "ask") == 0)
        say_answer(client, member_uint(command, "id", 0));
    else if (strcmp(word, "count") == 0)
        count_start(client, command);
    else
        errx(1, "%s is no word that is known here", word);
    client_touched(client);
    free(event);
    free(data);
}

static void take_line(struct driver *driver, struct bytes line)
{
    char *id = member_text(line, "client"), *word = member_text(line, "do");
    if (!id || !word)
        errx(1, "a command without client or do: %.*s", (int)line.length, (const char *)line.data);
    struct client *client = table_find(&driver->by_id, bytes_text(id));
    if (strcmp(word, "build") == 0)
        build(driver, STEAL(id), line);
    else if (client && strcmp(word, "free") == 0)
        client_free(driver, client);
    else if (client)
        do_word(driver, client, word, line);
    else if (strcmp(word, "free") != 0)
        say_refused(&(struct client){.id = id}, word, &(struct rtc_error){.code = RTC_BAD_ARGUMENT, .message = "there is no such client"});
    free(id);
    free(word);
}

/* False: standard input has ended. */
static bool read_commands(struct driver *driver, struct buf *input)
{
    unsigned char *room = buf_room(input, 65536), *end;
    ssize_t length = room ? read(STDIN_FILENO, room, 65536) : -1;
    size_t at = 0;
    if (length <= 0)
        return false;
    input->length += (size_t)length;
    while (at < input->length && (end = memchr(input->data + at, '\n', input->length - at))) {
        take_line(driver, bytes_of(input->data + at, (size_t)(end - input->data) - at));
        at = (size_t)(end - input->data) + 1;
    }
    buf_consume(input, at);
    return true;
}

/* Looks after all that are due; returns how long nothing will be due. */
static int process_due(struct driver *driver)
{
    uint64_t now = now_ms(), next = UINT64_MAX;
    LIST_EACH(node, &driver->clients) {
        struct client *client = CONTAINER_OF(node, struct client, node);
        if (client->due_ms <= now) {
            rtc_process(client->rtc);
            client_touched(client);
        }
        next = MIN(next, client->due_ms);
    }
    return next == UINT64_MAX ? -1 : next <= now ? 0 : (int)(next - now);
}

static void end(struct driver *driver, struct buf *input)
{
    LIST_EACH(node, &driver->clients)
        client_free(driver, CONTAINER_OF(node, struct client, node));
    table_done(&driver->by_id);
    buf_done(input);
    close(driver->epoll);
}

int main(void)
{
    struct driver driver = {.epoll = epoll_create1(EPOLL_CLOEXEC)};
    struct table_seed seed = {0};
    struct buf input = {0};
    struct rlimit limit;
    struct epoll_event events[EVENTS_AT_ONCE], command = {.events = EPOLLIN};
    bool has_commands = false;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    list_init(&driver.clients);
    table_init(&driver.by_id, &seed, client_key);
    if (epoll_ctl(driver.epoll, EPOLL_CTL_ADD, STDIN_FILENO, &command) < 0)
        err(1, "standard input");
    /* Commands come last in a turn: they may free what its events name. */
    while (!has_commands || read_commands(&driver, &input)) {
        int wait_ms = process_due(&driver);
        say_flush();
        int count = epoll_wait(driver.epoll, events, EVENTS_AT_ONCE, wait_ms);
        has_commands = false;
        for (int i = 0; i < count; i++) {
            struct client *client = events[i].data.ptr;
            has_commands |= !client;
            if (client) {
                rtc_process(client->rtc);
                client_touched(client);
            }
        }
    }
    end(&driver, &input);
}

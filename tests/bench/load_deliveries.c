/*
 * Load of deliveries: one group with many members, many groups with few, and publishing over rtcd's admin socket.
 */
#include "tests/bench/load.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* `published`: how often somebody published meanwhile. */
static void watch_print(const struct watch *watch, const struct load *load, const struct settings *settings, uint64_t published)
{
    double took = (double)(measure_now_ns() - watch->start_ns), deliveries = (double)(load->messages - watch->messages);
    double busiest = (double)measure_busiest_ns(&settings->servers, &watch->cpu);
    double cpu = (double)(measure_cpu_ns(&settings->servers) - watch->cpu.all_ns);
    printf("{\"cpu_ns\": %.1f, \"rate\": %.0f, \"capacity\": %.0f, \"published_a_cpu_second\": %.0f}\n", cpu / deliveries,
           deliveries * 1e9 / took, deliveries * 1e9 / busiest, (double)published * 1e9 / cpu);
}

void load_fanout(const struct settings *settings)
{
    struct load load;
    uint32_t deaf = settings->clients * settings->deaf_percent / 100, members = settings->clients - deaf;
    load_init(&load, settings->port, settings->is_tls, settings->bytes, settings->clients + 1);
    load_open_members(&load, settings, false);
    struct client *publisher = load_open_publisher(&load, settings);
    load_deafen(&load, 0, deaf);

    load_publish_all(&load, publisher, settings, WARM_UP_MESSAGES, members);
    struct watch watch = watch_start(&load, settings);
    uint32_t published = load_publish_all(&load, publisher, settings, settings->messages, members);
    watch_print(&watch, &load, settings, published);
    load_done(&load);
}

/* Many groups, each with a publisher among its members, who publishes again when its own message has come back. */
struct publishing {
    struct bytes data;
    uint64_t left, published, until_ns;
};

static void publish_again(struct client *client, void *argument)
{
    struct publishing *publishing = argument;
    if (client->role.to == GROUP_NONE || publishing->left == 0)
        return;
    publishing->left = measure_now_ns() < publishing->until_ns ? publishing->left - 1 : 0;
    publishing->published++;
    client_publish(client, client->role.to, publishing->data);
}

static uint64_t publish_in_groups(struct load *load, const struct settings *settings, uint32_t messages)
{
    struct publishing publishing = {.data = load_data(settings), .left = messages - settings->groups, .published = settings->groups,
                                    .until_ns = measure_now_ns() + settings->limit_ms * 1000000ull};
    uint64_t start = load->messages, members = settings->clients / settings->groups;
    load->on_message = publish_again;
    load->argument = &publishing;
    for (uint32_t i = 0; i < settings->groups; i++)
        client_publish(&load->clients[i], (int)i, publishing.data);
    while (publishing.left || load->messages - start < publishing.published * members) {
        if (!load_turn(load))
            errx(1, "%" PRIu64 " of %" PRIu64 " deliveries came, and nothing more happens", load->messages - start,
                 publishing.published * members);
    }
    return publishing.published;
}

void load_groups(const struct settings *settings)
{
    struct load load;
    if (settings->clients % settings->groups || settings->messages < settings->groups)
        errx(64, "groups must be alike, and each needs a message");
    load_init(&load, settings->port, settings->is_tls, settings->bytes, settings->clients);
    for (uint32_t i = 0; i < settings->clients; i++) {
        int group = (int)(i % settings->groups);
        load_add(&load, settings->speech, (struct role){.group = group, .to = i < settings->groups ? group : GROUP_NONE});
    }
    load_open(&load, 0, settings->clients, settings->at_once);
    publish_in_groups(&load, settings, settings->groups);
    struct watch watch = watch_start(&load, settings);
    uint64_t published = publish_in_groups(&load, settings, settings->messages);
    watch_print(&watch, &load, settings, published);
    load_done(&load);
}

/*
 * Publishing over the admin socket (rtc-protocol(7)), to the groups in turn, in the lines that rtcctl publish --stream writes.
 * Each group has one member. rtcctl itself would compete for the processor with the clients.
 */
struct admin {
    int descriptor;
    uint64_t sent, answered;
    struct buf out;
};

static void admin_open(struct admin *admin, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (!path || strlen(path) >= sizeof(address.sun_path))
        errx(64, "--admin must name a socket");
    strcpy(address.sun_path, path);
    *admin = (struct admin){.descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (admin->descriptor < 0 || connect(admin->descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
        err(1, "%s", path);
}

/* Adds up to the window, and sends what the socket takes. */
static void admin_send(struct admin *admin, const struct settings *settings, struct bytes data)
{
    while (admin->sent < settings->messages && admin->sent - admin->answered < settings->window) {
        char name[GROUP_NAME + 1];
        group_name((int)(admin->sent % settings->groups), name);
        buf_add_format(&admin->out, "{\"eventName\":\"publish\",\"id\":%" PRIu64 ",\"data\":{\"group\":\"%s\",\"event\":\"bench\",\"data\":\"",
                       ++admin->sent, name);
        buf_add_bytes(&admin->out, data);
        buf_add_text(&admin->out, "\"}}\n");
    }
    ssize_t sent = admin->out.length ? send(admin->descriptor, admin->out.data, admin->out.length, MSG_DONTWAIT) : 0;
    if (sent > 0)
        buf_consume(&admin->out, (size_t)sent);
}

static void admin_receive(struct admin *admin)
{
    static unsigned char answers[64 * 1024];
    ssize_t got = recv(admin->descriptor, answers, sizeof(answers), MSG_DONTWAIT);
    if (got == 0 || (got > 0 && memmem(answers, (size_t)got, "\"error\"", 7)))
        errx(1, "the admin socket refused: %.*s", (int)got, (const char *)answers);
    for (ssize_t i = 0; i < got; i++)
        admin->answered += answers[i] == '\n';
}

/* Member i is in each group whose number is i modulo the number of members. */
static void join_more_groups(struct load *load, const struct settings *settings)
{
    for (uint32_t i = 0; i < settings->groups; i++) {
        char name[GROUP_NAME + 1];
        struct buf join = {0};
        struct client *client = &load->clients[i % settings->clients];
        group_name((int)i, name);
        buf_add_format(&join, "{\"eventName\":\"rtc.join\",\"data\":{\"group\":\"%s\"}}", name);
        client_send(client, WS_TEXT, buf_bytes(&join));
        buf_done(&join);
        /* A client's own message comes back once its joins are through. */
        if (i + settings->clients >= settings->groups)
            client_publish(client, (int)i, load_data(settings));
    }
    while (load->messages < settings->clients) {
        if (!load_turn(load))
            errx(1, "%" PRIu64 " of %u clients have joined, and nothing more happens", load->messages, settings->clients);
    }
}

void load_admin(const struct settings *settings)
{
    if (settings->clients > settings->groups)
        errx(64, "each client needs a group");
    struct load load;
    struct admin admin;
    struct bytes data = load_data(settings);
    load_init(&load, settings->port, settings->is_tls, settings->bytes, settings->clients);
    load_open_members(&load, settings, false);
    join_more_groups(&load, settings);
    admin_open(&admin, settings->admin);

    uint64_t whole = settings->messages + load.messages, silence_ns = measure_now_ns();
    struct watch watch = watch_start(&load, settings);
    while (load.messages < whole || admin.answered < settings->messages) {
        uint64_t before = load.messages + admin.answered;
        admin_send(&admin, settings, data);
        admin_receive(&admin);
        load_wait(&load, 0);
        uint64_t now = measure_now_ns();
        if (load.messages + admin.answered > before)
            silence_ns = now;
        else if (now - silence_ns > 10000000000)
            errx(1, "%" PRIu64 " of %" PRIu64 " deliveries came, and nothing more happens", load.messages, whole);
    }
    watch_print(&watch, &load, settings, settings->messages);
    buf_done(&admin.out);
    close(admin.descriptor);
    load_done(&load);
}

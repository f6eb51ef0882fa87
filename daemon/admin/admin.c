/*
 * Admin: see admin.h. The socket and who may use it. What a client sends is admin_client.c's.
 */
#include "daemon/admin/admin.h"

#include "daemon/admin/admin_client.h"
#include "daemon/admin/admin_trace.h"
#include "daemon/admin/admin_listen.h"
#include "daemon/admin/admin_wait.h"
#include "daemon/config/config.h"
#include "daemon/core/answered.h"
#include "lib/json.h"
#include "lib/log.h"
#include "lib/unix_socket.h"

#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ACCEPT_PAUSE_MS = 250 };

static void refuse_peer(int descriptor, enum fault_id id, const char *detail)
{
    struct buf line = {0};
    struct json_writer json = json_writer(&line);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_text(&json, "rtc.error");
    json_key(&json, "data");
    json_begin_object(&json);
    json_key(&json, "code");
    json_add_text(&json, fault_rows[id].code);
    json_key(&json, "message");
    json_add_text(&json, detail);
    json_end_object(&json);
    json_end_object(&json);
    buf_add_byte(&line, '\n');
    if (send(descriptor, line.data, line.length, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug(LOG_AREA_ADMIN, NULL, "a refused peer was gone already");
    buf_done(&line);
    close(descriptor);
}

/* File mode and group let a peer in; who it is, is asked again here. */
static bool admin_lets_in(struct admin *admin, int descriptor, struct admin_peer *ret)
{
    const struct config *config = admin->host.config(admin->host.argument);
    int r = admin_peer_judge(config, descriptor, ret);
    if (r == -EACCES)
        log_warning(LOG_AREA_ADMIN, NULL, "refused: pid %d with uid %u and gid %u is neither root, nor in the group %s, nor in admin.viewers, "
                    "admin.operators or admin.admins", ret->pid, ret->uid, ret->gid,
                    config->admin.group[0] ? config->admin.group : "(none: admin.group)");
    else if (r < 0)
        log_warning(LOG_AREA_ADMIN, NULL, "refused: the kernel does not say who it is: %s", strerror(-r));
    return r == 0;
}

static void admin_welcome(struct admin *admin, int descriptor)
{
    const struct config *config = admin->host.config(admin->host.argument);
    struct admin_peer peer;
    if (!admin_lets_in(admin, descriptor, &peer))
        refuse_peer(descriptor, FAULT_FORBIDDEN, "only root, the daemon's own user, members of its admin group (admin.group) and those whom "
                    "admin.viewers, admin.operators or admin.admins name may use this socket");
    else if (admin->client_count >= config->admin.max_connections)
        refuse_peer(descriptor, FAULT_NODE_FULL, "too many admin connections (admin.connections); try again");
    else
        admin_client_new(admin, descriptor, &peer);
}

void admin_take_config(struct admin *admin)
{
    LIST_EACH(node, &admin->clients) {
        struct admin_client *client = CONTAINER_OF(node, struct admin_client, node);
        if (!client->call && !admin_lets_in(admin, client->descriptor, &client->peer))
            admin_client_bar(client);
    }
}

/* Out of descriptors or memory: the socket stays readable, and would be asked again without an end. */
static void admin_pause(struct admin *admin, int reason)
{
    static const struct timeval pause = {0, ACCEPT_PAUSE_MS * 1000};
    log_warning(LOG_AREA_ADMIN, NULL, "cannot accept: %s; trying again in %d ms", strerror(reason), ACCEPT_PAUSE_MS);
    metrics_add(admin->host.metrics, METRIC_ACCEPT_PAUSED, 1);
    event_del(admin->accept_event);
    event_add(admin->pause_event, &pause);
}

static void on_acceptable(evutil_socket_t listener, short what, void *argument)
{
    struct admin *admin = argument;
    int descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (descriptor >= 0)
        admin_welcome(admin, descriptor);
    else if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
        admin_pause(admin, errno);
}

static void on_pause_over(evutil_socket_t descriptor, short what, void *argument)
{
    struct admin *admin = argument;
    event_add(admin->accept_event, NULL);
}

/* The default place, by who runs us. */
static int admin_pick_path(const char *wanted, char ret[static 108])
{
    const char *runtime = getenv("RUNTIME_DIRECTORY"), *user_runtime = getenv("XDG_RUNTIME_DIR");
    int length;
    if (wanted[0])
        length = snprintf(ret, 108, "%s", wanted);
    else if (runtime && runtime[0] == '/')
        length = snprintf(ret, 108, "%.*s/admin.sock", (int)strcspn(runtime, ":"), runtime);
    else
        length = snprintf(ret, 108, "%s/rtcd/admin.sock", user_runtime && user_runtime[0] == '/' ? user_runtime : "/run");
    return length < 108 ? 0 : -ENAMETOOLONG;
}

static int admin_make_directory(const char *path)
{
    char directory[108];
    const char *slash = strrchr(path, '/');
    snprintf(directory, sizeof(directory), "%.*s", (int)(slash - path), path);
    if (directory[0] && mkdir(directory, 0750) < 0 && errno != EEXIST)
        return -errno;
    return 0;
}

/* The file is made with its final mode: there is no moment at which it is open to more. */
static int admin_bind(struct admin *admin, const struct config *config)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    snprintf(name.sun_path, sizeof(name.sun_path), "%s", admin->path);
    int r = admin_make_directory(admin->path);
    if (r == 0)
        r = unix_socket_clear(&name, sizeof(name));
    if (r < 0)
        return r;
    admin->descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (admin->descriptor < 0)
        return -errno;
    mode_t before = umask(0777 & ~(mode_t)config->admin.mode);
    r = bind(admin->descriptor, (const struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
    umask(before);
    if (r < 0)
        return r;
    admin->is_own_socket = true;
    /* Under systemd it has the right group from the start (Group=), and changing it is not allowed. */
    struct stat status;
    struct group *group = config->admin.group[0] ? getgrnam(config->admin.group) : NULL;
    if (config->admin.group[0] && !group)
        log_warning(LOG_AREA_ADMIN, NULL, "there is no group %s, so nobody is let in as its member (option admin.group)", config->admin.group);
    bool is_given = group && stat(name.sun_path, &status) == 0 && status.st_gid == group->gr_gid;
    if (group && !is_given && chown(name.sun_path, (uid_t)-1, group->gr_gid) < 0)
        log_warning(LOG_AREA_ADMIN, NULL, "cannot give %s to the group %s: %s; its members cannot use it", name.sun_path,
                    config->admin.group, strerror(errno));
    return listen(admin->descriptor, 64) < 0 ? -errno : 0;
}

int admin_new(const struct admin_host *host, int descriptor, const char *path, struct admin **ret)
{
    struct admin *admin = calloc(1, sizeof(*admin));
    if (!admin)
        return -ENOMEM;
    admin->host = *host;
    admin->descriptor = descriptor;
    list_init(&admin->clients);
    list_init(&admin->unreturned);
    list_init(&admin->tracings);
    admin_listen_begin(admin);
    admin_waits_begin(admin);
    for (size_t i = 0; i < ADMIN_COMMAND_COUNT; i++)
        admin_grammar_read(admin_commands[i].synopsis, &admin->grammars[i]);
    admin->answered = answered_new();
    int r = admin->answered ? 0 : -ENOMEM;
    if (descriptor >= 0) {
        snprintf(admin->path, sizeof(admin->path), "systemd");
        evutil_make_socket_nonblocking(descriptor);
    } else if (r == 0) {
        r = admin_pick_path(path, admin->path);
        if (r == 0)
            r = admin_bind(admin, host->config(host->argument));
        if (r < 0)
            log_error(LOG_AREA_ADMIN, NULL, "cannot listen on %s: %s (option admin.listen)", admin->path,
                      r == -EADDRINUSE ? "another daemon, or another file, is there" : strerror(-r));
    }
    if (r == 0) {
        admin->accept_event = event_new(host->base, admin->descriptor, EV_READ | EV_PERSIST, on_acceptable, admin);
        admin->pause_event = evtimer_new(host->base, on_pause_over, admin);
        r = admin->accept_event && admin->pause_event && event_add(admin->accept_event, NULL) == 0 ? 0 : -ENOMEM;
    }
    if (r < 0) {
        admin_free(admin);
        return r;
    }
    *ret = admin;
    return 0;
}

void admin_close_ears(struct admin *admin)
{
    admin->is_deaf = true;
    event_del(admin->accept_event);
    event_del(admin->pause_event);
    LIST_EACH(node, &admin->clients)
        admin_client_deafen(CONTAINER_OF(node, struct admin_client, node));
}

void admin_free(struct admin *admin)
{
    if (!admin)
        return;
    LIST_EACH(node, &admin->clients)
        admin_client_free(CONTAINER_OF(node, struct admin_client, node));
    admin_listen_end(admin);
    admin_waits_end(admin);
    admin_traces_done(admin);
    admin_api_done(admin);
    answered_free(admin->answered);
    if (admin->accept_event)
        event_free(admin->accept_event);
    if (admin->pause_event)
        event_free(admin->pause_event);
    if (admin->descriptor >= 0)
        close(admin->descriptor);
    if (admin->is_own_socket)
        unlink(admin->path);
    buf_done(&admin->scratch);
    buf_done(&admin->decoded);
    buf_done(&admin->line);
    free(admin);
}

const char *admin_path(const struct admin *admin)
{
    return admin->path;
}

/*
 * Daemon: see daemon.h.
 */
#include "daemon/daemon_state.h"

#include "daemon/admin/notify.h"
#include "daemon/admin/revocation_file.h"
#include "daemon/admin/watchdog.h"
#include "daemon/auth/jwks.h"
#include "daemon/config/option.h"
#include "daemon/plugin/plugins.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

/* Signals */

static void on_stop_signal(evutil_socket_t signal_number, short what, void *argument)
{
    struct daemon *daemon = argument;
    if (daemon->is_stopping) {
        log_warning(LOG_AREA_DAEMON, NULL, "second signal: ending at once");
        _exit(EX_OK);
    }
    daemon->is_stopping = true;
    log_info(LOG_AREA_DAEMON, NULL, "%s: telling clients and stopping", strsignal((int)signal_number));
    notify_stopping();
    event_base_loopbreak(daemon->base);
}

static void on_reload_signal(evutil_socket_t signal_number, short what, void *argument)
{
    struct buf report = {0};
    if (daemon_reload(argument, &report) < 0)
        log_error(LOG_AREA_CONFIG, NULL, "reload refused");
    buf_done(&report);
}

static int daemon_start_loop(struct daemon *daemon)
{
    static const struct { int number; event_callback_fn handler; } signals[] = {
        {SIGTERM, on_stop_signal}, {SIGINT, on_stop_signal}, {SIGHUP, on_reload_signal},
    };
    signal(SIGPIPE, SIG_IGN);
    daemon->base = event_base_new();
    if (!daemon->base)
        return -ENOMEM;
    for (size_t i = 0; i < COUNT_OF(signals); i++) {
        daemon->signals[i] = evsignal_new(daemon->base, signals[i].number, signals[i].handler, daemon);
        if (!daemon->signals[i] || event_add(daemon->signals[i], NULL) < 0)
            return -ENOMEM;
    }
    return 0;
}

static void daemon_stop_loop(struct daemon *daemon)
{
    /* From here on it ends as it was told to, however often it is told. */
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, NULL);
    for (size_t i = 0; i < COUNT_OF(daemon->signals); i++)
        if (daemon->signals[i])
            event_free(daemon->signals[i]);
    if (daemon->base)
        event_base_free(daemon->base);
}

/* Sockets */

/* Each client takes a descriptor. What a shell leaves for old programs is too few, and nobody here uses select(2). */
static void daemon_raise_descriptors(const struct config *config)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0)
        log_warning(LOG_AREA_NET, NULL, "cannot raise the limit of open files: %s", strerror(errno));
    else if (limit.rlim_max < config->limits.connections)
        log_info(LOG_AREA_NET, NULL, "%llu files may be open, so there can be no more clients than that at once, whatever "
                 "limits.connections says; raise LimitNOFILE, or ulimit -Hn", (unsigned long long)limit.rlim_max);
}

static int daemon_start_sockets(struct daemon *daemon)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    daemon->worker_count = daemon->config->workers ? (unsigned)daemon->config->workers
        : (unsigned)MAX(1L, MIN(cores, (long)WORKERS_MAX));
    daemon_raise_descriptors(daemon->config);
    int r = inherited_take(&daemon->inherited);
    if (r < 0)
        log_error(LOG_AREA_NET, NULL, "the descriptors handed over by systemd cannot be read: %s", strerror(-r));
    return r < 0 ? r : listen_open(daemon->config, &daemon->inherited, daemon->worker_count, &daemon->sockets);
}

static void daemon_stop_sockets(struct daemon *daemon)
{
    listen_close(&daemon->sockets);
    inherited_done(&daemon->inherited);
}

static int daemon_start_certificates(struct daemon *daemon)
{
    return daemon->sockets.has_tls ? certificates_new(daemon->base, daemon->config, &daemon->certificates) : 0;
}

static void daemon_stop_certificates(struct daemon *daemon)
{
    certificates_free(daemon->certificates);
}

/* Admin socket and systemd */

static const struct hub *on_hub(void *argument, unsigned worker)
{
    return ((struct daemon *)argument)->workers[worker].hub;
}

static void on_publish(void *argument, struct config *config)
{
    daemon_publish_config(argument, config);
}

static int daemon_start_keys(struct daemon *daemon)
{
    struct jwks_host host = {.base = daemon->base, .config = daemon_config, .publish = on_publish, .argument = daemon};
    int r = revocation_file_load(daemon->config, daemon->exchange->revocations, daemon_wall_ms(daemon) / 1000);
    return r < 0 ? r : jwks_new(&host, &daemon->jwks);
}

static void daemon_stop_keys(struct daemon *daemon)
{
    jwks_free(daemon->jwks);
}

static int daemon_start_admin(struct daemon *daemon)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct admin_host host = {
        .exchange = daemon->exchange, .base = daemon->base, .metrics = &daemon->metrics, .notices = &daemon->notices,
        .handlers = daemon->handlers, .webhooks = &daemon->webhooks, .worker_count = daemon->worker_count,
        .started_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
        .config = daemon_config, .reload = daemon_reload, .hub = on_hub, .argument = daemon,
    };
    return admin_new(&host, inherited_find(&daemon->inherited, "rtcd-admin"), daemon->config->admin.listen, &daemon->admin);
}

static void daemon_stop_admin(struct daemon *daemon)
{
    admin_free(daemon->admin);
    daemon->admin = NULL;
}

static int daemon_start_plugins(struct daemon *daemon)
{
    return plugins_new(daemon->config, daemon->exchange, daemon->worker_count, &daemon->plugins);
}

static void daemon_stop_plugins(struct daemon *daemon)
{
    plugins_free(daemon->plugins);
}

static int daemon_start_watchdog(struct daemon *daemon)
{
    return watchdog_new(daemon->base, daemon->exchange, &daemon->watchdog);
}

static void daemon_stop_watchdog(struct daemon *daemon)
{
    watchdog_free(daemon->watchdog);
}

static int daemon_start_store(struct daemon *daemon)
{
    return store_start(daemon->config, daemon->exchange, &daemon->store);
}

static void daemon_stop_store(struct daemon *daemon)
{
    store_stop(daemon->store);
}

static const struct part {
    const char *name;
    int (*start)(struct daemon *daemon);
    void (*stop)(struct daemon *daemon);        /* after a failed start too */
    int exit_status;                            /* when it cannot start */
} parts[] = {
    {"config", daemon_load_config, daemon_drop_config, EX_CONFIG},
    {"loop", daemon_start_loop, daemon_stop_loop, EX_OSERR},
    {"sockets", daemon_start_sockets, daemon_stop_sockets, EX_UNAVAILABLE},
    {"certificates", daemon_start_certificates, daemon_stop_certificates, EX_CONFIG},
    {"mailboxes", daemon_start_mailboxes, daemon_stop_mailboxes, EX_OSERR},
    {"exchange", daemon_start_exchange, daemon_stop_exchange, EX_OSERR},
    {"histories", daemon_start_store, daemon_stop_store, EX_CONFIG},
    {"notices", daemon_start_notices, NULL, EX_OSERR},
    {"handlers", daemon_start_handlers, daemon_stop_handlers, EX_OSERR},
    {"plug-ins", daemon_start_plugins, daemon_stop_plugins, EX_CONFIG},
    {"keys", daemon_start_keys, daemon_stop_keys, EX_CONFIG},
    {"webhooks", daemon_start_webhooks, daemon_stop_webhooks, EX_CONFIG},
    {"admin socket", daemon_start_admin, daemon_stop_admin, EX_UNAVAILABLE},
    {"watchdog", daemon_start_watchdog, daemon_stop_watchdog, EX_OSERR},
    {"workers", daemon_start_workers, daemon_stop_workers, EX_OSERR},
};

static void daemon_say_ready(struct daemon *daemon)
{
    struct buf listen = {0};
    option_print(daemon->config, option_find("listen"), &listen);
    bool is_inherited = inherited_find(&daemon->inherited, "rtcd") >= 0 || inherited_find(&daemon->inherited, "rtcd-tls") >= 0;
    log_info(LOG_AREA_DAEMON, NULL, "ready: %u workers, clients at %s%s, admin socket %s", daemon->worker_count,
             is_inherited ? "systemd's sockets; listen says " : "",
             buf_text(&listen), admin_path(daemon->admin));
    buf_done(&listen);
    notify_ready();
}

int daemon_run(const struct daemon_arguments *arguments)
{
    struct daemon *daemon = calloc(1, sizeof(*daemon));
    if (!daemon)
        return EX_OSERR;
    daemon->arguments = arguments;

    int status = EX_OK;
    size_t started = 0;
    while (status == EX_OK && started < COUNT_OF(parts)) {
        const struct part *part = &parts[started++];
        int r = part->start(daemon);
        if (r < 0) {
            log_error(LOG_AREA_DAEMON, NULL, "not started: %s: %s", part->name,
                      r == -EINVAL ? "see the lines above" : strerror(-r));
            status = part->exit_status;
        }
    }
    if (status == EX_OK) {
        daemon_say_ready(daemon);
        event_base_dispatch(daemon->base);
    }
    while (started > 0)
        if (parts[--started].stop)
            parts[started].stop(daemon);
    free(daemon);
    if (status == EX_OK)
        log_info(LOG_AREA_DAEMON, NULL, "stopped");
    return status;
}

/*
 * Daemon: see daemon.h.
 */
#include "daemon/daemon.h"

#include "daemon/admin/admin.h"
#include "daemon/admin/notify.h"
#include "daemon/admin/revocation_file.h"
#include "daemon/admin/watchdog.h"
#include "daemon/api/api.h"
#include "daemon/auth/auth.h"
#include "daemon/auth/jwks.h"
#include "daemon/certificates.h"
#include "daemon/config/config_file.h"
#include "daemon/config/option.h"
#include "daemon/dialect/dialects.h"
#include "daemon/net/listener.h"
#include "daemon/net/worker.h"
#include "daemon/page/pages.h"
#include "daemon/transport/transports.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

struct daemon {
    const struct daemon_arguments *arguments;
    struct config *config;
    struct event_base *base;
    struct event *signals[3], *mailbox_event;
    struct inherited inherited;
    struct listen_sockets sockets;
    struct certificates *certificates;  /* NULL: no client speaks TLS */
    struct mailbox *mailboxes;          /* of the workers, then the main thread's */
    struct router router;
    struct exchange *exchange;
    struct worker *workers;
    unsigned worker_count, ready_count;
    struct jwks *jwks;
    struct admin *admin;
    struct watchdog *watchdog;
    bool is_stopping;
};

static struct mailbox *daemon_mailbox(struct daemon *daemon, unsigned worker)
{
    return &daemon->mailboxes[worker == MAIN_MAILBOX ? daemon->worker_count : worker];
}

static int on_post(void *argument, unsigned worker, const struct letter *letter)
{
    const struct daemon *daemon = argument;
    if (worker != MAIN_MAILBOX && worker >= daemon->ready_count)
        return -ESHUTDOWN;
    return mailbox_post(daemon_mailbox(argument, worker), letter);
}

static bool on_has_room(void *argument, unsigned worker)
{
    return mailbox_has_room(daemon_mailbox(argument, worker));
}

static void on_settle(void *argument, unsigned worker)
{
    worker_settle(&((struct daemon *)argument)->workers[worker]);
}

static uint64_t on_wall_ms(void *argument)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t on_now_ms(void *argument)
{
    return clock_now_ms();
}

static void daemon_take_letters(struct daemon *daemon)
{
    struct letter letter;
    while (mailbox_take(daemon_mailbox(daemon, MAIN_MAILBOX), &letter)) {
        if (letter.kind == LETTER_VISIT)
            letter.visit->arrive(letter.visit);
        else if (letter.kind == LETTER_CALL)
            admin_carry_out(daemon->admin, letter.call);
        else if (letter.kind == LETTER_NOTICE && daemon->admin)
            admin_notice(daemon->admin, letter.notice);
        else if (letter.kind == LETTER_NOTICE)
            free(letter.notice);
    }
}

static void on_mailbox(evutil_socket_t descriptor, short what, void *argument)
{
    struct daemon *daemon = argument;
    mailbox_hear(daemon_mailbox(daemon, MAIN_MAILBOX));
    daemon_take_letters(daemon);
}

/* Config */

static void daemon_apply_log_levels(const struct daemon *daemon, const struct config *config)
{
    bool is_dumpable = daemon->arguments->is_dumpable;
    for (enum log_area area = 0; area < LOG_AREA_COUNT; area++) {
        log_set_level(area, config->log_levels[area]);
        is_dumpable |= config->log_levels[area] == LOG_LEVEL_DEBUG;
    }
    /* Memory holds secrets: no core files, no debugger of another process, unless someone is looking for a fault. */
    if (is_dumpable && prctl(PR_GET_DUMPABLE) == 0)
        log_warning(LOG_AREA_DAEMON, NULL, "core files and debuggers may see this process, its secrets too (a log level is debug, or --dumpable)");
    prctl(PR_SET_DUMPABLE, is_dumpable ? 1 : 0);
}

static void daemon_log_lines(enum log_level level, const struct buf *lines)
{
    struct bytes rest = buf_bytes(lines);
    while (rest.length) {
        const unsigned char *end = memchr(rest.data, '\n', rest.length);
        size_t length = end ? (size_t)(end - rest.data) : rest.length;
        log_at(level, LOG_AREA_CONFIG, NULL, "%.*s", (int)length, (const char *)rest.data);
        size_t used = MIN(length + 1, rest.length);
        rest = bytes_of(rest.data + used, rest.length - used);
    }
}

static int daemon_load_config(struct daemon *daemon)
{
    struct buf problems = {0};
    const struct daemon_arguments *arguments = daemon->arguments;
    int r = config_load(arguments->config_path, arguments->overrides, arguments->override_count, &daemon->config, &problems);
    if (r == 0)
        r = auth_load(daemon->config, NULL, &problems);
    daemon_log_lines(LOG_LEVEL_ERROR, &problems);
    buf_done(&problems);
    if (r == 0)
        daemon_apply_log_levels(daemon, daemon->config);
    return r;
}

static void daemon_drop_config(struct daemon *daemon)
{
    config_unref(daemon->config);
}

/* From now on this config is everybody's. */
static void daemon_publish_config(struct daemon *daemon, struct config *config)
{
    config->generation = daemon->config->generation + 1;
    config_unref(daemon->config);
    daemon->config = config;
    daemon_apply_log_levels(daemon, config);
    if (daemon->admin)
        admin_take_config(daemon->admin);
    for (unsigned worker = 0; worker < daemon->worker_count; worker++) {
        struct letter letter = {.kind = LETTER_CONFIG, .config = config_ref(config)};
        if (on_post(daemon, worker, &letter) < 0)
            config_unref(config);
    }
}

static int daemon_reload(void *argument, struct buf *report)
{
    struct daemon *daemon = argument;
    const struct daemon_arguments *arguments = daemon->arguments;
    SCOPED(config) config = NULL;
    notify_reloading();
    int r = config_load(arguments->config_path, arguments->overrides, arguments->override_count, &config, report);
    if (r == 0)
        r = auth_load(config, daemon->config, report);
    if (r == 0) {
        options_report_changes(daemon->config, config, report);
        r = options_keep_until_restart(daemon->config, config);
    }
    if (r == 0 && daemon->certificates)
        r = certificates_load(daemon->certificates, config, report);
    if (r == 0) {
        daemon_publish_config(daemon, STEAL(config));
        r = jwks_update(daemon->jwks);
    } else {
        buf_add_text(report, "the config in force stays as it was\n");
    }
    daemon_log_lines(r < 0 ? LOG_LEVEL_ERROR : LOG_LEVEL_INFO, report);
    notify_ready();
    return r;
}

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

/* Threads */

static int daemon_start_mailboxes(struct daemon *daemon)
{
    daemon->mailboxes = calloc(daemon->worker_count + 1, sizeof(*daemon->mailboxes));
    if (!daemon->mailboxes)
        return -ENOMEM;
    for (unsigned i = 0; i <= daemon->worker_count; i++)
        daemon->mailboxes[i].event_fd = -1;
    for (unsigned i = 0; i <= daemon->worker_count; i++) {
        int r = mailbox_init(&daemon->mailboxes[i], daemon->config->limits.mailbox);
        if (r < 0)
            return r;
    }
    struct mailbox *own = daemon_mailbox(daemon, MAIN_MAILBOX);
    daemon->mailbox_event = event_new(daemon->base, own->event_fd, EV_READ | EV_PERSIST, on_mailbox, daemon);
    return daemon->mailbox_event && event_add(daemon->mailbox_event, NULL) == 0 ? 0 : -ENOMEM;
}

static void daemon_stop_mailboxes(struct daemon *daemon)
{
    if (!daemon->mailboxes)
        return;
    daemon_take_letters(daemon);
    if (daemon->mailbox_event)
        event_free(daemon->mailbox_event);
    for (unsigned i = 0; i <= daemon->worker_count; i++)
        mailbox_done(&daemon->mailboxes[i]);
    free(daemon->mailboxes);
}

static int daemon_start_exchange(struct daemon *daemon)
{
    struct ports ports = {.post = on_post, .has_room = on_has_room, .settle = on_settle, .wall_ms = on_wall_ms, .now_ms = on_now_ms,
                          .argument = daemon};
    daemon->router = (struct router){.dialects = dialect_fronts, .dialect_count = dialect_count, .api = &api_front,
                                     .transports = transport_fronts, .transport_count = TRANSPORT_COUNT,
                                     .files = pages, .file_count = PAGE_COUNT};
    for (size_t i = 0; i < dialect_count; i++)
        if (dialect_fronts[i]->is_for_tests)
            log_warning(LOG_AREA_DAEMON, NULL, "this build has the dialect %s, which is for tests (-Dtest_dialects); never install it",
                        dialect_fronts[i]->dialect->name);
    daemon->exchange = exchange_new(daemon->worker_count, &ports);
    return daemon->exchange ? 0 : -ENOMEM;
}

static void daemon_stop_exchange(struct daemon *daemon)
{
    exchange_free(daemon->exchange);
}

static int daemon_start_workers(struct daemon *daemon)
{
    daemon->workers = calloc(daemon->worker_count, sizeof(*daemon->workers));
    if (!daemon->workers)
        return -ENOMEM;
    for (unsigned i = 0; i < daemon->worker_count; i++) {
        struct worker *worker = &daemon->workers[i];
        daemon->ready_count++;
        int r = worker_init(worker, i, daemon->exchange, daemon->config, &daemon->router, daemon->mailboxes,
                            daemon->worker_count);
        if (r == 0)
            r = listener_add_all(worker, &daemon->sockets, certificates_store(daemon->certificates));
        if (r < 0)
            return r;
    }
    /* Signals are the main thread's alone. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int r = 0;
    for (unsigned i = 0; i < daemon->worker_count && r == 0; i++)
        r = worker_start(&daemon->workers[i]);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

static void daemon_stop_workers(struct daemon *daemon)
{
    struct letter stop = {.kind = LETTER_STOP};
    for (unsigned i = 0; i < daemon->ready_count; i++)
        if (daemon->workers[i].is_running && on_post(daemon, i, &stop) < 0)
            _exit(EX_OSERR);
    for (unsigned i = 0; i < daemon->ready_count; i++)
        worker_join(&daemon->workers[i]);
    for (unsigned i = 0; i < daemon->ready_count; i++)
        worker_done(&daemon->workers[i]);
    daemon->ready_count = 0;
    /* Visits that came home last are answered, or at least freed, while those who sent them still live. */
    daemon_take_letters(daemon);
    free(daemon->workers);
}

/* Admin socket and systemd */

static struct config *on_config(void *argument)
{
    return ((struct daemon *)argument)->config;
}

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
    struct jwks_host host = {.base = daemon->base, .config = on_config, .publish = on_publish, .argument = daemon};
    int r = revocation_file_load(daemon->config, daemon->exchange->revocations, on_wall_ms(daemon) / 1000);
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
        .exchange = daemon->exchange, .base = daemon->base, .worker_count = daemon->worker_count,
        .started_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000,
        .config = on_config, .reload = daemon_reload, .hub = on_hub, .argument = daemon,
    };
    return admin_new(&host, inherited_find(&daemon->inherited, "rtcd-admin"), daemon->config->admin.listen, &daemon->admin);
}

static void daemon_stop_admin(struct daemon *daemon)
{
    admin_free(daemon->admin);
    daemon->admin = NULL;
}

static int daemon_start_watchdog(struct daemon *daemon)
{
    return watchdog_new(daemon->base, daemon->exchange, &daemon->watchdog);
}

static void daemon_stop_watchdog(struct daemon *daemon)
{
    watchdog_free(daemon->watchdog);
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
    {"keys", daemon_start_keys, daemon_stop_keys, EX_CONFIG},
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
        parts[--started].stop(daemon);
    free(daemon);
    if (status == EX_OK)
        log_info(LOG_AREA_DAEMON, NULL, "stopped");
    return status;
}

/*
 * Certificates: see certificates.h. What is watched is the folders, since programs that renew certificates put new files, or links to
 * them, in the place of the old ones.
 */
#include "daemon/certificates.h"

#include "daemon/net/tls.h"
#include "lib/log.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SETTLE_MS = 500 };               /* a certificate and its key change one after the other */

struct certificates {
    struct event_base *base;
    struct tls_store *store;
    struct config *config;              /* by which they were read */
    int inotify;
    struct event *changed, *settled;
    struct buf marks;                   /* how the files looked when they were read */
};

static void certificates_add_mark(struct buf *marks, const char *path)
{
    struct stat about;
    if (stat(path, &about) < 0)
        memset(&about, 0, sizeof(about));
    buf_add_format(marks, "%llu %llu %lld.%09ld %lld.%09ld %lld %o\n", (unsigned long long)about.st_dev, (unsigned long long)about.st_ino,
                   (long long)about.st_mtim.tv_sec, about.st_mtim.tv_nsec, (long long)about.st_ctim.tv_sec, about.st_ctim.tv_nsec,
                   (long long)about.st_size, (unsigned)about.st_mode);
}

/* Calls `visit` for each file that the config names. */
static void certificates_each(const struct config *config, void (*visit)(struct buf *out, const char *path), struct buf *out)
{
    for (size_t i = 0; i < config->tls.certificates.count; i++) {
        const char *item = config->tls.certificates.items[i], *colon = strchr(item, ':');
        char *path = colon ? strndup(item, (size_t)(colon - item)) : NULL;
        if (path)
            visit(out, path);
        free(path);
        visit(out, colon ? colon + 1 : item);
    }
    if (config->tls.client_ca[0])
        visit(out, config->tls.client_ca);
}

/* `out` holds the folders, each ended by a NUL. */
static void certificates_add_folder(struct buf *out, const char *path)
{
    size_t length = (size_t)(strrchr(path, '/') - path);
    buf_add(out, length ? path : "/", length ? length : 1);
    buf_add_byte(out, '\0');
}

static void certificates_unwatch(struct certificates *certificates)
{
    if (certificates->changed)
        event_free(STEAL(certificates->changed));
    if (certificates->inotify >= 0)
        close(certificates->inotify);
    certificates->inotify = -1;
}

static void on_changed(evutil_socket_t descriptor, short what, void *argument)
{
    struct certificates *certificates = argument;
    struct timeval soon = {.tv_usec = SETTLE_MS * 1000};
    char events[4096];
    while (read(descriptor, events, sizeof(events)) > 0)
        ;
    if (!event_pending(certificates->settled, EV_TIMEOUT, NULL))
        event_add(certificates->settled, &soon);
}

/* Without it a reload is needed: worth a warning, no more. */
static void certificates_watch(struct certificates *certificates)
{
    struct buf folders = {0};
    certificates_unwatch(certificates);
    certificates->inotify = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    bool is_watching = certificates->inotify >= 0;
    certificates_each(certificates->config, certificates_add_folder, &folders);
    for (size_t at = 0; at < folders.length; at += strlen((const char *)folders.data + at) + 1)
        is_watching = is_watching && inotify_add_watch(certificates->inotify, (const char *)folders.data + at,
                                                       IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_ATTRIB) >= 0;
    buf_done(&folders);
    if (is_watching)
        certificates->changed = event_new(certificates->base, certificates->inotify, EV_READ | EV_PERSIST, on_changed, certificates);
    if (!certificates->changed || event_add(certificates->changed, NULL) < 0)
        log_warning(LOG_AREA_NET, NULL, "the certificates' folders cannot be watched (%s); after a renewal use rtcctl reload",
                    strerror(errno));
}

/* Reads the files, and remembers how they look. */
static int certificates_read(struct certificates *certificates, const struct config *config, struct buf *problems)
{
    struct buf marks = {0};
    certificates_each(config, certificates_add_mark, &marks);
    int r = tls_store_load(certificates->store, config, problems);
    buf_done(&certificates->marks);
    certificates->marks = marks;
    return r;
}

/* Something changed in the folders: our files? Half of a renewal is refused here, and its other half comes as another change. */
static void on_settled(evutil_socket_t descriptor, short what, void *argument)
{
    struct certificates *certificates = argument;
    struct buf marks = {0}, problems = {0};
    certificates_each(certificates->config, certificates_add_mark, &marks);
    bool is_same = bytes_equal(buf_bytes(&marks), buf_bytes(&certificates->marks));
    buf_done(&marks);
    if (is_same)
        return;
    if (certificates_read(certificates, certificates->config, &problems) == 0)
        log_info(LOG_AREA_NET, NULL, "certificates have changed, and are read again");
    else
        log_warning(LOG_AREA_NET, NULL, "certificates have changed, but those in force stay: %.*s",
                    (int)MAX(problems.length, (size_t)1) - 1, problems.length ? (const char *)problems.data : "");
    buf_done(&problems);
}

int certificates_load(struct certificates *certificates, struct config *config, struct buf *report)
{
    int r = certificates_read(certificates, config, report);
    if (r < 0)
        return r;
    config_unref(certificates->config);
    certificates->config = config_ref(config);
    certificates_watch(certificates);
    buf_add_text(report, "tls.certificates read again\n");
    return 0;
}

int certificates_new(struct event_base *base, struct config *config, struct certificates **ret)
{
    struct certificates *certificates = *ret = calloc(1, sizeof(*certificates));
    struct buf problems = {0};
    if (!certificates)
        return -ENOMEM;
    certificates->inotify = -1;
    certificates->base = base;
    certificates->config = config_ref(config);
    certificates->store = tls_store_new();
    certificates->settled = evtimer_new(base, on_settled, certificates);
    int r = certificates->store && certificates->settled ? certificates_read(certificates, config, &problems) : -ENOMEM;
    if (r == 0)
        certificates_watch(certificates);
    for (char *line = (char *)buf_text(&problems), *end; (end = strchr(line, '\n')); line = end + 1)
        log_error(LOG_AREA_CONFIG, NULL, "%.*s", (int)(end - line), line);
    buf_done(&problems);
    return r;
}

void certificates_free(struct certificates *certificates)
{
    if (!certificates)
        return;
    certificates_unwatch(certificates);
    if (certificates->settled)
        event_free(certificates->settled);
    tls_store_free(certificates->store);
    config_unref(certificates->config);
    buf_done(&certificates->marks);
    free(certificates);
}

struct tls_store *certificates_store(struct certificates *certificates)
{
    return certificates ? certificates->store : NULL;
}

int certificates_check(const struct config *config, struct buf *problems)
{
    struct tls_store *store = config->tls.certificates.count ? tls_store_new() : NULL;
    int r = store ? tls_store_load(store, config, problems) : 0;
    tls_store_free(store);
    return r;
}

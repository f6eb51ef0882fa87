/*
 * Resolve: see resolve.h. The thread and the client share one `struct lookup`, which the last of them frees; so either may be
 * gone first. The thread touches nothing else, blocks all signals, and says by an eventfd that it is done.
 */
#include "lib/client/resolve.h"

#include "lib/client/error.h"

#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct lookup {
    atomic_int users;                   /* the client, the thread */
    int done;                           /* eventfd, which is rung when what follows is filled */
    atomic_bool is_filled;              /* says so to the language, as the descriptor says it to the kernel */
    char host[URL_HOST_MAX + 1], port[8];
    bool is_numeric;
    int status, system_error;           /* of getaddrinfo */
    struct addresses found;
};

struct resolution {
    struct io *io;
    struct io_watch watch;
    struct lookup *lookup;
    void (*on_done)(void *owner, const struct addresses *found, const struct rtc_error *why);
    void *owner;
};

static void lookup_unref(struct lookup *lookup)
{
    if (atomic_fetch_sub(&lookup->users, 1) != 1)
        return;
    close(lookup->done);
    free(lookup);
}

static void lookup_run(struct lookup *lookup)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV | (lookup->is_numeric ? AI_NUMERICHOST : AI_ADDRCONFIG)};
    struct addrinfo *list = NULL;
    lookup->status = getaddrinfo(lookup->host, lookup->port, &hints, &list);
    lookup->system_error = errno;
    for (struct addrinfo *item = list; item && lookup->found.count < ADDRESSES_MAX; item = item->ai_next) {
        struct address *address = &lookup->found.list[lookup->found.count++];
        memcpy(&address->storage, item->ai_addr, item->ai_addrlen);
        address->length = item->ai_addrlen;
    }
    if (list)
        freeaddrinfo(list);
    atomic_store_explicit(&lookup->is_filled, true, memory_order_release);
    uint64_t one = 1;
    ssize_t written = write(lookup->done, &one, sizeof(one));
    assert(written == sizeof(one));
}

static void *lookup_thread(void *argument)
{
    struct lookup *lookup = argument;
    lookup_run(lookup);
    lookup_unref(lookup);
    return NULL;
}

/* -errno. A signal is the caller's: the thread must not take any. */
static int lookup_start_thread(struct lookup *lookup)
{
    pthread_t thread;
    pthread_attr_t attributes;
    sigset_t all, before;
    sigfillset(&all);
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    atomic_fetch_add(&lookup->users, 1);
    int r = pthread_create(&thread, &attributes, lookup_thread, lookup);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
    if (r)
        lookup_unref(lookup);
    return -r;
}

static void resolve_on_ready(struct io_watch *watch, uint32_t events)
{
    struct resolution *resolution = CONTAINER_OF(watch, struct resolution, watch);
    struct lookup *lookup = resolution->lookup;
    struct rtc_error why;
    io_watch_stop(resolution->io, watch);
    bool is_filled = atomic_load_explicit(&lookup->is_filled, memory_order_acquire);
    assert(is_filled);
    if (lookup->status == 0 && lookup->found.count) {
        resolution->on_done(resolution->owner, &lookup->found, NULL);
        return;
    }
    const char *problem = lookup->status == EAI_SYSTEM ? strerror(lookup->system_error) : gai_strerror(lookup->status);
    error_set(&why, RTC_NETWORK, "the host %s has no address: %s", lookup->host, problem);
    resolution->on_done(resolution->owner, NULL, &why);
}

static bool is_numeric(const struct url *url)
{
    return url->is_ipv6 || url->host[strspn(url->host, "0123456789.")] == '\0';
}

static int resolution_begin(struct resolution *resolution, const struct url *url)
{
    struct lookup *lookup = calloc(1, sizeof(*lookup));
    if (!lookup)
        return -ENOMEM;
    resolution->lookup = lookup;
    atomic_init(&lookup->users, 1);
    lookup->is_numeric = is_numeric(url);
    memcpy(lookup->host, url->host, strlen(url->host) + 1);
    snprintf(lookup->port, sizeof(lookup->port), "%u", url->port);
    lookup->done = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (lookup->done < 0)
        return -errno;
    resolution->watch = (struct io_watch){.descriptor = lookup->done, .on_ready = resolve_on_ready};
    int r = io_watch_set(resolution->io, &resolution->watch, EPOLLIN);
    if (r < 0 || !lookup->is_numeric)
        return r < 0 ? r : lookup_start_thread(lookup);
    lookup_run(lookup);
    return 0;
}

struct resolution *resolve_start(struct io *io, const struct url *url,
                                 void (*on_done)(void *owner, const struct addresses *found, const struct rtc_error *why), void *owner,
                                 struct rtc_error *error)
{
    struct resolution *resolution = calloc(1, sizeof(*resolution));
    int r = -ENOMEM;
    if (resolution) {
        *resolution = (struct resolution){.io = io, .on_done = on_done, .owner = owner};
        r = resolution_begin(resolution, url);
    }
    if (r == 0)
        return resolution;
    error_set(error, r == -ENOMEM ? RTC_NO_MEMORY : RTC_INTERNAL, "the host %s cannot be looked up: %s", url->host, strerror(-r));
    if (resolution)
        resolve_cancel(resolution);
    return NULL;
}

void resolve_cancel(struct resolution *resolution)
{
    if (resolution->lookup) {
        io_watch_stop(resolution->io, &resolution->watch);
        lookup_unref(resolution->lookup);
    }
    free(resolution);
}

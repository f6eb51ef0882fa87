/*
 * Opening the sockets that clients come in by: bound here, or inherited from systemd. Done by the main thread before
 * any worker runs, so that a mistake is told before anything is ready.
 */
#include "daemon/config/config.h"
#include "daemon/config/listen.h"
#include "daemon/net/listener.h"
#include "lib/log.h"
#include "lib/unix_socket.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

static int listen_keep(struct listen_sockets *sockets, int descriptor, int worker, const struct listen_address *address)
{
    struct listen_socket *items = realloc(sockets->items, (sockets->count + 1) * sizeof(*items));
    if (!items) {
        close(descriptor);
        return -ENOMEM;
    }
    sockets->items = items;
    items[sockets->count++] = (struct listen_socket){.descriptor = descriptor, .worker = worker, .is_tls = address->is_tls,
                                                            .is_proxied = address->is_proxied};
    sockets->has_tls = sockets->has_tls || address->is_tls;
    return 0;
}

static int listen_bind(const struct sockaddr *address, socklen_t length, bool shares_port, int backlog)
{
    int descriptor = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (descriptor < 0)
        return -errno;
    int one = 1;
    setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (shares_port)
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one));
    if (address->sa_family == AF_INET6)
        setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
    if (bind(descriptor, address, length) < 0 || (backlog && listen(descriptor, backlog) < 0)) {
        int r = -errno;
        close(descriptor);
        return r;
    }
    return descriptor;
}

/* One socket for each worker. A probe without SO_REUSEPORT first: else a second daemon on the same port would quietly get
 * half of the clients. */
static int listen_tcp(struct listen_sockets *sockets, const struct listen_address *address, unsigned worker_count, int backlog)
{
    const struct sockaddr *name = (const struct sockaddr *)&address->socket_address;
    int probe = listen_bind(name, address->socket_length, false, 0);
    if (probe < 0)
        return probe;
    close(probe);
    for (unsigned worker = 0; worker < worker_count; worker++) {
        int descriptor = listen_bind(name, address->socket_length, true, backlog);
        int r = descriptor < 0 ? descriptor : listen_keep(sockets, descriptor, (int)worker, address);
        if (r < 0)
            return r;
    }
    return 0;
}

static int listen_unix(struct listen_sockets *sockets, const struct listen_address *address, int backlog)
{
    const struct sockaddr_un *name = (const struct sockaddr_un *)&address->socket_address;
    int r = unix_socket_clear(name, address->socket_length);
    if (r < 0)
        return r;
    int descriptor = listen_bind((const struct sockaddr *)name, address->socket_length, false, backlog);
    if (descriptor < 0)
        return descriptor;
    return listen_keep(sockets, descriptor, -1, address);
}

/* Sockets of a .socket unit with the FileDescriptorName that the address has; their kind is verified. */
static int listen_inherit(struct listen_sockets *sockets, const struct inherited *inherited, const struct listen_address *address)
{
    int found = 0;
    for (int i = 0; i < inherited->count; i++) {
        int descriptor = SD_LISTEN_FDS_START + i;
        if (strcmp(inherited->names[i], address->name) != 0)
            continue;
        if (sd_is_socket(descriptor, AF_UNSPEC, SOCK_STREAM, 1) <= 0)
            return -ENOTSOCK;
        /* Several workers wake up for one client: all but one must come away empty-handed. */
        if (fcntl(descriptor, F_SETFL, O_NONBLOCK) < 0)
            return -errno;
        int r = listen_keep(sockets, descriptor, -1, address);
        if (r < 0)
            return r;
        found++;
    }
    return found;
}

static int listen_one(struct listen_sockets *sockets, const char *text, const struct config *config,
                      const struct inherited *inherited, unsigned worker_count)
{
    struct listen_address address;
    int r = listen_parse(text, &address);
    if (r < 0)
        return r;
    switch (address.kind) {
    case LISTEN_TCP:
        return listen_tcp(sockets, &address, worker_count, (int)config->http.backlog);
    case LISTEN_UNIX:
        return listen_unix(sockets, &address, (int)config->http.backlog);
    default:
        r = listen_inherit(sockets, inherited, &address);
        return r == 0 ? -ENXIO : MIN(r, 0);
    }
}

int listen_open(const struct config *config, const struct inherited *inherited, unsigned worker_count,
                struct listen_sockets *ret)
{
    *ret = (struct listen_sockets){.inherited_count = inherited->count};
    /* What systemd hands over replaces the option: the unit's socket is where clients come in. */
    int r = listen_inherit(ret, inherited, &(struct listen_address){.name = "rtcd"});
    int r_tls = r >= 0 ? listen_inherit(ret, inherited, &(struct listen_address){.name = "rtcd-tls", .is_tls = true}) : r;
    if (r_tls >= 0 && r + r_tls > 0)
        return 0;
    r = MIN(r_tls, 0);
    for (size_t i = 0; r == 0 && i < config->listen.count; i++) {
        r = listen_one(ret, config->listen.items[i], config, inherited, worker_count);
        if (r < 0)
            log_error(LOG_AREA_NET, NULL, "cannot listen on %s: %s (option listen)", config->listen.items[i],
                      r == -EADDRINUSE ? "another program listens there"
                      : r == -ENXIO ? "systemd handed over no socket of this name" : strerror(-r));
    }
    if (r < 0)
        listen_close(ret);
    return r;
}

void listen_close(struct listen_sockets *sockets)
{
    for (size_t i = 0; i < sockets->count; i++) {
        struct sockaddr_un name = {0};
        socklen_t length = sizeof(name);
        int descriptor = sockets->items[i].descriptor;
        bool is_own = descriptor >= SD_LISTEN_FDS_START + sockets->inherited_count;
        if (is_own && getsockname(descriptor, (struct sockaddr *)&name, &length) == 0 && name.sun_family == AF_UNIX)
            unlink(name.sun_path);
        close(descriptor);
    }
    free(sockets->items);
    *sockets = (struct listen_sockets){0};
}

int inherited_take(struct inherited *ret)
{
    *ret = (struct inherited){0};
    ret->count = sd_listen_fds_with_names(1, &ret->names);
    return MIN(ret->count, 0);
}

int inherited_find(const struct inherited *inherited, const char *name)
{
    for (int i = 0; i < inherited->count; i++)
        if (strcmp(inherited->names[i], name) == 0)
            return SD_LISTEN_FDS_START + i;
    return -1;
}

void inherited_done(struct inherited *inherited)
{
    for (int i = 0; i < inherited->count; i++)
        free(inherited->names[i]);
    free(inherited->names);
    *inherited = (struct inherited){0};
}

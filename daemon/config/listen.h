/*
 * Listen: the addresses of the option `listen`, read and checked. Opens nothing.
 */
#pragma once

#include "lib/base.h"

#include <sys/socket.h>

enum listen_kind { LISTEN_TCP, LISTEN_UNIX, LISTEN_SYSTEMD };

struct listen_address {
    enum listen_kind kind;
    bool is_proxied;                            /* a proxy says first whose the connection is (PROXY protocol) */
    bool is_tls;                                /* clients speak TLS there */
    struct sockaddr_storage socket_address;     /* TCP and UNIX */
    socklen_t socket_length;
    const char *name;                           /* SYSTEMD: the FileDescriptorName, within the text */
};

/* "127.0.0.1:8000", "[::1]:8000", "unix:/run/rtcd/clients.sock", "systemd:NAME", each perhaps behind "proxy:", "tls:" or "proxy:tls:". -EINVAL. */
MUST_CHECK int listen_parse(const char *text, struct listen_address *ret);

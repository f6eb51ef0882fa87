/*
 * Listen: see listen.h. Addresses are numeric: names would need a resolver before anything runs.
 */
#include "daemon/config/listen.h"

#include "lib/buf.h"
#include "lib/text.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/un.h>

static int listen_parse_unix(const char *path, struct listen_address *ret)
{
    struct sockaddr_un *name = (struct sockaddr_un *)&ret->socket_address;
    if (path[0] != '/' || strlen(path) >= sizeof(name->sun_path))
        return -EINVAL;
    name->sun_family = AF_UNIX;
    memcpy(name->sun_path, path, strlen(path) + 1);
    ret->kind = LISTEN_UNIX;
    ret->socket_length = sizeof(*name);
    return 0;
}

static int listen_parse_tcp(const char *text, struct listen_address *ret)
{
    char host[INET6_ADDRSTRLEN];
    uint64_t port;
    const char *colon = strrchr(text, ':');
    bool is_ip6 = text[0] == '[';
    if (!colon || text_parse_uint(bytes_text(colon + 1), &port) < 0 || port == 0 || port > 65535
        || (is_ip6 && (colon < text + 3 || colon[-1] != ']')))
        return -EINVAL;
    size_t length = (size_t)(colon - text) - (is_ip6 ? 2 : 0);
    if (length >= sizeof(host))
        return -EINVAL;
    snprintf(host, sizeof(host), "%.*s", (int)length, text + is_ip6);

    ret->kind = LISTEN_TCP;
    if (is_ip6) {
        struct sockaddr_in6 *ip6 = (struct sockaddr_in6 *)&ret->socket_address;
        ip6->sin6_family = AF_INET6;
        ip6->sin6_port = htons((uint16_t)port);
        ret->socket_length = sizeof(*ip6);
        return inet_pton(AF_INET6, host, &ip6->sin6_addr) == 1 ? 0 : -EINVAL;
    }
    struct sockaddr_in *ip4 = (struct sockaddr_in *)&ret->socket_address;
    ip4->sin_family = AF_INET;
    ip4->sin_port = htons((uint16_t)port);
    ret->socket_length = sizeof(*ip4);
    return inet_pton(AF_INET, host, &ip4->sin_addr) == 1 ? 0 : -EINVAL;
}

int listen_parse(const char *text, struct listen_address *ret)
{
    *ret = (struct listen_address){.is_proxied = strncmp(text, "proxy:", 6) == 0};
    text += ret->is_proxied ? 6 : 0;
    ret->is_tls = strncmp(text, "tls:", 4) == 0;
    text += ret->is_tls ? 4 : 0;
    if (strncmp(text, "unix:", 5) == 0)
        return listen_parse_unix(text + 5, ret);
    if (strncmp(text, "systemd:", 8) == 0) {
        ret->kind = LISTEN_SYSTEMD;
        ret->name = text + 8;
        return ret->name[0] ? 0 : -EINVAL;
    }
    return listen_parse_tcp(text, ret);
}

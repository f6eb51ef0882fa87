/*
 * Bench target: see bench_target.h.
 */
#include "cli/bench_target.h"

#include "lib/text.h"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sysexits.h>
#include <unistd.h>

enum { CONNECT_MS = 10000 };

struct url {
    char host[256], port[6];
    struct bytes authority, path;
};

static bool url_read_authority(struct url *url, struct bytes authority)
{
    const char *text = (const char *)authority.data, *end = text + authority.length;
    bool is_bracketed = authority.length && text[0] == '[';
    const char *host = is_bracketed ? text + 1 : text;
    const char *host_end = memchr(host, is_bracketed ? ']' : ':', (size_t)(end - host));
    if (is_bracketed && !host_end)
        return false;
    if (!host_end)
        host_end = end;
    const char *port = host_end + (is_bracketed ? 1 : 0);
    size_t length = (size_t)(host_end - host);
    if (length == 0 || length >= sizeof(url->host) || memchr(text, '@', authority.length))
        return false;
    memcpy(url->host, host, length);
    url->host[length] = '\0';
    strcpy(url->port, "80");
    if (port < end) {
        length = (size_t)(end - port) - 1;
        if (*port != ':' || length == 0 || length >= sizeof(url->port))
            return false;
        memcpy(url->port, port + 1, length);
        url->port[length] = '\0';
        if (strspn(url->port, "0123456789") != length)
            return false;
    }
    url->authority = authority;
    return true;
}

static bool url_read(struct url *url, const char *text, struct bench_failure *failure)
{
    *url = (struct url){0};
    const char *rest = strstr(text, "://");
    size_t length = rest ? (size_t)(rest - text) : 0;
    struct bytes scheme = bytes_of(text, length);
    if (bytes_is(scheme, "https") || bytes_is(scheme, "wss")) {
        bench_fail(failure, EX_USAGE, "bench speaks no TLS yet: name an address that begins with http:// or ws://");
        return false;
    }
    if (!bytes_is(scheme, "http") && !bytes_is(scheme, "ws")) {
        bench_fail(failure, EX_USAGE, "\"%.200s\" is no URL such as http://127.0.0.1:8000/rtc", text);
        return false;
    }
    rest += 3;
    length = strcspn(rest, "/?#");
    if (!url_read_authority(url, bytes_of(rest, length))) {
        bench_fail(failure, EX_USAGE, "there is no host and port to be found in \"%.200s\"", text);
        return false;
    }
    rest += length;
    url->path = *rest ? bytes_text(rest) : BYTES("/rtc");
    if (strpbrk(rest, "?# \r\n")) {
        bench_fail(failure, EX_USAGE, "the URL ends with the path (/rtc): the rest is said with --group and --token");
        return false;
    }
    while (url->path.length && url->path.data[url->path.length - 1] == '/')
        url->path.length--;
    return true;
}

/* 0, or an errno. */
static int try_address(const struct addrinfo *address)
{
    int error = 0;
    socklen_t length = sizeof(error);
    int descriptor = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (descriptor < 0)
        return errno;
    if (connect(descriptor, address->ai_addr, address->ai_addrlen) < 0)
        error = errno;
    if (error == EINPROGRESS) {
        struct pollfd polled = {.fd = descriptor, .events = POLLOUT};
        int count = poll(&polled, 1, CONNECT_MS);
        error = count < 0 ? errno : ETIMEDOUT;
        if (count > 0 && getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
            error = errno;
    }
    close(descriptor);
    return error;
}

static bool find_address(struct bench_target *target, const struct url *url, struct bench_failure *failure)
{
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    struct addrinfo *list = NULL;
    int r = getaddrinfo(url->host, url->port, &hints, &list), error = 0;
    if (r) {
        bench_fail(failure, EX_NOHOST, "cannot find the host %s: %s", url->host, r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
        return false;
    }
    for (const struct addrinfo *at = list; at && target->address_length == 0; at = at->ai_next) {
        error = try_address(at);
        if (error)
            continue;
        memcpy(&target->address, at->ai_addr, at->ai_addrlen);
        target->address_length = at->ai_addrlen;
    }
    freeaddrinfo(list);
    if (target->address_length == 0)
        bench_fail(failure, EX_UNAVAILABLE, "cannot reach %.*s: %s. Is rtcd running, and listening there?",
                   (int)url->authority.length, (const char *)url->authority.data, strerror(error));
    return target->address_length > 0;
}

bool bench_target_find(struct bench_target *target, const struct bench_settings *settings, struct bench_failure *failure)
{
    struct url url;
    *target = (struct bench_target){0};
    if (!url_read(&url, settings->url, failure))
        return false;
    buf_add_bytes(&target->authority, url.authority);
    buf_add_bytes(&target->path, url.path);
    buf_add_text(&target->path, "/websocket?group=");
    text_add_url_encoded(&target->path, bytes_text(settings->group));
    if (settings->token) {
        buf_add_text(&target->path, "&access_token=");
        text_add_url_encoded(&target->path, bytes_text(settings->token));
    }
    return find_address(target, &url, failure);
}

void bench_target_done(struct bench_target *target)
{
    buf_done(&target->authority);
    buf_done(&target->path);
}

/*
 * Origin: see origin.h.
 */
#include "daemon/net/origin.h"

#include "daemon/config/config.h"
#include "daemon/net/forwarded.h"

#include <strings.h>

static bool is_same_text(struct bytes a, struct bytes b)
{
    return a.length == b.length && strncasecmp((const char *)a.data, (const char *)b.data, a.length) == 0;
}

/* Without ":port", if it is this one, or any at all where `port` is NULL. */
static struct bytes without_port(struct bytes host, const char *port)
{
    const unsigned char *colon = host.length ? memrchr(host.data, ':', host.length) : NULL;
    if (!colon || memchr(colon, ']', (size_t)(host.data + host.length - colon)))
        return host;
    struct bytes own = bytes_of(colon + 1, (size_t)(host.data + host.length - colon - 1));
    return !port || bytes_is(own, port) ? bytes_of(host.data, (size_t)(colon - host.data)) : host;
}

bool origin_host_is_allowed(const struct link *link, const struct http_head *head)
{
    const struct text_list *allowed = &link->worker->hub->config->http.hosts;
    struct bytes host = http_header(head, "host");
    for (size_t i = 0; i < allowed->count; i++) {
        struct bytes item = bytes_text(allowed->items[i]);
        bool has_port = without_port(item, NULL).length < item.length;
        if (is_same_text(item, has_port ? host : without_port(host, NULL)))
            return true;
    }
    return allowed->count == 0;
}

/* Scheme, host and port as a browser writes them: without the port that the scheme implies (RFC 6454 section 6.2). */
static bool origin_is_own(const struct link *link, const struct http_head *head, struct bytes origin)
{
    bool is_https = forwarded_is_https(link, head);
    struct bytes scheme = bytes_text(is_https ? "https://" : "http://");
    struct bytes host = without_port(http_header(head, "host"), is_https ? "443" : "80");
    if (host.length == 0 || origin.length < scheme.length || memcmp(origin.data, scheme.data, scheme.length) != 0)
        return false;
    return is_same_text(bytes_of(origin.data + scheme.length, origin.length - scheme.length), host);
}

static bool is_said_once(const struct http_head *head)
{
    unsigned count = 0;
    for (unsigned i = 0; i < head->header_count; i++)
        count += is_same_text(head->headers[i].name, BYTES("origin"));
    return count == 1;
}

bool origin_is_allowed(const struct link *link, const struct http_head *head)
{
    const struct text_list *allowed = &link->worker->hub->config->http.origins;
    if (!is_said_once(head))
        return false;
    if (origin_is_own(link, head, bytes_text(link->work->origin)))
        return true;
    for (size_t i = 0; i < allowed->count; i++)
        if (strcmp(allowed->items[i], "*") == 0 || strcmp(allowed->items[i], link->work->origin) == 0)
            return true;
    return false;
}

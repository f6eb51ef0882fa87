/*
 * Url: see url.h.
 */
#include "lib/client/url.h"

#include "lib/client/error.h"
#include "lib/text.h"

#include <stdio.h>
#include <strings.h>

static const struct scheme { const char *start; bool is_tls; uint16_t port; } schemes[] = {
    {"http://", false, 80}, {"https://", true, 443}, {"ws://", false, 80}, {"wss://", true, 443},
};

static enum rtc_code url_bad(struct rtc_error *error, const char *text, const char *problem)
{
    char quoted[ERROR_QUOTE];
    return error_set(error, RTC_BAD_ARGUMENT, "url: %s, in %s", problem, error_quote(bytes_text(text), quoted));
}

static const struct scheme *find_scheme(const char *text)
{
    for (size_t i = 0; i < COUNT_OF(schemes); i++)
        if (strncasecmp(text, schemes[i].start, strlen(schemes[i].start)) == 0)
            return &schemes[i];
    return NULL;
}

/* The host, with or without brackets; where it ends, or NULL. */
static const char *take_host(const char *at, struct url *ret)
{
    static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    ret->is_ipv6 = *at == '[';
    const char *from = at + ret->is_ipv6;
    size_t length = strspn(from, ret->is_ipv6 ? "0123456789abcdefABCDEF:." : name);
    if (length == 0 || length > URL_HOST_MAX || (ret->is_ipv6 && from[length] != ']'))
        return NULL;
    memcpy(ret->host, from, length);
    ret->host[length] = '\0';
    return from + length + ret->is_ipv6;
}

/* ":8000"; where it ends, or NULL. */
static const char *take_port(const char *at, uint16_t *ret)
{
    uint64_t port;
    if (*at != ':')
        return at;
    size_t length = strspn(++at, "0123456789");
    if (text_parse_uint(bytes_of(at, length), &port) < 0 || port == 0 || port > UINT16_MAX)
        return NULL;
    *ret = (uint16_t)port;
    return at + length;
}

static bool path_is_plain(const char *path)
{
    for (; *path; path++)
        if (*path <= ' ' || *path > '~' || *path == '#' || *path == '"' || *path == '<' || *path == '>')
            return false;
    return true;
}

enum rtc_code url_parse(const char *text, struct url *ret, struct rtc_error *error)
{
    const struct scheme *scheme = find_scheme(text);
    if (!scheme)
        return url_bad(error, text, "it must begin with http:// or https://");
    *ret = (struct url){.is_tls = scheme->is_tls, .port = scheme->port};
    const char *authority = text + strlen(scheme->start);
    if (memchr(authority, '@', strcspn(authority, "/?#")))
        return url_bad(error, text, "a user and password do not belong there; see rtc_builder_access_token()");
    const char *at = take_host(authority, ret);
    if (!at)
        return url_bad(error, text, "the host is no name, IPv4 address or [IPv6 address]");
    at = take_port(at, &ret->port);
    if (!at || (*at && *at != '/' && *at != '?'))
        return url_bad(error, text, "the port is no number from 1 to 65535");
    if (!path_is_plain(at))
        return url_bad(error, text, "the path holds # or a character that must be written as %XX");
    if (strlen(at) + strlen("/rtc") > URL_PATH_MAX)
        return url_bad(error, text, "it is too long");
    /* Nothing, or a bare slash, means where rtcd is usually found. */
    size_t bare = strcspn(at, "?");
    bool is_bare = bare == 0 || (bare == 1 && at[0] == '/');
    snprintf(ret->path, sizeof(ret->path), "%s%s", is_bare ? "/rtc" : "", is_bare ? at + bare : at);
    return RTC_OK;
}

enum rtc_code url_resolve(const char *base, const char *reference, struct url *ret, struct rtc_error *error)
{
    if (reference[0] != '/' || reference[1] == '/')
        return url_parse(reference, ret, error);
    enum rtc_code code = url_parse(base, ret, error);
    if (code != RTC_OK)
        return code;
    if (!path_is_plain(reference) || strlen(reference) > URL_PATH_MAX)
        return url_bad(error, reference, "this is no path");
    memcpy(ret->path, reference, strlen(reference) + 1);
    return RTC_OK;
}

void url_add_authority(const struct url *url, struct buf *out)
{
    buf_add_format(out, url->is_ipv6 ? "[%s]" : "%s", url->host);
    if (url->port != (url->is_tls ? 443 : 80))
        buf_add_format(out, ":%u", url->port);
}

void url_add_text(const struct url *url, struct buf *out)
{
    buf_add_text(out, url->is_tls ? "https://" : "http://");
    url_add_authority(url, out);
    buf_add_text(out, url->path);
}

bool url_is_same_server(const struct url *a, const struct url *b)
{
    return a->is_tls == b->is_tls && a->port == b->port && strcasecmp(a->host, b->host) == 0;
}

/*
 * Url: http and https addresses of servers (RFC 3986, as far as a client of rtcd needs it). Pure.
 */
#pragma once

#include "lib/buf.h"
#include "lib/rtc.h"

enum { URL_HOST_MAX = 255, URL_PATH_MAX = 2047 };

struct url {
    bool is_tls;                        /* https, wss */
    bool is_ipv6;                       /* the host is a literal that stood in brackets */
    uint16_t port;
    char host[URL_HOST_MAX + 1];        /* without brackets */
    char path[URL_PATH_MAX + 1];        /* with the query; begins with / */
};

/* RTC_BAD_ARGUMENT with a sentence that shows the text. A path of nothing is /rtc; a fragment or user info is refused. */
enum rtc_code url_parse(const char *text, struct url *ret, struct rtc_error *error);
/* `reference` is a whole URL, or a path on the server of `base`. */
enum rtc_code url_resolve(const char *base, const char *reference, struct url *ret, struct rtc_error *error);

void url_add_authority(const struct url *url, struct buf *out);    /* for Host: the port only where it is not the usual one */
void url_add_text(const struct url *url, struct buf *out);         /* https://host:port/path */
bool url_is_same_server(const struct url *a, const struct url *b);

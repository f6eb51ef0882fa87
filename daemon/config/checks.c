/*
 * Checks: see checks.h.
 */
#include "daemon/config/checks.h"

#include "daemon/config/listen.h"
#include "daemon/config/network.h"
#include "daemon/config/peer_rule.h"
#include "lib/key_source.h"

#include <string.h>

const char *check_listen(const char *text)
{
    struct listen_address address;
    if (listen_parse(text, &address) == 0)
        return NULL;
    return "an address such as 127.0.0.1:8000, [::1]:8000, unix:/run/rtcd/clients.sock or systemd:NAME, with tls: in front where "
        "clients speak TLS, and proxy: before that where proxies say first whose the connection is, is expected";
}

const char *check_certificate(const char *text)
{
    const char *colon = strchr(text, ':');
    bool is_pair = text[0] == '/' && (!colon || (colon > text + 1 && colon[1] == '/' && !strchr(colon + 1, ':')));
    return is_pair ? NULL : "two absolute paths with a colon between, /path/certificate.pem:/path/key.pem, or one of a file with both, "
        "is expected";
}

const char *check_path(const char *text)
{
    return text[0] == '\0' || text[0] == '/' ? NULL : "an absolute path, or nothing, is expected";
}

const char *check_base_path(const char *text)
{
    size_t length = strlen(text);
    bool is_path = length > 1 && length < 128 && text[0] == '/' && text[length - 1] != '/'
        && strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~/") == length
        && !strstr(text, "//");
    return is_path ? NULL : "a path such as /rtc is expected, without a slash at its end";
}

const char *check_origin(const char *text)
{
    /* Browsers send the scheme and the host in lower case; anything else would never match. */
    const char *host = strstr(text, "://");
    size_t scheme = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+-.");
    bool is_origin = strcmp(text, "*") == 0 || strcmp(text, "null") == 0
        || (host && host == text + scheme && scheme > 0 && host[3]
            && strspn(host + 3, "abcdefghijklmnopqrstuvwxyz0123456789-._~:[]") == strlen(host + 3));
    const char *port = is_origin && host ? strrchr(host + 3, ':') : NULL;
    if (port && strcmp(port, strncmp(text, "https:", 6) == 0 ? ":443" : ":80") == 0)
        return "browsers leave out the port that the scheme implies: an origin without it is expected";
    return is_origin ? NULL : "an origin such as https://example.org:8443 in lower case, without a path, or * is expected";
}

const char *check_host(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-._:[]");
    bool is_host = length > 0 && text[length] == '\0' && text[0] != ':' && (text[0] == '[' || strchr(text, ':') == strrchr(text, ':'))
        && (text[0] != '[' || strchr(text, ']'));
    return is_host ? NULL : "a host such as example.org, [2001:db8::1] or localhost:8000 in lower case is expected";
}

const char *check_network(const char *text)
{
    struct network network;
    return network_parse(text, &network) == 0 ? NULL : "an address such as 192.0.2.1 or 2001:db8::1, a network such as 10.0.0.0/8 with "
        "no bits set behind its prefix, or unix is expected";
}

const char *check_socket_path(const char *text)
{
    return text[0] == '\0' || (text[0] == '/' && strlen(text) < 108) ? NULL
        : "an absolute path of at most 107 bytes, or nothing, is expected";
}

const char *check_key_source(const char *text)
{
    struct key_source source;
    const char *problem;
    return key_source_parse(text, &source, &problem) < 0 ? problem : NULL;
}

const char *check_peer_rule(const char *text)
{
    struct peer_rule rule;
    return peer_rule_parse(text, &rule) == 0 ? NULL : "uid:NUMBER, gid:NUMBER, user:NAME or group:NAME is expected";
}

const char *check_api_keys(const char *text)
{
    const char *name = strncmp(text, "credential:", 11) == 0 ? text + 11 : NULL;
    bool is_right = name ? name[0] && !strchr(name, '/') : text[0] == '\0' || text[0] == '/';
    return is_right ? NULL : "an absolute path, credential:NAME, or nothing, is expected";
}

const char *check_header(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-_.");
    return length && !text[length] ? NULL : "the name of a header in lower case such as user-agent is expected";
}

const char *check_plugin(const char *text)
{
    return text[0] == '/' && text[1] && text[1] != ' ' ? NULL : "an absolute path, and behind a blank arguments, is expected";
}

const char *check_claim(const char *text)
{
    return text[0] ? NULL : "the name of a claim such as sub is expected";
}

const char *check_source(const char *text)
{
    size_t length = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~:/?#[]@!$&'()*+,;=%");
    return length > 0 && length <= 200 && text[length] == '\0' ? NULL : "a URI such as https://example.org/rtcd, or a part of one, is expected";
}

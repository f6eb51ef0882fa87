/*
 * Rules: what must hold between options, one row each.
 */
#include "daemon/config/config_file.h"
#include "daemon/config/listen.h"

static bool timeout_after_keep_alive(const struct config *c)
{
    return c->connection.timeout_ms > c->connection.keep_alive_ms;
}

static bool some_transport(const struct config *c)
{
    return c->transports.websocket || c->transports.sse || c->transports.longpoll || c->transports.shortpoll;
}

static bool some_protocol(const struct config *c)
{
    return c->protocols.json || c->protocols.msgpack;
}

static bool body_holds_message(const struct config *c)
{
    return c->http.body_bytes >= c->connection.message_bytes;
}

static bool queue_holds_message(const struct config *c)
{
    return c->queue.bytes >= c->connection.message_bytes;
}

static bool disk_holds_message(const struct config *c)
{
    uint64_t largest = MAX(c->http.body_bytes, c->admin.max_request_bytes);
    return c->history.store == STORE_MEMORY || c->history.disk_bytes / 8 >= largest;
}

static bool some_listener(const struct config *c)
{
    return c->listen.count > 0;
}

static bool listeners_differ(const struct config *c)
{
    bool differ = true;
    for (size_t i = 0; i < c->listen.count; i++)
        for (size_t k = 0; k < i; k++)
            differ = differ && strcmp(c->listen.items[i], c->listen.items[k]) != 0;
    return differ;
}

static bool head_holds_target(const struct config *c)
{
    return c->http.head_bytes > c->http.target_bytes;
}

static bool sse_has_json(const struct config *c)
{
    return !c->transports.sse || c->protocols.json;
}

static bool tls_has_certificates(const struct config *c)
{
    struct listen_address address;
    bool has_tls = false;
    for (size_t i = 0; i < c->listen.count; i++)
        has_tls = has_tls || (listen_parse(c->listen.items[i], &address) == 0 && address.is_tls);
    return !has_tls || c->tls.certificates.count > 0;
}

static bool proxies_are_trusted(const struct config *c)
{
    struct listen_address address;
    bool is_proxied = false;
    for (size_t i = 0; i < c->listen.count; i++)
        is_proxied = is_proxied || (listen_parse(c->listen.items[i], &address) == 0 && address.is_proxied);
    return !is_proxied || c->http.trusted_proxies.count > 0;
}

static bool client_certificates_have_ca(const struct config *c)
{
    return c->tls.client_certificate == CERTIFICATE_NONE || c->tls.client_ca[0];
}

static bool client_users_have_certificates(const struct config *c)
{
    return c->tls.client_user == CERTIFICATE_USER_NONE || c->tls.client_certificate != CERTIFICATE_NONE;
}

const struct config_rule config_rules[] = {
    {some_listener, "listen", "there must be one address at least"},
    {listeners_differ, "listen", "an address must stand there once"},
    {timeout_after_keep_alive, "connection.timeout", "it must be longer than connection.keep-alive"},
    {some_transport, "transports", "one of them must be on"},
    {some_protocol, "protocols", "one of them must be on"},
    {sse_has_json, "transports.sse", "it needs protocols.json; turn both off, or none"},
    {body_holds_message, "http.body-bytes", "it must be at least connection.message-bytes"},
    {queue_holds_message, "queue.bytes", "it must be at least connection.message-bytes"},
    {disk_holds_message, "history.disk-bytes", "it must be at least eight times http.body-bytes and admin.request-bytes"},
    {head_holds_target, "http.head-bytes", "it must be larger than http.target-bytes"},
    {tls_has_certificates, "tls.certificates", "there must be one at least where an address of listen begins with tls:"},
    {proxies_are_trusted, "http.trusted-proxies", "there must be one at least where an address of listen begins with proxy:"},
    {client_certificates_have_ca, "tls.client-ca", "it must be set unless tls.client-certificate is none"},
    {client_users_have_certificates, "tls.client-user", "it needs tls.client-certificate: request or require"},
};

const size_t config_rule_count = COUNT_OF(config_rules);

int config_check_rules(const struct config *config, struct buf *problems)
{
    int r = 0;
    for (size_t i = 0; i < config_rule_count; i++) {
        if (config_rules[i].holds(config))
            continue;
        buf_add_format(problems, "%s: %s\n", config_rules[i].option, config_rules[i].sentence);
        r = -EINVAL;
    }
    return r;
}

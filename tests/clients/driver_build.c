/*
 * Driver build: a client from the properties in a command.
 */
#include "tests/clients/driver.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>

char *member_text(struct bytes object, const char *name)
{
    struct buf scratch = {0};
    struct bytes value = json_member(object, name), text;
    char *copy = NULL;
    if (value.length && json_type(value) == JSON_STRING && json_string(value, &scratch, &text) == 0)
        copy = strndup((const char *)text.data, text.length);
    buf_done(&scratch);
    return copy;
}

uint64_t member_uint(struct bytes object, const char *name, uint64_t fallback)
{
    uint64_t value;
    struct bytes member = json_member(object, name);
    return member.length && json_uint(member, &value) == 0 ? value : fallback;
}

bool member_is_true(struct bytes object, const char *name)
{
    return bytes_is(json_member(object, name), "true");
}

void turns_done(struct turns *turns)
{
    for (size_t i = 0; i < turns->count; i++)
        free((void *)turns->items[i].data);
    free(turns->items);
}

/* Copies the elements of an array. */
static void turns_init(struct turns *turns, struct bytes array)
{
    struct json_scan scan;
    struct bytes item;
    int r;
    json_scan_init(&scan, array);
    for (r = json_enter(&scan, '['); r >= 0 && (r = json_next_element(&scan, JSON_DEPTH_MAX, &item)) == 1; r = 0) {
        turns->items = reallocarray(turns->items, turns->count + 1, sizeof(*turns->items));
        turns->items[turns->count++] = bytes_of(strndup((const char *)item.data, item.length), item.length);
    }
    if (r < 0)
        errx(1, "an array is malformed");
}

static struct bytes turns_next(struct turns *turns)
{
    if (turns->count == 0)
        return BYTES("null");
    struct bytes item = turns->items[turns->next];
    turns->next += turns->next + 1 < turns->count;
    return item;
}

static const char *give_token(void *argument)
{
    struct client *client = argument;
    struct buf scratch = {0};
    struct bytes text;
    say_token(client);
    free(client->token);
    client->token = NULL;
    if (json_string(turns_next(&client->tokens), &scratch, &text) == 0)
        client->token = strndup((const char *)text.data, text.length);
    buf_done(&scratch);
    return client->token;
}

static int64_t decide(const struct rtc_retry *retry, void *argument)
{
    struct client *client = argument;
    uint64_t delay;
    say_policy(client, retry);
    return json_uint(turns_next(&client->delays), &delay) == 0 ? (int64_t)delay : -1;
}

static void log_line(enum rtc_level level, const char *text, void *argument)
{
    static const char *const names[] = {"error", "warning", "info", "debug"};
    fprintf(stderr, "%s: %s: %s\n", ((struct client *)argument)->id, names[level], text);
}

/* Calls a setter with the member of that name, where there is one. */
static void set_text(struct rtc_builder *builder, struct bytes command, const char *name,
                     void (*set)(struct rtc_builder *, const char *))
{
    char *text = member_text(command, name);
    if (text)
        set(builder, text);
    free(text);
}

static void set_number(struct rtc_builder *builder, struct bytes command, const char *name,
                       void (*set)(struct rtc_builder *, unsigned))
{
    if (json_member(command, name).length)
        set(builder, (unsigned)member_uint(command, name, 0));
}

/* ["a", "b"] as "a,b". */
static void set_list(struct rtc_builder *builder, struct bytes command, const char *name,
                     void (*set)(struct rtc_builder *, const char *))
{
    struct bytes value = json_member(command, name);
    if (!value.length)
        return;
    struct buf names = {0};
    for (size_t i = 0; i < value.length; i++) {
        if (!strchr("[]\" ", value.data[i]))
            buf_add_byte(&names, value.data[i]);
    }
    set(builder, buf_text(&names));
    buf_done(&names);
}

static void set_headers(struct rtc_builder *builder, struct bytes headers)
{
    struct json_scan scan;
    struct bytes key, value, name, text;
    if (!headers.length)
        return;
    json_scan_init(&scan, headers);
    for (int r = json_enter(&scan, '{'); r == 0 && json_next_member(&scan, JSON_DEPTH_MAX, &key, &value) == 1;) {
        struct buf names = {0}, texts = {0};
        if (json_string(key, &names, &name) == 0 && json_string(value, &texts, &text) == 0) {
            char *a = strndup((const char *)name.data, name.length), *b = strndup((const char *)text.data, text.length);
            rtc_builder_header(builder, a, b);
            free(a);
            free(b);
        }
        buf_done(&names);
        buf_done(&texts);
    }
}

static void set_reconnecting(struct rtc_builder *builder, struct client *client, struct bytes command)
{
    struct bytes delays = json_member(command, "reconnectDelays");
    if (delays.length) {
        struct turns list = {0};
        turns_init(&list, delays);
        unsigned values[16] = {0};
        for (size_t i = 0; i < list.count && i < COUNT_OF(values); i++)
            values[i] = (unsigned)strtoul((const char *)list.items[i].data, NULL, 10);
        rtc_builder_reconnect_delays(builder, values, MIN(list.count, COUNT_OF(values)));
        turns_done(&list);
    }
    if (json_member(command, "reconnectPolicy").length) {
        turns_init(&client->delays, json_member(command, "reconnectPolicy"));
        rtc_builder_reconnect_policy(builder, decide, client);
    }
    if (json_member(command, "retryFirst").length)
        rtc_builder_retry_first(builder, member_is_true(command, "retryFirst"));
    set_number(builder, command, "reconnectJitter", rtc_builder_reconnect_jitter);
}

static void set_trust(struct rtc_builder *builder, struct client *client, struct bytes command)
{
    struct bytes token = json_member(command, "accessToken"), tls = json_member(command, "tls");
    if (token.length && json_type(token) == JSON_ARRAY) {
        turns_init(&client->tokens, token);
        rtc_builder_access_token_from(builder, give_token, client);
    } else {
        set_text(builder, command, "accessToken", rtc_builder_access_token);
    }
    if (tls.length) {
        char *ca_file = member_text(tls, "caFile"), *server_name = member_text(tls, "serverName");
        rtc_builder_tls(builder, &(struct rtc_tls){.ca_file = ca_file, .server_name = server_name});
        free(ca_file);
        free(server_name);
    }
}

struct rtc_client *build_client(struct client *client, struct bytes command)
{
    struct rtc_builder *builder = rtc_builder_new();
    struct bytes queue = json_member(command, "queue");
    struct rtc_error error = {0};
    set_text(builder, command, "url", rtc_builder_url);
    set_text(builder, command, "user", rtc_builder_user);
    set_list(builder, command, "transports", rtc_builder_transports);
    set_list(builder, command, "protocols", rtc_builder_protocols);
    set_headers(builder, json_member(command, "headers"));
    set_reconnecting(builder, client, command);
    set_trust(builder, client, command);
    set_number(builder, command, "keepAlive", rtc_builder_keep_alive_ms);
    set_number(builder, command, "timeout", rtc_builder_timeout_ms);
    set_number(builder, command, "openTimeout", rtc_builder_open_timeout_ms);
    set_number(builder, command, "upgrade", rtc_builder_upgrade_ms);
    if (queue.length)
        rtc_builder_queue(builder, member_uint(queue, "envelopes", 1024), member_uint(queue, "bytes", 1 << 20));
    rtc_builder_logger(builder, log_line, client, RTC_LOG_INFO);
    struct rtc_client *rtc = rtc_builder_build(builder, &error);
    rtc_builder_free(builder);
    if (!rtc)
        say_refused(client, "build", &error);
    return rtc;
}

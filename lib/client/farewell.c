/*
 * Farewell: see farewell.h.
 */
#include "lib/client/farewell.h"

#include "lib/client/caller.h"
#include "lib/text.h"

#include <stdlib.h>

enum { PATIENCE_MS = 2000 };

struct farewell {
    struct list node;
    struct rtc_client *client;
    struct caller caller;
    struct io_timer timer;
};

static void farewell_end(struct farewell *farewell)
{
    caller_done(&farewell->caller);
    io_timer_stop(&farewell->client->io, &farewell->timer);
    list_remove(&farewell->node);
    free(farewell);
}

static void farewell_on_timer(struct io_timer *timer)
{
    farewell_end(CONTAINER_OF(timer, struct farewell, timer));
}

static void farewell_on_done(void *owner, unsigned status, struct bytes body)
{
    farewell_end(owner);
}

static void farewell_on_failed(void *owner, const struct rtc_error *why)
{
    farewell_end(owner);
}

static const struct caller_handler farewell_handler = {.on_done = farewell_on_done, .on_failed = farewell_on_failed};

void farewell_send(struct rtc_client *client)
{
    const struct session *session = &client->session;
    const char *access_token = client_access_token(client);
    struct farewell *farewell = calloc(1, sizeof(*farewell));
    struct buf address = {0}, fields = {0};
    struct url url;
    if (!farewell)
        return;
    *farewell = (struct farewell){.client = client, .timer.on_due = farewell_on_timer};
    list_append(&client->farewells, &farewell->node);
    caller_init(&farewell->caller, &client->io, client_tls(client), &farewell_handler, farewell);
    buf_add_text(&address, session->url);
    buf_add_text(&address, "/connection?token=");
    text_add_url_encoded(&address, bytes_text(session->token));
    buf_add_bytes(&fields, buf_bytes(&client->options.headers));
    if (access_token)
        buf_add_format(&fields, "Authorization: Bearer %s\r\n", access_token);
    if (buf_status(&fields) == 0 && url_parse(buf_text(&address), &url, NULL) == RTC_OK) {
        caller_ask(&farewell->caller, &(struct caller_request){.method = "DELETE", .url = &url, .fields = buf_bytes(&fields), .is_repeatable = true});
        io_timer_set(&client->io, &farewell->timer, PATIENCE_MS);
    } else {
        farewell_end(farewell);
    }
    buf_done(&address);
    buf_done(&fields);
}

void farewell_stop_all(struct rtc_client *client)
{
    LIST_EACH(item, &client->farewells)
        farewell_end(CONTAINER_OF(item, struct farewell, node));
}

bool farewell_is_under_way(const struct rtc_client *client)
{
    return !list_is_empty(&client->farewells) || !list_is_empty(&client->io.finishing);
}

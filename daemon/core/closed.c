/*
 * Closed: see closed.h.
 */
#include "daemon/core/closed.h"

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"

#include <stdlib.h>

void closed_init(struct closed_list *list)
{
    *list = (struct closed_list){0};
    list_init(&list->records);
}

static struct closed *closed_oldest(const struct closed_list *list)
{
    return CONTAINER_OF(list->records.next, struct closed, node);
}

static void closed_drop_oldest(struct closed_list *list)
{
    struct closed *oldest = closed_oldest(list);
    list_remove(&oldest->node);
    list->count--;
    free(oldest);
}

void closed_done(struct closed_list *list)
{
    while (list->count)
        closed_drop_oldest(list);
}

void closed_forget(struct hub *hub)
{
    const struct config *config = hub->config;
    struct closed_list *list = &hub->closed;
    unsigned workers = hub->exchange->worker_count;
    uint64_t count_max = (config->closed.count + workers - 1) / workers;
    while (list->count && (list->count > count_max || hub->now_ms - closed_oldest(list)->closed_ms >= config->closed.keep_ms))
        closed_drop_oldest(list);
}

void closed_add(struct hub *hub, const struct connection *connection, const struct fault *why)
{
    struct bytes user = connection_user(connection), detail = bytes_text(why->detail);
    if (hub->config->closed.count == 0 || hub->config->closed.keep_ms == 0)
        return;
    struct closed *closed = malloc(sizeof(*closed) + user.length + detail.length);
    if (!closed)
        return;
    *closed = (struct closed){
        .closed_ms = hub->now_ms, .lived_ms = hub->now_ms - connection->opened_s * UINT64_C(1000),
        .sent = outbox_sent(&connection->outbox), .received = connection->received, .id = connection->id, .address = connection->address,
        .transport = connection->transport, .codec = connection->codec, .reason = why->id,
        .user_length = (uint16_t)user.length, .detail_length = (uint16_t)detail.length,
    };
    if (user.length)
        memcpy(closed->texts, user.data, user.length);
    memcpy(closed->texts + user.length, detail.data, detail.length);
    list_append(&hub->closed.records, &closed->node);
    hub->closed.count++;
    closed_forget(hub);
}

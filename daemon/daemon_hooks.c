/*
 * Daemon hooks: what hears of clients and answers them, on the main thread's loop.
 */
#include "daemon/daemon_state.h"

static void on_handlers_due(evutil_socket_t descriptor, short what, void *argument)
{
    handlers_tick(((struct daemon *)argument)->handlers);
}

static void on_wake_handlers(void *argument, uint64_t in_ms)
{
    const struct daemon *daemon = argument;
    struct timeval time = {.tv_sec = (time_t)(in_ms / 1000), .tv_usec = (suseconds_t)(in_ms % 1000 * 1000)};
    event_add(daemon->handlers_event, &time);
}

int daemon_start_handlers(struct daemon *daemon)
{
    struct handlers_host host = {.exchange = daemon->exchange, .metrics = &daemon->metrics, .config = daemon_config,
                                 .wake = on_wake_handlers, .argument = daemon};
    daemon->handlers_event = evtimer_new(daemon->base, on_handlers_due, daemon);
    daemon->handlers = handlers_new(&host);
    return daemon->handlers_event && daemon->handlers ? 0 : -ENOMEM;
}

void daemon_stop_handlers(struct daemon *daemon)
{
    handlers_free(daemon->handlers);
    daemon->handlers = NULL;
    if (daemon->handlers_event)
        event_free(daemon->handlers_event);
}

int daemon_start_webhooks(struct daemon *daemon)
{
    struct webhook_host host = {.base = daemon->base, .exchange = daemon->exchange, .metrics = &daemon->metrics,
                                .handlers = daemon->handlers};
    return webhooks_init(&daemon->webhooks, &host, &daemon->notices, daemon->config);
}

void daemon_stop_webhooks(struct daemon *daemon)
{
    webhooks_done(&daemon->webhooks);
}

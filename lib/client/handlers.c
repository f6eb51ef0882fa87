/*
 * Handlers: see handlers.h.
 */
#include "lib/client/handlers.h"

#include <stdlib.h>
#include <string.h>

struct handler {
    struct list node;
    rtc_event_fn *call;
    void *argument;
    bool is_removed, is_new, is_for_rest;
    char event_name[];
};

#define HANDLER(item) CONTAINER_OF(item, struct handler, node)

void handlers_init(struct handlers *handlers)
{
    *handlers = (struct handlers){0};
    list_init(&handlers->list);
}

static void handlers_sweep(struct handlers *handlers, bool is_all)
{
    LIST_EACH(item, &handlers->list) {
        HANDLER(item)->is_new = false;
        if (!is_all && !HANDLER(item)->is_removed)
            continue;
        list_remove(item);
        free(HANDLER(item));
    }
    handlers->needs_sweep = false;
}

void handlers_done(struct handlers *handlers)
{
    handlers_sweep(handlers, true);
}

enum rtc_code handlers_add(struct handlers *handlers, const char *event_name, rtc_event_fn *call, void *argument)
{
    const char *name = event_name ? event_name : "";
    struct handler *handler = calloc(1, sizeof(*handler) + strlen(name) + 1);
    if (!handler)
        return RTC_NO_MEMORY;
    *handler = (struct handler){.call = call, .argument = argument, .is_for_rest = !event_name, .is_new = handlers->calling > 0};
    memcpy(handler->event_name, name, strlen(name) + 1);
    list_append(&handlers->list, &handler->node);
    handlers->needs_sweep |= handler->is_new;
    return RTC_OK;
}

static bool handler_is_of(const struct handler *handler, const char *event_name)
{
    if (handler->is_removed || handler->is_for_rest != !event_name)
        return false;
    return !event_name || strcmp(handler->event_name, event_name) == 0;
}

void handlers_remove(struct handlers *handlers, const char *event_name, rtc_event_fn *call, void *argument)
{
    LIST_EACH(item, &handlers->list) {
        struct handler *handler = HANDLER(item);
        if (handler_is_of(handler, event_name) && (!call || (handler->call == call && handler->argument == argument)))
            handler->is_removed = handlers->needs_sweep = true;
    }
    if (handlers->needs_sweep && handlers->calling == 0)
        handlers_sweep(handlers, false);
}

static bool handlers_call_named(struct handlers *handlers, const char *event_name, struct rtc_client *client, const struct rtc_message *message)
{
    bool was_called = false;
    /* New ones are appended and nothing is freed while one is being called: `item->next` is good afterwards. */
    for (struct list *item = handlers->list.next; item != &handlers->list; item = item->next) {
        struct handler *handler = HANDLER(item);
        if (handler->is_new || !handler_is_of(handler, event_name))
            continue;
        handler->call(client, message, handler->argument);
        was_called = true;
    }
    return was_called;
}

void handlers_call(struct handlers *handlers, struct rtc_client *client, const struct rtc_message *message)
{
    handlers->calling++;
    if (!handlers_call_named(handlers, message->event_name, client, message))
        handlers_call_named(handlers, NULL, client, message);
    if (--handlers->calling == 0 && handlers->needs_sweep)
        handlers_sweep(handlers, false);
}

/*
 * Handlers: who is called for which event. Handlers may come and go while one is being called.
 */
#pragma once

#include "lib/list.h"
#include "lib/rtc.h"

struct handlers {
    struct list list;
    unsigned calling;                   /* depth of handlers_call; entries are freed when it is 0 */
    bool needs_sweep;
};

void handlers_init(struct handlers *handlers);
void handlers_done(struct handlers *handlers);
/* event_name NULL: what has no handler of its own. RTC_NO_MEMORY. */
enum rtc_code handlers_add(struct handlers *handlers, const char *event_name, rtc_event_fn *handler, void *argument);
void handlers_remove(struct handlers *handlers, const char *event_name, rtc_event_fn *handler, void *argument);
/* Calls those of the message's event, in the order in which they came. One that was added meanwhile is not called. */
void handlers_call(struct handlers *handlers, struct rtc_client *client, const struct rtc_message *message);

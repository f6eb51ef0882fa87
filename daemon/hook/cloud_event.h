/*
 * Cloud event: how something is said to a webhook, as a CloudEvent 1.0 in its structured JSON form. Knows not who gets it.
 */
#pragma once

#include "lib/buf.h"

struct cloud_event {
    struct bytes id, source, type, subject;     /* an empty subject: none */
    uint64_t time_ms;                           /* Unix milliseconds */
    struct bytes data[2];                       /* two JSON objects, whose members stand in one; an empty one says nothing */
};

void cloud_event_add(struct buf *out, const struct cloud_event *event);

/*
 * Cloud event: see cloud_event.h.
 */
#include "daemon/hook/cloud_event.h"

#include "lib/json.h"

#include <stdio.h>
#include <time.h>

/* RFC 3339, in UTC. */
static void add_time(struct json_writer *json, uint64_t time_ms)
{
    char text[48];
    struct tm utc = {0};
    time_t seconds = (time_t)(time_ms / 1000);
    gmtime_r(&seconds, &utc);
    size_t length = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text + length, sizeof(text) - length, ".%03uZ", (unsigned)(time_ms % 1000));
    json_key(json, "time");
    json_add_text(json, text);
}

/* The members of both objects in one. Their names differ. */
static void add_data(struct json_writer *json, const struct bytes data[static 2])
{
    struct buf both = {0};
    buf_add_byte(&both, '{');
    for (size_t i = 0; i < 2; i++) {
        if (data[i].length <= 2)
            continue;
        if (both.length > 1)
            buf_add_byte(&both, ',');
        buf_add(&both, data[i].data + 1, data[i].length - 2);
    }
    buf_add_byte(&both, '}');
    json_key(json, "data");
    json_add_raw(json, buf_bytes(&both));
    if (buf_status(&both) < 0)
        buf_fail(json->out);
    buf_done(&both);
}

void cloud_event_add(struct buf *out, const struct cloud_event *event)
{
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, "specversion");
    json_add_text(&json, "1.0");
    json_key(&json, "id");
    json_add_string(&json, event->id);
    json_key(&json, "source");
    json_add_string(&json, event->source);
    json_key(&json, "type");
    json_add_string(&json, event->type);
    if (event->subject.length) {
        json_key(&json, "subject");
        json_add_string(&json, event->subject);
    }
    add_time(&json, event->time_ms);
    json_key(&json, "datacontenttype");
    json_add_text(&json, "application/json");
    add_data(&json, event->data);
    json_end_object(&json);
}

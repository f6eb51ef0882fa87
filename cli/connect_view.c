/*
 * Connect view: see connect_view.h.
 */
#include "cli/connect_view.h"

#include "lib/json.h"
#include "lib/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

enum { NOTE_MAX = 1024 };

static void show(struct connect_view *view, struct buf *line)
{
    buf_add_byte(line, '\n');
    if (view->before)
        view->before(view->argument);
    if (buf_status(line) < 0 || fwrite(line->data, 1, line->length, stdout) != line->length || fflush(stdout) != 0)
        view->is_failed = true;
    if (view->after)
        view->after(view->argument);
    buf_done(line);
}

static void add_time(struct buf *line)
{
    struct timespec now;
    struct tm parts;
    char text[16];
    clock_gettime(CLOCK_REALTIME, &now);
    localtime_r(&now.tv_sec, &parts);
    strftime(text, sizeof(text), "%H:%M:%S", &parts);
    buf_add_format(line, "%s.%03ld  ", text, now.tv_nsec / 1000000);
}

/* JSON that a terminal can be given: what would steer it is escaped, as strings in JSON may have it. */
static void add_safe_json(struct buf *line, const char *json)
{
    for (const unsigned char *at = (const unsigned char *)json; *at; at++) {
        if (*at == 0x7f)
            buf_add_text(line, "\\u007f");
        else if (*at == 0xc2 && at[1] >= 0x80 && at[1] < 0xa0)
            buf_add_format(line, "\\u00%02x", *++at);
        else
            buf_add_byte(line, *at);
    }
}

static void add_from(struct buf *line, const struct rtc_message *message)
{
    if (message->from_user_id)
        buf_add_format(line, "  from %s", message->from_user_id);
    else if (message->from_connection_id)
        buf_add_format(line, "  from %s", message->from_connection_id);
}

static void add_message(struct json_writer *json, const struct rtc_message *message)
{
    json_begin_object(json);
    json_key(json, "eventName");
    json_add_text(json, message->event_name);
    json_key(json, "data");
    json_add_raw(json, bytes_text(message->json));
    if (message->group) {
        json_key(json, "group");
        json_add_text(json, message->group);
    }
    if (message->offset) {
        json_key(json, "offset");
        json_add_uint(json, message->offset);
    }
    if (message->key) {
        json_key(json, "key");
        json_add_text(json, message->key);
    }
    if (message->from_connection_id) {
        json_key(json, "from");
        json_begin_object(json);
        json_key(json, "connectionId");
        json_add_text(json, message->from_connection_id);
        json_key(json, "userId");
        json_add_text(json, message->from_user_id);
        json_end_object(json);
    }
    json_end_object(json);
}

void connect_view_message(struct connect_view *view, const struct rtc_message *message)
{
    struct buf line = {0};
    struct json_writer json = json_writer(&line);
    if (view->is_ndjson) {
        add_message(&json, message);
    } else {
        add_time(&line);
        buf_add_text(&line, message->event_name);
        if (message->group)
            buf_add_format(&line, "  [%s]", message->group);
        add_from(&line, message);
        buf_add_text(&line, "  ");
        add_safe_json(&line, message->json);
    }
    show(view, &line);
}

static void add_error(struct json_writer *json, const struct rtc_error *error)
{
    json_begin_object(json);
    json_key(json, "code");
    json_add_text(json, rtc_error_word(error));
    json_key(json, "message");
    json_add_text(json, error->message);
    json_end_object(json);
}

/* {"eventName":"rtc.…","data":…}, as the protocol's own events look. */
static void show_event(struct connect_view *view, const char *name, const struct rtc_error *error)
{
    struct buf line = {0};
    struct json_writer json = json_writer(&line);
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_text(&json, name);
    json_key(&json, "data");
    add_error(&json, error);
    json_end_object(&json);
    show(view, &line);
}

void connect_view_reply(struct connect_view *view, const char *what, uint64_t id, const struct rtc_error *error, const char *json_text)
{
    struct buf line = {0};
    struct json_writer json = json_writer(&line);
    if (!view->is_ndjson) {
        add_time(&line);
        buf_add_format(&line, "%s: ", what);
        if (error->code)
            buf_add_format(&line, "%s: %s", rtc_error_word(error), error->message);
        else
            add_safe_json(&line, json_text);
        show(view, &line);
        return;
    }
    if (id == 0) {
        if (error->code)
            connect_view_note(view, "%s: %s: %s", what, rtc_error_word(error), error->message);
        return;
    }
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_text(&json, "rtc.reply");
    json_key(&json, "id");
    json_add_uint(&json, id);
    json_key(&json, error->code ? "error" : "data");
    if (error->code)
        add_error(&json, error);
    else
        json_add_raw(&json, bytes_text(json_text));
    json_end_object(&json);
    show(view, &line);
}

static const char *or_none(const char *text)
{
    return text ? text : "none";
}

void connect_view_connected(struct connect_view *view, const struct rtc_client *client, const struct rtc_reconnected *how)
{
    struct buf line = {0};
    struct json_writer json = json_writer(&line);
    if (!view->is_ndjson) {
        connect_view_note(view, "%s over %s, %s; connection %s, user %s", !how ? "connected" : how->is_resumed ? "resumed, nothing lost"
                          : "reconnected with a new connection, joining its groups again", or_none(rtc_transport_name(client)),
                          or_none(rtc_protocol_name(client)), or_none(rtc_connection_id(client)), or_none(rtc_user_id(client)));
        return;
    }
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_text(&json, "rtc.welcome");
    json_key(&json, "data");
    json_begin_object(&json);
    json_key(&json, "connectionId");
    json_add_text(&json, rtc_connection_id(client));
    json_key(&json, "userId");
    json_add_text(&json, rtc_user_id(client));
    json_key(&json, "transport");
    json_add_text(&json, rtc_transport_name(client));
    json_key(&json, "protocol");
    json_add_text(&json, rtc_protocol_name(client));
    json_key(&json, "resumed");
    json_add_bool(&json, how && how->is_resumed);
    json_end_object(&json);
    json_end_object(&json);
    show(view, &line);
}

void connect_view_rejoined(struct connect_view *view, const char *group, const struct rtc_error *error, const char *json_text)
{
    struct buf line = {0};
    struct json_writer json = json_writer(&line);
    if (!view->is_ndjson) {
        buf_add_format(&line, "join %s again", group);
        connect_view_reply(view, buf_text(&line), 0, error, json_text);
        buf_done(&line);
        return;
    }
    json_begin_object(&json);
    json_key(&json, "eventName");
    json_add_text(&json, "rtc.rejoined");
    json_key(&json, error->code ? "error" : "data");
    if (error->code)
        add_error(&json, error);
    else
        json_add_raw(&json, bytes_text(json_text));
    json_key(&json, "group");
    json_add_text(&json, group);
    json_end_object(&json);
    show(view, &line);
}

void connect_view_lost(struct connect_view *view, const struct rtc_error *why)
{
    if (view->is_ndjson)
        show_event(view, "rtc.reconnecting", why);
    else
        connect_view_note(view, "the connection was lost (%s), reconnecting", why->message[0] ? why->message : rtc_error_word(why));
}

void connect_view_closed(struct connect_view *view, const struct rtc_error *why)
{
    if (view->is_ndjson)
        show_event(view, "rtc.close", why);
    else if (why->code == RTC_STOPPED)
        connect_view_note(view, "the connection is closed");
}

static void say(struct connect_view *view, bool has_time, const char *format, va_list arguments)
{
    struct buf line = {0};
    char text[NOTE_MAX];
    vsnprintf(text, sizeof(text), format, arguments);
    if (view->is_ndjson) {
        fprintf(stderr, "rtcctl: %s\n", text);
        return;
    }
    if (has_time)
        add_time(&line);
    buf_add_text(&line, text);
    show(view, &line);
}

void connect_view_note(struct connect_view *view, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(view, true, format, arguments);
    va_end(arguments);
}

void connect_view_say(struct connect_view *view, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say(view, false, format, arguments);
    va_end(arguments);
}

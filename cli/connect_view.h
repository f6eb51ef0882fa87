/*
 * Connect view: what `rtcctl connect` shows: lines for people on a terminal, envelopes as JSON lines (NDJSON) in a pipe.
 */
#pragma once

#include "lib/buf.h"
#include "lib/rtc.h"

struct connect_view {
    bool is_ndjson;
    bool is_failed;                 /* standard output is gone */
    void (*before)(void *argument);     /* called around each line, so that a line that is being typed can be put aside; or NULL */
    void (*after)(void *argument);
    void *argument;
};

void connect_view_message(struct connect_view *view, const struct rtc_message *message);
/* The answer to a request: what was asked in words (for people), its id (for programs; without one only errors are shown). */
void connect_view_reply(struct connect_view *view, const char *what, uint64_t id, const struct rtc_error *error, const char *json);
void connect_view_connected(struct connect_view *view, const struct rtc_client *client, const struct rtc_reconnected *how);
void connect_view_rejoined(struct connect_view *view, const char *group, const struct rtc_error *error, const char *json);
void connect_view_lost(struct connect_view *view, const struct rtc_error *why);
void connect_view_closed(struct connect_view *view, const struct rtc_error *why);
/* A sentence for people; in a pipe it goes to standard error. */
void connect_view_note(struct connect_view *view, const char *format, ...) PRINTF_LIKE(2, 3);
/* The same without the time: what was asked for, not what happened. */
void connect_view_say(struct connect_view *view, const char *format, ...) PRINTF_LIKE(2, 3);

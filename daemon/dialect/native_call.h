/*
 * Native call: a client's envelope in the native dialect while it is being answered, and how it is answered. Knows no event.
 */
#pragma once

#include "daemon/core/connection.h"

/* An envelope being answered. */
struct native_call {
    struct connection *connection;
    const struct envelope *envelope;
    struct bytes json;                  /* its data, in JSON */
};

/* Queues a numbered envelope of the protocol's own, with data in JSON; `data` is freed. */
void native_push_made(struct connection *connection, const char *event_name, uint64_t id, bool is_error, struct buf *data);
/* The reply, where the client wants one; `data` is freed. */
void native_reply(const struct native_call *call, struct buf *data);
/* The error: as a reply, or for an envelope without id (0) as rtc.error. */
void native_refuse(struct connection *connection, uint64_t id, const struct fault *fault);
/* The group that the data names. -EBADMSG with a fault. */
MUST_CHECK int native_read_group(const struct native_call *call, struct buf *scratch, struct bytes *ret, struct fault *fault);
/* The same with what is told of it, {"code":…,"message":…}; `data` is freed. */
void native_refuse_made(struct connection *connection, uint64_t id, struct buf *data);

/*
 * What carries out an event about groups, as rows of the table in native_events.c. They return what dialect.receive does; a fault that
 * they set is answered there.
 */
int native_take_join(const struct native_call *call, struct fault *fault);
int native_take_leave(const struct native_call *call, struct fault *fault);
int native_take_presence(const struct native_call *call, struct fault *fault);
int native_take_history(const struct native_call *call, struct fault *fault);

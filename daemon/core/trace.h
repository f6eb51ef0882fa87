/*
 * Trace: what becomes of one message at each of its recipients, told by their workers while it happens. A message without one
 * (all but those that somebody asked about) has NULL here, which is all that its way through the daemon pays.
 *
 * Counted: the message holds a reference, and so does who asked. It is over when every recipient is settled, or when who asked says
 * so; after that it only counts on.
 */
#pragma once

#include "daemon/core/ports.h"
#include "lib/fault.h"
#include "lib/table.h"
#include "lib/text.h"

#include <pthread.h>
#include <stdatomic.h>

struct outbox;

enum trace_fate {
    TRACE_QUEUED,                       /* it waits to be sent */
    TRACE_SENT,                         /* the socket took it; the client has not said that it has it */
    TRACE_ACKNOWLEDGED,                 /* the client has it */
    TRACE_DROPPED,                      /* too much waited for the client, and the group lets its envelopes go then */
    TRACE_FORGOTTEN,                    /* sent, and kept no longer: more has been sent since than may be kept */
    TRACE_CLOSED,                       /* the connection ended before any of these */
    TRACE_TOO_NEW,                      /* it joined the group after the message was numbered, and is not owed it */
    TRACE_FATE_COUNT,
};
const char *trace_fate_name(enum trace_fate fate);

enum { TRACE_NEVER = UINT32_MAX };

/* One recipient. Times are milliseconds since the message was published, TRACE_NEVER: it has not come to that. */
struct trace_record {
    const struct outbox *outbox;        /* its key; only compared, as it may be gone */
    enum trace_fate fate;
    enum fault_id reason;               /* why the connection was closed */
    bool is_parked;                     /* no transport carries the connection */
    uint8_t codec;
    uint32_t queued_ms, sent_ms, settled_ms;
    const struct transport *transport;  /* NULL: it had none yet */
    struct uuid id;
    uint16_t user_length;
    char user[];
};

struct trace {
    atomic_uint references;
    const struct ports *ports;
    uint64_t started_ms;
    atomic_uint open;                   /* recipients that are not settled, and one more until all of them are known */
    atomic_bool is_over;
    /* On whichever thread settles the last one; at most once, and not after trace_end(). */
    void (*on_settled)(void *argument);
    void *argument;
    atomic_uint counts[TRACE_FATE_COUNT];       /* how many came to that; QUEUED: in all */
    pthread_mutex_t lock;               /* of what follows */
    struct table records;               /* struct trace_record by their outbox */
    unsigned records_max;               /* of more recipients only the counts are known */
};

/* NULL: out of memory. */
struct trace *trace_new(const struct ports *ports, unsigned records_max, void (*on_settled)(void *argument), void *argument);
struct trace *trace_ref(struct trace *trace);
void trace_unref(struct trace *trace);  /* NULL is fine */

/* All recipients are known from here on: their workers have the message. */
void trace_release(struct trace *trace);
/* Who asked waits no longer. False: it was over already, and on_settled is called or has been. */
bool trace_end(struct trace *trace);

/* Each record, with the lock held: nothing changes meanwhile. */
void trace_each(struct trace *trace, void (*on_record)(const struct trace_record *record, void *argument), void *argument);

/* Of connections: what becomes of the message. On the connection's worker. */
void trace_note_queued(struct trace *trace, struct connection *connection);
void trace_note_too_new(struct trace *trace, const struct connection *connection);
/* It left the outbox for good. */
void trace_settle(struct trace *trace, const struct outbox *outbox, enum trace_fate fate);

/* Of all traced messages that a connection is owed; to be called where connection->is_traced alone. */
/* The next `count` unsent ones have gone out. */
void trace_note_sent(struct connection *connection, uint32_t count);
/* A transport took the connection up, or left it. */
void trace_note_moved(struct connection *connection, bool is_parked);
/* It is about to be closed. */
void trace_note_closing(struct connection *connection, enum fault_id why);

/*
 * Trace: see trace.h.
 */
#include "daemon/core/trace.h"

#include "daemon/core/hub.h"
#include "daemon/core/message.h"

#include <stdlib.h>

const char *trace_fate_name(enum trace_fate fate)
{
    static const char *const names[TRACE_FATE_COUNT] = {
        [TRACE_QUEUED] = "queued", [TRACE_SENT] = "sent", [TRACE_ACKNOWLEDGED] = "acknowledged", [TRACE_DROPPED] = "dropped",
        [TRACE_FORGOTTEN] = "forgotten", [TRACE_CLOSED] = "closed", [TRACE_TOO_NEW] = "too-new",
    };
    return names[fate];
}

static struct bytes record_key(const void *entry)
{
    const struct trace_record *record = entry;
    return bytes_of(&record->outbox, sizeof(record->outbox));
}

struct trace *trace_new(const struct ports *ports, unsigned records_max, void (*on_settled)(void *argument), void *argument)
{
    static const struct table_seed no_seed;         /* the keys are our own */
    struct trace *trace = calloc(1, sizeof(*trace));
    if (!trace)
        return NULL;
    atomic_init(&trace->references, 1);
    atomic_init(&trace->open, 1);
    trace->ports = ports;
    trace->started_ms = ports->now_ms(ports->argument);
    trace->on_settled = on_settled;
    trace->argument = argument;
    trace->records_max = records_max;
    pthread_mutex_init(&trace->lock, NULL);
    table_init(&trace->records, &no_seed, record_key);
    return trace;
}

struct trace *trace_ref(struct trace *trace)
{
    atomic_fetch_add_explicit(&trace->references, 1, memory_order_relaxed);
    return trace;
}

void trace_unref(struct trace *trace)
{
    if (!trace || atomic_fetch_sub_explicit(&trace->references, 1, memory_order_acq_rel) != 1)
        return;
    size_t slot = 0;
    struct trace_record *record;
    while ((record = table_each(&trace->records, &slot)))
        free(record);
    table_done(&trace->records);
    pthread_mutex_destroy(&trace->lock);
    free(trace);
}

void trace_release(struct trace *trace)
{
    if (atomic_fetch_sub(&trace->open, 1) == 1 && trace_end(trace))
        trace->on_settled(trace->argument);
}

bool trace_end(struct trace *trace)
{
    return !atomic_exchange(&trace->is_over, true);
}

void trace_each(struct trace *trace, void (*on_record)(const struct trace_record *record, void *argument), void *argument)
{
    pthread_mutex_lock(&trace->lock);
    size_t slot = 0;
    const struct trace_record *record;
    while ((record = table_each(&trace->records, &slot)))
        on_record(record, argument);
    pthread_mutex_unlock(&trace->lock);
}

static uint32_t trace_now_ms(const struct trace *trace)
{
    uint64_t ms = trace->ports->now_ms(trace->ports->argument) - trace->started_ms;
    return (uint32_t)MIN(ms, (uint64_t)TRACE_NEVER - 1);
}

/* With the lock held. NULL: it is none of those that are followed. */
static struct trace_record *trace_find(const struct trace *trace, const struct outbox *outbox)
{
    return table_find(&trace->records, bytes_of(&outbox, sizeof(outbox)));
}

/* Without memory it is counted and not followed. */
static void trace_add(struct trace *trace, const struct connection *connection, enum trace_fate fate)
{
    struct bytes user = connection_user(connection);
    struct trace_record *record = trace->records_max ? calloc(1, sizeof(*record) + user.length) : NULL;
    if (!record)
        return;
    uint32_t now_ms = trace_now_ms(trace);
    *record = (struct trace_record){
        .outbox = &connection->outbox, .fate = fate, .is_parked = !connection->link, .codec = connection->codec, .id = connection->id,
        .transport = connection->transport, .user_length = (uint16_t)user.length,
        .queued_ms = fate == TRACE_QUEUED ? now_ms : TRACE_NEVER, .sent_ms = TRACE_NEVER,
        .settled_ms = fate == TRACE_QUEUED ? TRACE_NEVER : now_ms,
    };
    if (user.length)
        memcpy(record->user, user.data, user.length);
    pthread_mutex_lock(&trace->lock);
    bool is_taken = table_count(&trace->records) < trace->records_max && table_insert(&trace->records, record) == 0;
    pthread_mutex_unlock(&trace->lock);
    if (!is_taken)
        free(record);
}

void trace_note_queued(struct trace *trace, struct connection *connection)
{
    connection->is_traced = true;
    atomic_fetch_add(&trace->open, 1);
    atomic_fetch_add(&trace->counts[TRACE_QUEUED], 1);
    /* History may hold it for longer than anybody asks about it. */
    if (!atomic_load(&trace->is_over))
        trace_add(trace, connection, TRACE_QUEUED);
}

void trace_note_too_new(struct trace *trace, const struct connection *connection)
{
    atomic_fetch_add(&trace->counts[TRACE_TOO_NEW], 1);
    trace_add(trace, connection, TRACE_TOO_NEW);
}

void trace_settle(struct trace *trace, const struct outbox *outbox, enum trace_fate fate)
{
    pthread_mutex_lock(&trace->lock);
    struct trace_record *record = trace_find(trace, outbox);
    if (record && record->settled_ms == TRACE_NEVER) {
        record->fate = fate;
        record->settled_ms = trace_now_ms(trace);
    }
    pthread_mutex_unlock(&trace->lock);
    atomic_fetch_add(&trace->counts[fate], 1);
    trace_release(trace);
}

/* The connection's unsettled record of that message, with the lock held: trace_leave() afterwards. NULL: it has none. */
static struct trace_record *trace_enter(struct trace *trace, const struct connection *connection)
{
    pthread_mutex_lock(&trace->lock);
    struct trace_record *record = trace_find(trace, &connection->outbox);
    return record && record->settled_ms == TRACE_NEVER ? record : NULL;
}

static void trace_leave(struct trace *trace)
{
    pthread_mutex_unlock(&trace->lock);
}

/* All that it is owed. False: none of it is traced. */
static bool trace_each_owed(struct connection *connection, void (*change)(struct trace_record *record, unsigned argument), unsigned argument)
{
    bool is_any = false;
    for (uint32_t i = 0; i < outbox_count(&connection->outbox); i++) {
        struct trace *trace = outbox_at(&connection->outbox, i)->trace;
        if (!trace)
            continue;
        struct trace_record *record = trace_enter(trace, connection);
        if (record)
            change(record, argument);
        trace_leave(trace);
        is_any = true;
    }
    return is_any;
}

static void record_stay(struct trace_record *record, unsigned argument)
{
}

void trace_note_sent(struct connection *connection, uint32_t count)
{
    bool is_any = false, is_wanted = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct message *message = outbox_peek(&connection->outbox, i);
        struct trace *trace = message ? message->trace : NULL;
        if (!trace)
            continue;
        is_any = true;
        is_wanted = is_wanted || !atomic_load(&trace->is_over);
        struct trace_record *record = trace_enter(trace, connection);
        if (record) {
            record->fate = TRACE_SENT;
            record->transport = connection->transport;
            record->codec = connection->codec;
            record->sent_ms = MIN(record->sent_ms, trace_now_ms(trace));
        }
        trace_leave(trace);
    }
    if (is_wanted)
        hub_probe(connection->hub, connection);
    if (!is_any)
        connection->is_traced = trace_each_owed(connection, record_stay, 0);
}

static void record_move(struct trace_record *record, unsigned is_parked)
{
    record->is_parked = is_parked;
}

void trace_note_moved(struct connection *connection, bool is_parked)
{
    connection->is_traced = trace_each_owed(connection, record_move, is_parked);
}

static void record_close(struct trace_record *record, unsigned why)
{
    record->reason = why;
}

void trace_note_closing(struct connection *connection, enum fault_id why)
{
    trace_each_owed(connection, record_close, why);
}

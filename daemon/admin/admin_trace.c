/*
 * Admin trace: see admin_trace.h. Once the message is in the mailboxes, a visit goes from worker to worker behind it: when it is home,
 * every recipient has the message in his queue, and is known.
 */
#include "daemon/admin/admin_trace.h"

#include "daemon/admin/admin_client.h"
#include "daemon/admin/admin_rows.h"
#include "daemon/config/config.h"
#include "daemon/core/keeper.h"
#include "daemon/core/message.h"
#include "daemon/core/trace.h"

#include <stdlib.h>

enum {
    WAIT_MS = 5000, WAIT_MAX_MS = 600000,
    TRACINGS_MAX = 1000,                /* under way at once */
    TRACINGS_WITH_ROWS_MAX = 16,
    API_SHARE = 10,                     /* of api.timeout, so much is left for the way of the answer */
};

struct tracing {
    struct list node;
    struct admin_return back;
    const struct admin_host *host;
    struct trace *trace;
    struct event *timer;
    uint64_t wait_ms;
    struct visit tour, home;            /* behind the message, and from who settles it */
    unsigned worker;                    /* that the tour has come to */
    bool is_touring, is_due;
    unsigned recipients;
    uint64_t stored_by;                 /* what the keeper of histories calls it; 0: none keeps it */
    bool waits_for_store;               /* all else is known */
    struct admin_rows *rows;            /* NULL: it only counts */
};

static void tracing_free(struct tracing *tracing)
{
    struct admin *admin = tracing->back.admin;
    list_remove(&tracing->node);
    admin->tracing_count--;
    admin->tracing_rows_count -= tracing->rows != NULL;
    if (tracing->timer)
        event_free(tracing->timer);
    trace_unref(tracing->trace);
    admin_rows_free(tracing->rows);
    free(tracing);
}

static struct cell cell_time(uint32_t ms)
{
    return ms == TRACE_NEVER ? cell_empty() : cell_number(ms);
}

static void on_record(const struct trace_record *record, void *argument)
{
    char id[UUID_TEXT + 1];
    bool is_open = record->settled_ms == TRACE_NEVER;
    uuid_print(&record->id, id);
    const struct cell cells[] = {
        cell_text(bytes_text(id)),
        cell_text(bytes_of(record->user, record->user_length)),
        cell_text(bytes_text(record->transport ? record->transport->name : "")),
        cell_text(bytes_text(codecs[record->codec]->name)),
        cell_text(bytes_text(is_open && record->is_parked ? "parked" : trace_fate_name(record->fate))),
        cell_text(bytes_text(record->fate == TRACE_CLOSED && record->reason ? fault_rows[record->reason].name : "")),
        cell_time(record->queued_ms),
        cell_time(record->sent_ms),
        cell_time(record->settled_ms),
    };
    admin_rows_add(argument, cells);
}

static void tracing_count(struct json_writer *json, const struct tracing *tracing)
{
    static const struct { const char *name; enum trace_fate fate; bool settles; } members[] = {
        {"queued", TRACE_QUEUED, false}, {"acknowledged", TRACE_ACKNOWLEDGED, true}, {"dropped", TRACE_DROPPED, true},
        {"forgotten", TRACE_FORGOTTEN, true}, {"closed", TRACE_CLOSED, true}, {"tooNew", TRACE_TOO_NEW, false},
    };
    uint64_t settled = 0, queued = 0;
    json_key(json, "recipients");
    json_add_uint(json, tracing->recipients);
    for (size_t i = 0; i < COUNT_OF(members); i++) {
        uint64_t count = atomic_load(&tracing->trace->counts[members[i].fate]);
        json_key(json, members[i].name);
        json_add_uint(json, count);
        queued += members[i].fate == TRACE_QUEUED ? count : 0;
        settled += members[i].settles ? count : 0;
    }
    json_key(json, "unsettled");
    /* Some may have been settled while they were counted. */
    json_add_uint(json, queued - MIN(queued, settled));
}

static void tracing_answer(struct tracing *tracing)
{
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    if (tracing->rows) {
        trace_each(tracing->trace, on_record, tracing->rows);
        admin_rows_write(tracing->rows, &json, (struct bytes){0});
    } else {
        json_begin_object(&json);
    }
    tracing_count(&json, tracing);
    json_end_object(&json);
    if (buf_status(&data) < 0)
        admin_refuse(&tracing->back, FAULT_INTERNAL, "out of memory: the event was published");
    else
        admin_reply(&tracing->back, buf_bytes(&data));
    buf_done(&data);
    tracing_free(tracing);
}

/* All is known that will be: it is answered, now or once the message is stored. */
static void tracing_finish(struct tracing *tracing)
{
    struct keeper *keeper = tracing->host->exchange->directory->keeper;
    struct keeper_wait wait = {.client = tracing->back.client, .id = tracing->back.id, .recipients = tracing->recipients};
    tracing->waits_for_store = tracing->stored_by && tracing->back.id && keeper->wait(keeper, tracing->stored_by, &wait);
    if (!tracing->waits_for_store)
        tracing_answer(tracing);
}

bool admin_trace_stored(const struct admin_return *back)
{
    LIST_EACH(node, &back->admin->tracings) {
        struct tracing *tracing = CONTAINER_OF(node, struct tracing, node);
        if (!tracing->waits_for_store || tracing->back.client != back->client || tracing->back.id != back->id)
            continue;
        tracing_answer(tracing);
        return true;
    }
    return false;
}

/* On whichever thread: its way home is the one that visits take. Without memory for that, the time decides. */
static void on_settled(void *argument)
{
    struct tracing *tracing = argument;
    const struct ports *ports = &tracing->host->exchange->ports;
    struct letter letter = {.kind = LETTER_VISIT, .visit = &tracing->home};
    if (ports->post(ports->argument, MAIN_MAILBOX, &letter) < 0)
        atomic_store(&tracing->trace->is_over, false);
}

static void on_home(struct visit *visit)
{
    tracing_finish(CONTAINER_OF(visit, struct tracing, home));
}

static void on_time(evutil_socket_t descriptor, short what, void *argument)
{
    struct tracing *tracing = argument;
    tracing->is_due = true;
    if (!tracing->is_touring && trace_end(tracing->trace))
        tracing_finish(tracing);
}

static bool tour_run(struct visit *visit, struct hub *hub)
{
    return false;
}

/* Where no worker takes it any more, the daemon ends, or is out of memory: what is known by now is all. */
static void tour_arrive(struct visit *visit)
{
    struct tracing *tracing = CONTAINER_OF(visit, struct tracing, tour);
    if (++tracing->worker < tracing->host->worker_count && admin_send_visit(tracing->host, tracing->worker, visit) == 0)
        return;
    tracing->is_touring = false;
    trace_release(tracing->trace);
    if (tracing->is_due && trace_end(tracing->trace))
        tracing_finish(tracing);
}

bool admin_trace_is_wanted(const struct admin_call *call)
{
    struct bytes wait = admin_value(call, "wait");
    enum json_type type = json_type(wait);
    return call->command == &admin_commands[ADMIN_trace_publish] || (type != JSON_NULL && type != JSON_FALSE);
}

/* true, or a time. -EINVAL: refused. */
static int tracing_read_wait(struct tracing *tracing, struct admin_call *call)
{
    const struct config *config = call->host->config(call->host->argument);
    const struct admin_peer *peer = admin_peer_of(call);
    struct bytes text;
    bool is_true;
    tracing->wait_ms = WAIT_MS;
    if (json_bool(admin_value(call, "wait"), &is_true) < 0) {
        int r = admin_text(call, "wait", &text);
        if (r < 0)
            return r;
        if (r > 0 && (text_parse_span(text, &tracing->wait_ms) < 0 || tracing->wait_ms > WAIT_MAX_MS)) {
            admin_refuse(&call->back, FAULT_BAD_ENVELOPE, "wait is a time such as 500ms or 5s, of 10 minutes at most");
            return -EINVAL;
        }
    }
    if (peer && peer->is_key)
        tracing->wait_ms = MIN(tracing->wait_ms, config->api.timeout_ms - config->api.timeout_ms / API_SHARE);
    return 0;
}

static bool admin_has_room(const struct admin_call *call, bool with_rows)
{
    const struct admin *admin = call->back.admin;
    if (admin->tracing_count < TRACINGS_MAX && (!with_rows || admin->tracing_rows_count < TRACINGS_WITH_ROWS_MAX))
        return true;
    admin_refuse(&call->back, FAULT_NODE_FULL, "too many publishes wait for what becomes of them; nothing was published, try again");
    return false;
}

/* False: the call is refused. */
static bool tracing_fill(struct tracing *tracing, struct admin_call *call, bool with_rows)
{
    if (tracing_read_wait(tracing, call) < 0)
        return false;
    if (with_rows) {
        tracing->rows = admin_rows_new(call, "queued");
        if (!tracing->rows)
            return false;
        tracing->back.admin->tracing_rows_count++;
    }
    tracing->timer = evtimer_new(call->host->base, on_time, tracing);
    tracing->trace = trace_new(&call->host->exchange->ports, with_rows ? ADMIN_ROWS_SORTED_MAX : 0, on_settled, tracing);
    if (tracing->timer && tracing->trace)
        return true;
    admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
    return false;
}

struct tracing *admin_trace_new(struct admin_call *call)
{
    bool with_rows = call->command->columns[0];
    if (!admin_has_room(call, with_rows))
        return NULL;
    struct tracing *tracing = calloc(1, sizeof(*tracing));
    if (!tracing) {
        admin_refuse(&call->back, FAULT_INTERNAL, "out of memory");
        return NULL;
    }
    struct admin *admin = call->back.admin;
    *tracing = (struct tracing){.back = call->back, .host = call->host, .tour = {.run = tour_run, .arrive = tour_arrive},
                                .home = {.arrive = on_home, .is_over = true}};
    list_append(&admin->tracings, &tracing->node);
    admin->tracing_count++;
    if (tracing_fill(tracing, call, with_rows))
        return tracing;
    tracing_free(tracing);
    return NULL;
}

void admin_trace_message(struct tracing *tracing, struct message *message)
{
    message_set_trace(message, tracing->trace);
}

void admin_trace_start(struct tracing *tracing, const struct message *message, unsigned recipients)
{
    struct timeval wait = {(time_t)(tracing->wait_ms / 1000), (suseconds_t)(tracing->wait_ms % 1000 * 1000)};
    tracing->recipients = recipients;
    tracing->stored_by = message->stored_by;
    event_add(tracing->timer, &wait);
    tracing->is_touring = admin_send_visit(tracing->host, 0, &tracing->tour) == 0;
}

void admin_trace_drop(struct tracing *tracing)
{
    trace_end(tracing->trace);
    tracing_free(tracing);
}

void admin_traces_done(struct admin *admin)
{
    LIST_EACH(node, &admin->tracings)
        admin_trace_drop(CONTAINER_OF(node, struct tracing, node));
}

/*
 * Traces under a fake clock, and a transport that takes as much as it is told to.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/core/trace.h"

#include <sys/socket.h>

enum { CLIENTS = 3 };

struct world {
    struct config *config;
    struct exchange *exchange;
    struct hub *hub;
    struct connection *clients[CLIENTS];
    uint64_t now_ms;
    uint32_t takes;                     /* so many envelopes at each flush */
    unsigned probes, settled;
    struct trace *trace;
    struct message *message;
};

static struct world *the_world;

static int fake_post(void *argument, unsigned worker, const struct letter *letter) { return -EAGAIN; }
static bool fake_has_room(void *argument, unsigned worker) { return false; }
static void fake_settle(void *argument, unsigned worker) { }
static uint64_t fake_wall(void *argument) { return 0; }
static uint64_t fake_now(void *argument) { return the_world->now_ms; }
static void fake_send(struct connection *connection, struct bytes text) { }
static uint64_t fake_tend(struct connection *connection, uint64_t now_ms) { return 0; }
static void fake_close(struct link *link, const struct fault *why, struct bytes farewell) { }
static void fake_probe(struct connection *connection) { the_world->probes++; }
static void fake_farewell(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out) { }

static void fake_flush(struct connection *connection)
{
    connection_mark_sent(connection, MIN(the_world->takes, outbox_unsent_count(&connection->outbox)), 0);
    connection_watch_stall(connection);
}

static const struct transport transport = {.name = "fake", .is_lasting = true, .flush = fake_flush, .send_unnumbered = fake_send,
    .tend = fake_tend, .probe = fake_probe, .close = fake_close};
static const struct dialect dialect = {.name = "fake", .is_resumable = true, .add_farewell = fake_farewell};

static struct connection *connect_client(struct world *world, const char *user)
{
    struct peer_address address = {.family = AF_UNIX};
    struct fault fault = {0};
    struct connection *connection = connection_new(world->hub, &dialect, CODEC_JSON, &(struct identity){.user = bytes_text(user)}, &address, &fault);
    connection_attach(connection, (struct link *)world, &transport);
    return connection;
}

static void on_settled(void *argument)
{
    ((struct world *)argument)->settled++;
}

static struct message *new_message(struct world *world, const char *group, struct trace *trace)
{
    struct envelope envelope = {.event_name = BYTES("n"), .group = bytes_text(group)};
    struct message *message = message_new(&envelope);
    if (trace)
        message_set_trace(message, trace);
    return message;
}

static void turn(struct world *world, uint32_t takes, uint64_t ms)
{
    world->takes = takes;
    world->now_ms += ms;
    world->hub->now_ms += ms;
    for (unsigned i = 0; i < CLIENTS; i++)
        if (world->clients[i])
            hub_mark_dirty(world->hub, world->clients[i]);
    hub_finish_turn(world->hub);
}

static int start(void **state)
{
    struct world *world = the_world = calloc(1, sizeof(*world));
    struct buf problems = {0};
    static const char *const overrides[] = {"queue.envelopes=16", "resume.envelopes=16", "queue.time=1h", "resume.window=1h"};
    assert_int_equal(config_load(NULL, overrides, COUNT_OF(overrides), &world->config, &problems), 0);
    buf_done(&problems);
    world->now_ms = 1000;
    struct ports ports = {.post = fake_post, .has_room = fake_has_room, .settle = fake_settle, .wall_ms = fake_wall, .now_ms = fake_now,
                          .argument = world};
    world->exchange = exchange_new(1, &ports);
    world->hub = hub_new(0, world->exchange, world->config, 1000);
    for (unsigned i = 0; i < CLIENTS; i++)
        world->clients[i] = connect_client(world, i ? "" : "ann");
    world->trace = trace_new(&world->exchange->ports, 100, on_settled, world);
    world->message = new_message(world, "g", world->trace);
    *state = world;
    return 0;
}

static int stop(void **state)
{
    struct world *world = *state;
    message_unref(world->message);
    hub_close_all(world->hub, FAULT_SHUTDOWN);
    hub_finish_turn(world->hub);
    hub_free(world->hub);
    exchange_free(world->exchange);
    config_unref(world->config);
    trace_unref(world->trace);
    free(world);
    return 0;
}

/* The message to each client; once all have it, who asked lets go of it. */
static void publish(struct world *world)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        message_ref_many(world->message, 1);
        connection_push(world->clients[i], world->message);
    }
    trace_release(world->trace);
}

struct search { const struct outbox *outbox; struct trace_record found; };

static void on_record(const struct trace_record *record, void *argument)
{
    struct search *search = argument;
    if (record->outbox == search->outbox)
        memcpy(&search->found, record, sizeof(*record));
}

static struct trace_record record_of(struct world *world, unsigned client, const struct outbox *outbox)
{
    struct search search = {.outbox = outbox ? outbox : &world->clients[client]->outbox};
    trace_each(world->trace, on_record, &search);
    assert_non_null(search.found.outbox);
    return search.found;
}

static enum trace_fate fate_of(struct world *world, unsigned client)
{
    return record_of(world, client, NULL).fate;
}

static unsigned counted(const struct world *world, enum trace_fate fate)
{
    return world->trace->counts[fate];
}

static void what_is_queued_sent_and_acknowledged_is_told_with_its_times(void **state)
{
    struct world *world = *state;
    turn(world, 0, 5);
    publish(world);
    assert_int_equal(counted(world, TRACE_QUEUED), CLIENTS);
    assert_int_equal(fate_of(world, 0), TRACE_QUEUED);
    turn(world, 9, 10);
    assert_int_equal(world->probes, CLIENTS);
    assert_int_equal(fate_of(world, 1), TRACE_SENT);
    world->now_ms += 20;
    for (unsigned i = 0; i < CLIENTS; i++) {
        assert_int_equal(world->settled, 0);
        assert_int_equal(connection_acknowledge(world->clients[i], 1), 0);
    }
    assert_int_equal(world->settled, 1);
    struct trace_record record = record_of(world, 0, NULL);
    assert_int_equal(record.fate, TRACE_ACKNOWLEDGED);
    assert_int_equal(record.queued_ms, 5);
    assert_int_equal(record.sent_ms, 15);
    assert_int_equal(record.settled_ms, 35);
    assert_int_equal(record.user_length, 3);
    assert_string_equal(record.transport->name, "fake");
    assert_int_equal(counted(world, TRACE_ACKNOWLEDGED), CLIENTS);
    /* Nothing of it is left at the connections, and what follows asks for nothing. */
    assert_null(world->clients[0]->outbox.owed);
    struct message *plain = new_message(world, "g", NULL);
    connection_push(world->clients[0], plain);
    turn(world, 9, 1);
    assert_int_equal(world->probes, CLIENTS);
    assert_false(world->clients[0]->is_traced);
}

static void nothing_is_settled_before_all_recipients_are_known(void **state)
{
    struct world *world = *state;
    message_ref_many(world->message, 1);
    connection_push(world->clients[0], world->message);
    turn(world, 1, 1);
    assert_int_equal(connection_acknowledge(world->clients[0], 1), 0);
    assert_int_equal(world->settled, 0);
    message_ref_many(world->message, 1);
    connection_push(world->clients[1], world->message);
    trace_release(world->trace);
    assert_int_equal(world->settled, 0);
    turn(world, 1, 1);
    assert_int_equal(connection_acknowledge(world->clients[1], 1), 0);
    assert_int_equal(world->settled, 1);
}

static void without_recipients_it_is_settled_at_once(void **state)
{
    struct world *world = *state;
    trace_release(world->trace);
    assert_int_equal(world->settled, 1);
    assert_false(trace_end(world->trace));
}

static void who_is_closed_parked_and_forgotten_is_told(void **state)
{
    struct world *world = *state;
    publish(world);
    const struct outbox *closed = &world->clients[0]->outbox;
    struct fault why = {.id = FAULT_DISCONNECTED};
    connection_close(world->clients[0], &why, false);
    world->clients[0] = NULL;
    struct trace_record record = record_of(world, 0, closed);
    assert_int_equal(record.fate, TRACE_CLOSED);
    assert_int_equal(record.reason, FAULT_DISCONNECTED);
    assert_int_equal(record.sent_ms, TRACE_NEVER);

    connection_detach(world->clients[1]);
    assert_true(record_of(world, 1, NULL).is_parked);
    assert_int_equal(fate_of(world, 1), TRACE_QUEUED);
    connection_attach(world->clients[1], (struct link *)world, &transport);
    assert_false(record_of(world, 1, NULL).is_parked);

    turn(world, 99, 1);
    for (unsigned i = 0; i < 16; i++) {
        struct message *more = new_message(world, "g", NULL);
        connection_push(world->clients[2], more);
        turn(world, 99, 1);
    }
    assert_int_equal(fate_of(world, 2), TRACE_FORGOTTEN);
    assert_int_equal(fate_of(world, 1), TRACE_SENT);
    /* Sent once more to who came back without it: the first time counts. */
    uint32_t sent_ms = record_of(world, 1, NULL).sent_ms;
    assert_int_equal(connection_resume(world->clients[1], 0), 0);
    turn(world, 99, 50);
    assert_int_equal(record_of(world, 1, NULL).sent_ms, sent_ms);
    assert_int_equal(world->settled, 0);
    assert_int_equal(connection_acknowledge(world->clients[1], 1), 0);
    assert_int_equal(world->settled, 1);
    assert_int_equal(counted(world, TRACE_CLOSED) + counted(world, TRACE_FORGOTTEN) + counted(world, TRACE_ACKNOWLEDGED), CLIENTS);
}

static void what_is_dropped_for_a_slow_client_is_told(void **state)
{
    struct world *world = *state;
    message_set_slow(world->message, SLOW_LATEST);
    publish(world);
    turn(world, 0, 1);
    assert_int_equal(fate_of(world, 0), TRACE_QUEUED);
    struct message *newer = new_message(world, "g", NULL);
    message_set_slow(newer, SLOW_LATEST);
    connection_push(world->clients[0], newer);
    assert_int_equal(fate_of(world, 0), TRACE_DROPPED);
    assert_int_equal(counted(world, TRACE_DROPPED), 1);
    assert_int_equal(fate_of(world, 1), TRACE_QUEUED);
}

static void whoever_waits_no_longer_hears_of_nothing(void **state)
{
    struct world *world = *state;
    publish(world);
    assert_true(trace_end(world->trace));
    turn(world, 9, 1);
    assert_int_equal(world->probes, 0);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(connection_acknowledge(world->clients[i], 1), 0);
    assert_int_equal(world->settled, 0);
    /* As from history, long after. */
    message_ref_many(world->message, 1);
    connection_push(world->clients[0], world->message);
    turn(world, 9, 1);
    assert_int_equal(connection_acknowledge(world->clients[0], 2), 0);
    assert_int_equal(world->settled, 0);
}

static void no_more_than_may_be_are_followed_and_all_are_counted(void **state)
{
    struct world *world = *state;
    world->trace->records_max = 2;
    publish(world);
    assert_int_equal(table_count(&world->trace->records), 2);
    turn(world, 9, 1);
    for (unsigned i = 0; i < CLIENTS; i++)
        assert_int_equal(connection_acknowledge(world->clients[i], 1), 0);
    assert_int_equal(counted(world, TRACE_ACKNOWLEDGED), CLIENTS);
    assert_int_equal(world->settled, 1);
}

#define IN_A_WORLD(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_A_WORLD(what_is_queued_sent_and_acknowledged_is_told_with_its_times), IN_A_WORLD(nothing_is_settled_before_all_recipients_are_known),
        IN_A_WORLD(without_recipients_it_is_settled_at_once), IN_A_WORLD(who_is_closed_parked_and_forgotten_is_told),
        IN_A_WORLD(what_is_dropped_for_a_slow_client_is_told), IN_A_WORLD(whoever_waits_no_longer_hears_of_nothing),
        IN_A_WORLD(no_more_than_may_be_are_followed_and_all_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Filters, sorted rows and traces, with each allocation failing, one at a time. What there is no memory for is said to be missing, and
 * never taken for something else.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"
#include "daemon/core/trace.h"
#include "lib/filter.h"
#include "lib/row_top.h"
#include "tests/scarce/parts.h"
#include "tests/scarce/scarce.h"

#include <sys/socket.h>

static struct row_columns columns;

static int read_filter(void)
{
    struct filter filter = {0};
    struct fault fault = {0};
    const struct cell cells[] = {cell_text(BYTES("ann")), cell_number(2048)};
    if (filter_read(BYTES("user~'a*' and not (queued<1KiB or user=\"bob\" or user='c d')"), &columns, &filter, &fault) != DECODE_DONE) {
        assert_int_equal(fault.id, FAULT_INTERNAL);
        assert_null(filter.texts.data);
        return -ENOMEM;
    }
    assert_true(filter_wants(&filter, cells));
    filter_done(&filter);
    return 0;
}

static int keep_first(void)
{
    struct row_order order;
    assert_int_equal(row_order_read(BYTES("-queued,user"), &columns, &order, NULL), DECODE_DONE);
    struct row_top top = row_top(&columns, &order, 20);
    for (unsigned i = 0; i < 60; i++) {
        const struct cell cells[] = {cell_text(BYTES("ann")), cell_number(i * 7 % 60)};
        if (row_top_offer(&top, cells))
            row_top_add(&top, cells, BYTES("[]"));
    }
    row_top_finish(&top);
    int r = top.has_failed ? -ENOMEM : 0;
    for (size_t i = 0; i < top.count && r == 0; i++)
        assert_int_equal(top.rows[i]->keys[0].number, 59 - i);
    row_top_done(&top);
    return r;
}

static int on_post(void *argument, unsigned worker, const struct letter *letter) { return -EAGAIN; }
static bool on_has_room(void *argument, unsigned worker) { return false; }
static void on_settle(void *argument, unsigned worker) { }
static uint64_t on_clock(void *argument) { return 1000; }
static void on_send(struct connection *connection, struct bytes text) { }
static uint64_t on_tend(struct connection *connection, uint64_t now_ms) { return 0; }
static void on_probe(struct connection *connection) { }
static void on_close(struct link *link, const struct fault *why, struct bytes farewell) { }
static void on_farewell(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out) { }

static void on_flush(struct connection *connection)
{
    connection_mark_sent(connection, outbox_unsent_count(&connection->outbox), 0);
}

static const struct transport transport = {.name = "fake", .is_lasting = true, .flush = on_flush, .send_unnumbered = on_send,
                                           .tend = on_tend, .probe = on_probe, .close = on_close};
static const struct dialect dialect = {.name = "fake", .is_resumable = true, .add_farewell = on_farewell};
static struct config *config;

static void on_settled(void *argument)
{
    ++*(unsigned *)argument;
}

/* However many are followed, all that have it are counted, and the last one settles it once. */
static int trace_message(struct exchange *exchange, struct hub *hub)
{
    struct peer_address address = {.family = AF_UNIX};
    struct envelope envelope = {.event_name = BYTES("n")};
    unsigned settled = 0;
    struct trace *trace = trace_new(&exchange->ports, 100, on_settled, &settled);
    struct message *message = trace ? message_new(&envelope) : NULL;
    if (!message) {
        trace_unref(trace);
        return -ENOMEM;
    }
    message_set_trace(message, trace);
    int r = 0;
    for (unsigned i = 0; i < 20; i++) {
        struct connection *connection = connection_new(hub, &dialect, CODEC_JSON, &(struct identity){.user = BYTES("u")}, &address, NULL);
        if (!connection) {
            r = -ENOMEM;
            continue;
        }
        connection_attach(connection, (struct link *)hub, &transport);
        message_ref_many(message, 1);
        connection_push(connection, message);
        if (i % 2 && connection_acknowledge(connection, 0) < 0)
            r = -EINVAL;
    }
    trace_release(trace);
    hub_finish_turn(hub);
    assert_int_equal(settled, atomic_load(&trace->counts[TRACE_QUEUED]) == atomic_load(&trace->counts[TRACE_CLOSED]));
    hub_close_all(hub, FAULT_SHUTDOWN);
    hub_finish_turn(hub);
    assert_int_equal(settled, 1);
    assert_int_equal(atomic_load(&trace->counts[TRACE_QUEUED]), atomic_load(&trace->counts[TRACE_CLOSED]));
    if (table_count(&trace->records) < atomic_load(&trace->counts[TRACE_QUEUED]))
        r = -ENOMEM;
    message_unref(message);
    trace_unref(trace);
    return r;
}

static int run_trace(void)
{
    struct ports ports = {.post = on_post, .has_room = on_has_room, .settle = on_settle, .wall_ms = on_clock, .now_ms = on_clock};
    struct exchange *exchange = exchange_new(1, &ports);
    struct hub *hub = exchange ? hub_new(0, exchange, config, 1000) : NULL;
    int r = hub ? trace_message(exchange, hub) : -ENOMEM;
    if (hub) {
        hub_close_all(hub, FAULT_SHUTDOWN);
        hub_finish_turn(hub);
        hub_free(hub);
    }
    if (exchange)
        exchange_free(exchange);
    return r;
}

static void filters_are_read_or_refused(void **state)
{
    without_each_allocation(read_filter, 3);
}

static void the_first_rows_are_right_or_known_to_be_missing(void **state)
{
    without_each_allocation(keep_first, 20);
}

static void traces_count_all_that_they_cannot_follow(void **state)
{
    struct buf problems = {0};
    log_set_level(LOG_AREA_CORE, LOG_LEVEL_ERROR);
    assert_int_equal(config_load(NULL, NULL, 0, &config, &problems), 0);
    without_each_allocation(run_trace, 100);
    config_unref(config);
    buf_done(&problems);
}

int main(void)
{
    row_columns_read("user:text queued:bytes", &columns);
    const struct CMUnitTest tests[] = {
        TEST(filters_are_read_or_refused), TEST(the_first_rows_are_right_or_known_to_be_missing), TEST(traces_count_all_that_they_cannot_follow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

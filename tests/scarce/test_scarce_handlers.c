/*
 * What a client asks of a handler, with each allocation on the way there and back failing, one at a time. A program of its own, as
 * librtc's parts have names that the daemon's have too.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/metrics.h"
#include "daemon/hook/handlers.h"
#include "daemon/net/mailbox.h"
#include "tests/scarce/parts.h"
#include "tests/scarce/scarce.h"

#include <sys/socket.h>

static struct config *config;

static uint64_t taken_number;

static bool on_take(struct handler *handler, const struct event_call *call)
{
    taken_number = call->number;
    return true;
}

static struct config *on_config(void *argument)
{
    return config;
}

static void on_wake(void *argument, uint64_t in_ms)
{
}

/* What a client asks, to the handler and back: the client has a reply in the end, or somebody was told that there is none. */
static int ask_handler(struct handlers *handlers, struct hub *hub, struct mailbox *mailbox, struct connection *connection, bool is_error)
{
    struct envelope envelope = {.event_name = BYTES("ask"), .data = BYTES("\x92\x01\x02"), .data_codec = CODEC_MSGPACK, .id = 7};
    struct letter letter;
    taken_number = 0;
    int r = event_call_send(connection, &envelope, false);
    if (r < 0)
        return r;
    assert_true(mailbox_take(mailbox, &letter));
    assert_int_equal(letter.kind, LETTER_EVENT);
    handlers_take(handlers, letter.event);
    if (taken_number)
        r = is_error ? handlers_fail(handlers, taken_number, BYTES("a"), BYTES("b")) : handlers_reply(handlers, taken_number, BYTES("[3]"));
    while (mailbox_take(mailbox, &letter))
        assert_true(hub_handle(hub, &letter, 1));
    bool has_reply = outbox_unsent_count(&connection->outbox) > 0;
    hub_finish_turn(hub);
    return r == 0 && !(has_reply && taken_number) ? -ENOMEM : r;
}

static int use_handlers(struct exchange *exchange, struct hub *hub, struct mailbox *mailbox)
{
    struct metrics metrics = {0};
    struct identity identity = {.user = BYTES("u")};
    struct peer_address address = {.family = AF_UNIX};
    struct fault fault = {0};
    struct handlers_host host = {.exchange = exchange, .metrics = &metrics, .config = on_config, .wake = on_wake};
    struct handler handler = {.pattern = "*", .is_program = true, .take = on_take};
    struct handlers *handlers = handlers_new(&host);
    struct connection *connection = connection_new(hub, &scarce_dialect, CODEC_JSON, &identity, &address, &fault);
    int r = handlers && connection ? handlers_add(handlers, &handler) : -ENOMEM;
    if (r == 0) {
        connection_attach(connection, (struct link *)hub, &scarce_transport);
        r = ask_handler(handlers, hub, mailbox, connection, false);
        if (r == 0)
            r = ask_handler(handlers, hub, mailbox, connection, true);
        handlers_remove(handlers, &handler);
    }
    handlers_free(handlers);
    return r;
}

static int run_handlers(void)
{
    struct mailbox mailbox;
    struct ports ports = {.post = scarce_post, .has_room = scarce_has_room, .settle = scarce_settle, .wall_ms = scarce_wall_ms, .now_ms = scarce_wall_ms,
                          .argument = &mailbox};
    int r = mailbox_init(&mailbox, 1000);
    if (r < 0)
        return r;
    struct exchange *exchange = exchange_new(1, &ports);
    struct hub *hub = exchange ? hub_new(0, exchange, config, 1000) : NULL;
    struct letter letter;
    if (hub) {
        r = use_handlers(exchange, hub, &mailbox);
        while (mailbox_take(&mailbox, &letter))
            assert_true(hub_handle(hub, &letter, 1));
        assert_int_equal(atomic_load(&exchange->events.bytes), 0);
        hub_close_all(hub, FAULT_SHUTDOWN);
        hub_finish_turn(hub);
        hub_free(hub);
    }
    exchange_free(exchange);
    mailbox_done(&mailbox);
    return hub ? r : -ENOMEM;
}

/* It says so by its error, and nothing is left of it (which AddressSanitizer and valgrind see). */
static void events_are_answered_or_refused(void **state)
{
    unsigned number = 0;
    bool has_failed = true;
    struct buf problems = {0};
    log_set_level(LOG_AREA_CORE, LOG_LEVEL_ERROR);
    assert_int_equal(config_load(NULL, NULL, 0, &config, &problems), 0);
    while (has_failed) {
        scarce_begin(++number);
        int r = run_handlers();
        has_failed = scarce_end();
        if (r < 0 && !has_failed)
            fail_msg("%s, though nothing failed", strerror(-r));
    }
    assert_true(number > 30);
    config_unref(config);
    buf_done(&problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(events_are_answered_or_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

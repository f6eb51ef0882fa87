/*
 * Core under a fake clock, a fake transport and a fake mailbox: no sockets, no threads.
 */
#include "tests/unit/test.h"

#include "daemon/config/config_file.h"
#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "daemon/core/message.h"

#include <sys/socket.h>

struct world {
    struct config *config;
    struct exchange *exchange;
    struct hub *hub;
    struct letter mail[256];
    unsigned mail_count, room;
    unsigned closed_count;
    uint64_t wall_ms;
    const struct connection *watched;
    unsigned watched_flushes;
};

static struct world *the_world;         /* a transport's functions have no argument of their own */

static int fake_post(void *argument, unsigned worker, const struct letter *letter)
{
    struct world *world = argument;
    world->mail[world->mail_count++] = *letter;
    return 0;
}

static bool fake_has_room(void *argument, unsigned worker)
{
    struct world *world = argument;
    return world->mail_count < world->room;
}

static void fake_settle(void *argument, unsigned worker)
{
}

static void fake_flush(struct connection *connection)
{
    the_world->watched_flushes += connection == the_world->watched;
    connection_mark_sent(connection, outbox_unsent_count(&connection->outbox), 0);
}

static void fake_send_unnumbered(struct connection *connection, struct bytes text)
{
}

static uint64_t fake_tend(struct connection *connection, uint64_t now_ms)
{
    return 0;
}

static void fake_close(struct link *link, const struct fault *why, struct bytes farewell)
{
    the_world->closed_count++;
}

static void fake_add(struct connection *connection, struct buf *out)
{
}

static void fake_farewell(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out)
{
}

static uint64_t fake_wall(void *argument)
{
    return ((struct world *)argument)->wall_ms;
}

static const struct transport transport = {.name = "fake", .is_lasting = true, .flush = fake_flush,
    .send_unnumbered = fake_send_unnumbered, .tend = fake_tend, .close = fake_close};
static const struct dialect dialect = {.name = "fake", .is_resumable = true, .add_ping = fake_add, .add_ack = fake_add, .add_farewell = fake_farewell};

static int start(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct buf problems = {0};
    static const char *const overrides[] = {"limits.fanout-slice=16", "resume.window=10s", "connection.groups=4", "queue.envelopes=16"};
    assert_int_equal(config_load(NULL, overrides, COUNT_OF(overrides), &world->config, &problems), 0);
    buf_done(&problems);
    world->room = COUNT_OF(world->mail);
    struct ports ports = {.post = fake_post, .has_room = fake_has_room, .settle = fake_settle, .wall_ms = fake_wall, .argument = world};
    world->exchange = exchange_new(1, &ports);
    world->hub = hub_new(0, world->exchange, world->config, 1000);
    *state = the_world = world;
    return 0;
}

static void deliver(struct world *world)
{
    for (unsigned i = 0; i < world->mail_count; i++) {
        bool is_done = hub_handle(world->hub, &world->mail[i], 1);
        while (!is_done)
            is_done = hub_continue(world->hub);
    }
    world->mail_count = 0;
    hub_finish_turn(world->hub);
}

static int stop(void **state)
{
    struct world *world = *state;
    deliver(world);
    hub_close_all(world->hub, FAULT_SHUTDOWN);
    hub_finish_turn(world->hub);
    assert_int_equal(directory_count(world->exchange->directory, SPACE_GROUP), 0);
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
    hub_free(world->hub);
    exchange_free(world->exchange);
    config_unref(world->config);
    free(world);
    return 0;
}

static struct connection *connect_one(struct world *world, const char *user, bool opens)
{
    struct identity identity = {.user = bytes_text(user)};
    struct peer_address address = {.family = AF_UNIX};
    struct fault fault = {0};
    struct connection *connection = connection_new(world->hub, &dialect, CODEC_JSON, &identity, &address, &fault);
    assert_non_null(connection);
    if (opens)
        connection_attach(connection, (struct link *)world, &transport);
    return connection;
}

static int publish(struct world *world, struct target to, uint64_t except, unsigned *recipients)
{
    struct envelope envelope = {.event_name = BYTES("n")};
    struct message *message = message_new(&envelope);
    int r = exchange_publish(world->exchange, world->config, message, &to, except, recipients);
    message_unref(message);
    return r;
}

static struct target group(const char *name)
{
    return (struct target){.kind = TARGET_GROUP, .name = bytes_text(name)};
}

static void members_get_what_was_published_after_they_joined(void **state)
{
    struct world *world = *state;
    struct connection *a = connect_one(world, "", true), *b = connect_one(world, "", true);
    unsigned recipients;
    assert_int_equal(connection_join(a, BYTES("g")), 0);
    assert_int_equal(connection_join(a, BYTES("g")), -EALREADY);
    assert_int_equal(publish(world, group("g"), 0, &recipients), 0);
    assert_int_equal(recipients, 1);
    /* The letter is under way when b joins: it is not b's. */
    assert_int_equal(connection_join(b, BYTES("g")), 0);
    assert_int_equal(publish(world, group("g"), a->handle, &recipients), 0);
    deliver(world);
    assert_int_equal(outbox_last(&a->outbox), 1);
    assert_int_equal(outbox_last(&b->outbox), 1);
    assert_int_equal(connection_leave(b, BYTES("g")), 0);
    assert_int_equal(connection_leave(b, BYTES("g")), -ENOENT);
}

static void several_letters_to_one_place_are_told_apart_for_each_member(void **state)
{
    struct world *world = *state;
    struct connection *a = connect_one(world, "", true), *b = connect_one(world, "", true);
    unsigned recipients;
    assert_int_equal(connection_join(a, BYTES("g")), 0);
    assert_int_equal(publish(world, group("g"), 0, &recipients), 0);
    /* b comes in between: the first is not b's, and of the others one is a's own. */
    assert_int_equal(connection_join(b, BYTES("g")), 0);
    assert_int_equal(publish(world, group("g"), a->handle, &recipients), 0);
    assert_int_equal(publish(world, group("g"), 0, &recipients), 0);
    struct message *last = world->mail[2].message;
    assert_true(hub_handle(world->hub, world->mail, 3));
    world->mail_count = 0;
    assert_int_equal(outbox_last(&a->outbox), 2);
    assert_int_equal(outbox_last(&b->outbox), 2);
    assert_ptr_equal(outbox_peek(&a->outbox, 1), last);
    assert_ptr_equal(outbox_peek(&b->outbox, 1), last);
    assert_int_equal(last->references, 2);
}

static void a_slot_that_changes_hands_while_it_waits_is_flushed_once(void **state)
{
    struct world *world = *state;
    enum { COUNT = 100 };
    struct connection *all[COUNT];
    unsigned recipients;
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = connect_one(world, "", true);
        assert_int_equal(connection_join(all[i], BYTES("big")), 0);
    }
    /* More than limits.fanout-slice: most wait for later turns. */
    assert_int_equal(publish(world, group("big"), 0, &recipients), 0);
    deliver(world);
    assert_true(hub_is_busy(world->hub));
    assert_int_equal(outbox_unsent_count(&all[COUNT - 1]->outbox), 1);
    uint32_t slot = connection_slot(all[COUNT - 1]);
    struct fault why = {.id = FAULT_DISCONNECTED};
    connection_close(all[COUNT - 1], &why, false);
    hub_finish_turn(world->hub);
    world->watched = connect_one(world, "", true);
    assert_int_equal(connection_slot(world->watched), slot);
    assert_int_equal(connection_join((struct connection *)world->watched, BYTES("big")), 0);
    assert_int_equal(publish(world, group("big"), 0, &recipients), 0);
    deliver(world);
    while (hub_is_busy(world->hub))
        hub_finish_turn(world->hub);
    assert_int_equal(world->watched_flushes, 1);
    for (unsigned i = 0; i < COUNT - 1; i++)
        assert_int_equal(outbox_sent(&all[i]->outbox), 2);
}

static void leaving_in_the_middle_of_a_sliced_fanout_serves_each_member_once(void **state)
{
    struct world *world = *state;
    enum { COUNT = 1000 };
    struct connection *all[COUNT];
    unsigned recipients;
    for (unsigned i = 0; i < COUNT; i++) {
        all[i] = connect_one(world, "", true);
        assert_int_equal(connection_join(all[i], BYTES("big")), 0);
    }
    assert_int_equal(publish(world, group("big"), 0, &recipients), 0);
    uint32_t random = 3;
    bool is_done = hub_handle(world->hub, &world->mail[0], 1);
    while (!is_done) {
        for (unsigned i = 0; i < 3; i++)
            (void)!connection_leave(all[test_random(&random) % COUNT], BYTES("big"));
        is_done = hub_continue(world->hub);
    }
    world->mail_count = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        bool is_member = connection_is_member(all[i], BYTES("big"));
        uint64_t got = outbox_last(&all[i]->outbox);
        assert_true(is_member ? got == 1 : got <= 1);
    }
}

static void users_connections_and_everybody_are_reached(void **state)
{
    struct world *world = *state;
    struct connection *a = connect_one(world, "ann", true), *b = connect_one(world, "ann", true), *c = connect_one(world, "", true);
    unsigned recipients;
    char id[UUID_TEXT + 1];
    uuid_print(&c->id, id);
    assert_int_equal(publish(world, (struct target){.kind = TARGET_USER, .name = BYTES("ann")}, 0, &recipients), 0);
    assert_int_equal(recipients, 2);
    assert_int_equal(publish(world, (struct target){.kind = TARGET_CONNECTION, .name = bytes_text(id)}, 0, &recipients), 0);
    assert_int_equal(publish(world, (struct target){.kind = TARGET_ALL}, 0, &recipients), 0);
    assert_int_equal(publish(world, (struct target){.kind = TARGET_CONNECTION, .name = BYTES("nobody")}, 0, &recipients), -ENOENT);
    deliver(world);
    assert_int_equal(outbox_last(&a->outbox), 2);
    assert_int_equal(outbox_last(&b->outbox), 2);
    assert_int_equal(outbox_last(&c->outbox), 2);
}

static void a_full_mailbox_refuses_and_posts_nothing(void **state)
{
    struct world *world = *state;
    struct connection *a = connect_one(world, "", true);
    unsigned recipients;
    assert_int_equal(connection_join(a, BYTES("g")), 0);
    world->room = 1;
    assert_int_equal(publish(world, group("g"), 0, &recipients), 0);
    assert_int_equal(publish(world, group("g"), 0, &recipients), -EAGAIN);
    assert_int_equal(world->mail_count, 1);
}

static void a_parked_connection_waits_for_its_window_and_no_longer(void **state)
{
    struct world *world = *state;
    struct connection *a = connect_one(world, "", true);
    uint64_t handle = a->handle;
    assert_int_equal(connection_join(a, BYTES("g")), 0);
    connection_detach(a);
    world->hub->now_ms += 9900;
    wheel_run(&world->hub->wheel, world->hub->now_ms);
    assert_ptr_equal(hub_find(world->hub, handle), a);
    world->hub->now_ms += 200;
    wheel_run(&world->hub->wheel, world->hub->now_ms);
    assert_null(hub_find(world->hub, handle));
    hub_finish_turn(world->hub);
}

static void a_client_that_leaves_too_much_is_closed(void **state)
{
    struct world *world = *state;
    struct connection *a = connect_one(world, "", true);
    unsigned recipients;
    assert_int_equal(connection_join(a, BYTES("g")), 0);
    connection_detach(a);
    for (unsigned i = 0; i < 17; i++)
        assert_int_equal(publish(world, group("g"), 0, &recipients), 0);
    deliver(world);
    assert_int_equal(metrics_get(&world->hub->metrics, METRIC_SLOW_CONSUMERS_CLOSED), 1);
}

static struct connection *find(struct world *world, const char *text)
{
    struct token token;
    return token_parse(bytes_text(text), &token) == 0 ? hub_find_token(world->hub, &token) : NULL;
}

static void tokens_name_their_connection_and_no_other(void **state)
{
    struct world *world = *state;
    struct connection *a = connect_one(world, "", false), *b = connect_one(world, "", true);
    char token[TOKEN_TEXT + 1];
    struct token parsed;
    connection_token(a, token);
    assert_int_equal(token_parse(bytes_text(token), &parsed), 0);
    assert_int_equal(token_worker(&parsed), 0);
    assert_ptr_equal(find(world, token), a);
    token[20] = token[20] == 'A' ? 'B' : 'A';
    assert_null(find(world, token));
    assert_int_equal(token_parse(BYTES(""), &parsed), -EBADMSG);
    connection_token(b, token);
    struct fault why = {.id = FAULT_DISCONNECTED};
    connection_close(b, &why, false);
    assert_null(find(world, token));
    assert_int_equal(world->closed_count, 1);
}

static struct connection *connect_until(struct world *world, const char *user, uint64_t expires_s)
{
    struct identity identity = {.user = bytes_text(user), .has_token = true,
                                .terms = {.expires_s = expires_s, .token_id = BYTES("an-id")}};
    struct peer_address address = {.family = AF_UNIX};
    struct fault fault = {0};
    struct connection *connection = connection_new(world->hub, &dialect, CODEC_JSON, &identity, &address, &fault);
    assert_non_null(connection);
    connection_attach(connection, (struct link *)world, &transport);
    return connection;
}

/* Both clocks go on. */
static void pass(struct world *world, uint64_t ms)
{
    world->wall_ms += ms;
    world->hub->now_ms += ms;
    wheel_run(&world->hub->wheel, world->hub->now_ms);
    hub_finish_turn(world->hub);
}

static void connections_end_in_the_order_of_their_tokens(void **state)
{
    struct world *world = *state;
    uint64_t handles[100], ends_s[100];
    uint32_t random = 5;
    world->wall_ms = UINT64_C(1700000000000);
    world->config->auth.leeway_ms = 0;
    for (unsigned i = 0; i < COUNT_OF(handles); i++) {
        ends_s[i] = 1700000001 + test_random(&random) % 60;
        handles[i] = connect_until(world, "u", ends_s[i])->handle;
    }
    struct connection *never = connect_until(world, "u", GRANT_NEVER_ENDS);
    /* Some go before, some get a new token. */
    for (unsigned i = 0; i < COUNT_OF(handles); i += 10) {
        struct fault why = {.id = FAULT_CLIENT_CLOSED};
        struct grant_terms terms = {.expires_s = ends_s[i + 1] = ends_s[i + 1] + 30};
        connection_close(hub_find(world->hub, handles[i]), &why, false);
        ends_s[i] = 0;
        assert_int_equal(grants_set(world->hub, hub_find(world->hub, handles[i + 1]), &terms), 0);
    }
    for (unsigned second = 1; second <= 100; second++) {
        pass(world, 1000);
        for (unsigned i = 0; i < COUNT_OF(handles); i++)
            assert_int_equal(hub_find(world->hub, handles[i]) != NULL, ends_s[i] > 1700000000 + second);
    }
    assert_int_equal(world->hub->grants.count, 1);
    assert_bytes(grants_find(world->hub, never)->terms.token_id, "an-id");
}

static void a_wall_clock_that_jumps_ends_them_within_seconds(void **state)
{
    struct world *world = *state;
    world->wall_ms = UINT64_C(1700000000000);
    world->config->auth.leeway_ms = 0;
    uint64_t handle = connect_until(world, "u", 1700003600)->handle;
    pass(world, 10000);
    assert_non_null(hub_find(world->hub, handle));
    world->wall_ms += 3600 * 1000;
    pass(world, 5050);
    assert_null(hub_find(world->hub, handle));
    /* And one that jumps back lengthens them. */
    handle = connect_until(world, "u", 1700003700)->handle;
    world->wall_ms -= 3600 * 1000;
    pass(world, 200000);
    assert_non_null(hub_find(world->hub, handle));
}

static void a_connection_without_a_token_has_no_grant(void **state)
{
    struct world *world = *state;
    struct connection *connection = connect_one(world, "u", true);
    assert_null(grants_find(world->hub, connection));
    grants_drop(world->hub, connection);
    assert_false(timer_is_set(&world->hub->grants.timer));
    assert_null(world->hub->grants.heap);
    assert_int_equal(sizeof(struct connection), 216);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(members_get_what_was_published_after_they_joined, start, stop),
        cmocka_unit_test_setup_teardown(several_letters_to_one_place_are_told_apart_for_each_member, start, stop),
        cmocka_unit_test_setup_teardown(a_slot_that_changes_hands_while_it_waits_is_flushed_once, start, stop),
        cmocka_unit_test_setup_teardown(leaving_in_the_middle_of_a_sliced_fanout_serves_each_member_once, start, stop),
        cmocka_unit_test_setup_teardown(users_connections_and_everybody_are_reached, start, stop),
        cmocka_unit_test_setup_teardown(a_full_mailbox_refuses_and_posts_nothing, start, stop),
        cmocka_unit_test_setup_teardown(a_parked_connection_waits_for_its_window_and_no_longer, start, stop),
        cmocka_unit_test_setup_teardown(a_client_that_leaves_too_much_is_closed, start, stop),
        cmocka_unit_test_setup_teardown(tokens_name_their_connection_and_no_other, start, stop),
        cmocka_unit_test_setup_teardown(connections_end_in_the_order_of_their_tokens, start, stop),
        cmocka_unit_test_setup_teardown(a_wall_clock_that_jumps_ends_them_within_seconds, start, stop),
        cmocka_unit_test_setup_teardown(a_connection_without_a_token_has_no_grant, start, stop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

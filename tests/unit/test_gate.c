/*
 * The gate: who is asked what, and what becomes of what is said.
 */
#include "tests/unit/gate_world.h"

static void while_nobody_judges_nothing_waits(void **state)
{
    struct world *world = *state;
    gate_set_judge(&world->exchange->gate, NULL);
    int peer = ask(world, NEGOTIATE);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    assert_int_equal(world->call_count, 0);
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_CONNECTS_JUDGED), 0);
    close(peer);
}

static void every_way_of_opening_waits_and_goes_on(void **state)
{
    static const char *const answers[] = {"connectionToken", "\"transport\":\"longpoll\"", "HTTP/1.1 101", "rtc.welcome", "rtc.welcome"};
    struct world *world = *state;
    for (size_t i = 0; i < COUNT_OF(openings); i++) {
        int peer = ask(world, openings[i]);
        assert_string_equal(hear(world, peer), "");
        assert_int_equal(world->call_count, 1);
        answer(world);
        assert_has(hear(world, peer), answers[i]);
        close(peer);
        turn(world);
    }
}

static void a_refusal_is_answered_with_its_code_and_words(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < COUNT_OF(openings); i++) {
        int peer = ask(world, openings[i]);
        refuse(world);
        const char *text = hear(world, peer);
        assert_has(text, "HTTP/1.1 403");
        assert_has(text, "application/problem+json");
        assert_has(text, "\"code\":\"forbidden\"");
        assert_has(text, "not on the list");
        close(peer);
        turn(world);
    }
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_CONNECTS_REFUSED), COUNT_OF(openings));
}

static void the_verdict_furnishes_the_connection(void **state)
{
    struct world *world = *state;
    for (size_t i = 2; i < COUNT_OF(openings); i++) {
        int peer = ask(world, openings[i]);
        struct verdict *verdict = verdict_of(world, 0);
        assert_int_equal(verdict_set_user(verdict, BYTES("anna"), NULL), 0);
        assert_int_equal(verdict_add_group(verdict, BYTES("staff"), NULL), 0);
        assert_int_equal(verdict_add_label(verdict, BYTES("net"), BYTES("lan"), NULL), 0);
        assert_int_equal(verdict_set_info(verdict, BYTES("{\"n\":1}"), NULL), 0);
        answer(world);
        struct connection *connection = the_connection(world);
        assert_bytes(connection_user(connection), "anna");
        assert_true(connection_is_member(connection, BYTES("staff")));
        const struct labels *labels = labels_find(world->worker->hub, connection);
        assert_non_null(labels);
        assert_bytes(labels->labels, "{\"net\":\"lan\"}");
        assert_bytes(labels->info, "{\"n\":1}");
        assert_has(hear(world, peer), "\"staff\"");
        struct fault why = {.id = FAULT_CLIENT_CLOSED};
        connection_close(connection, &why, false);
        turn(world);
        close(peer);
        assert_int_equal(table_count(&world->worker->hub->labels), 0);
    }
}

static void the_judge_is_shown_what_the_request_says_but_no_secret(void **state)
{
    struct world *world = *state;
    int peer = ask(world, "GET /rtc/sse?a=1&token=AAAA&%74oken=BBBB&user=carl&group=g HTTP/1.1\r\n" HEAD
                   "Origin: http://a\r\nCookie: session=5\r\nX-Other: 1\r\n\r\n");
    const struct gate_facts *facts = &world->calls[0]->facts;
    char address[PEER_TEXT_MAX];
    peer_address_print(&facts->address, address);
    assert_has(address, "192.0.2.7");
    assert_false(facts->is_negotiation);
    assert_false(facts->is_proved);
    assert_bytes(facts->user, "carl");
    assert_bytes(facts->transport, "sse");
    assert_bytes(facts->protocol, "json");
    assert_bytes(facts->path, "/rtc/sse");
    assert_bytes(facts->query, "a=1&user=carl&group=g");
    assert_bytes(facts->origin, "http://a");
    assert_int_equal(facts->header_count, 1);
    assert_bytes(facts->headers[0].name, "cookie");
    assert_bytes(facts->headers[0].value, "session=5");
    /* A claim gives way to what the judge says. */
    assert_int_equal(verdict_set_user(verdict_of(world, 0), BYTES("anna"), NULL), 0);
    answer(world);
    assert_bytes(connection_user(the_connection(world)), "anna");
    close(peer);
}

static void where_nobody_may_come_in_nameless_the_judge_may_name_him(void **state)
{
    struct world *world = start_with("connection.anonymous=false");
    int peer = ask(world, NEGOTIATE);
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 401");
    say(world, peer, NEGOTIATE);
    assert_int_equal(verdict_set_user(verdict_of(world, 0), BYTES("anna"), NULL), 0);
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    gate_set_judge(&world->exchange->gate, NULL);
    say(world, peer, NEGOTIATE);
    assert_has(hear(world, peer), "HTTP/1.1 401");
    close(peer);
    finish(world);
}

static void say_before(void *argument, struct hub *hub, const struct gate_facts *facts, struct verdict *verdict)
{
    ++*(unsigned *)argument;
    assert_int_equal(verdict_add_label(verdict, BYTES("from"), facts->transport.length ? facts->transport : BYTES("?"), NULL), 0);
}

static void what_middleware_said_is_not_lost_at_the_gate_and_not_asked_twice(void **state)
{
    struct world *world = *state;
    unsigned asked = 0;
    struct middleware middleware = {.argument = &asked, .negotiate = say_before, .connect = say_before};
    world->exchange->middleware = &middleware;
    int peer = ask(world, NEGOTIATE);
    assert_int_equal(asked, 2);
    assert_int_equal(verdict_withhold(verdict_of(world, 0), BYTES("websocket"), NULL), 0);
    answer(world);
    const char *text = hear(world, peer);
    assert_has(text, "\"transport\":\"sse\"");
    assert_null(strstr(text, "websocket"));
    assert_int_equal(asked, 2);
    assert_bytes(labels_find(world->worker->hub, the_connection(world))->labels, "{\"from\":\"websocket\"}");
    say(world, peer, NEGOTIATE);
    assert_int_equal(verdict_redirect(verdict_of(world, 0), BYTES("https://a/rtc"), BYTES("t"), NULL), 0);
    answer(world);
    assert_has(hear(world, peer), "{\"url\":\"https://a/rtc\",\"accessToken\":\"t\"}");
    world->exchange->middleware = NULL;
    close(peer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(while_nobody_judges_nothing_waits),
        GATE_TEST(every_way_of_opening_waits_and_goes_on),
        GATE_TEST(a_refusal_is_answered_with_its_code_and_words),
        GATE_TEST(the_verdict_furnishes_the_connection),
        GATE_TEST(the_judge_is_shown_what_the_request_says_but_no_secret),
        TEST(where_nobody_may_come_in_nameless_the_judge_may_name_him),
        GATE_TEST(what_middleware_said_is_not_lost_at_the_gate_and_not_asked_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Links that wait at the gate: lost ones, late ones, what comes behind them, and which worker they wait at.
 */
#include "tests/unit/gate_world.h"

static void a_link_lost_while_it_waits_costs_nothing(void **state)
{
    struct world *world = *state;
    for (size_t i = 0; i < COUNT_OF(openings); i++) {
        close(ask(world, openings[i]));
        turn(world);
        assert_int_equal(world->worker->link_count, 0);
        assert_int_equal(atomic_load(&world->exchange->gate.waiting), 1);
        answer(world);
        assert_int_equal(atomic_load(&world->exchange->gate.waiting), 0);
    }
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
}

static void who_waits_too_long_is_told_so_and_may_ask_again(void **state)
{
    struct world *world = *state;
    int peer = ask(world, NEGOTIATE);
    now_ms += 11 * SECOND_MS;
    turn(world);
    assert_has(hear(world, peer), "HTTP/1.1 408");
    say(world, peer, NEGOTIATE);
    answer(world);
    assert_string_equal(hear(world, peer), "");
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_GATE_TIMEOUTS), 1);
    close(peer);
}

static void more_than_may_wait_are_refused(void **state)
{
    struct world *world = *state;
    int peers[WAITING + 1];
    for (unsigned i = 0; i <= WAITING; i++)
        peers[i] = ask(world, NEGOTIATE);
    assert_int_equal(world->call_count, WAITING);
    const char *text = hear(world, peers[WAITING]);
    assert_has(text, "HTTP/1.1 503");
    assert_has(text, "Retry-After");
    assert_int_equal(metrics_get(&world->worker->hub->metrics, METRIC_GATE_FULL), 1);
    for (unsigned i = 0; i < WAITING; i++)
        answer(world);
    say(world, peers[WAITING], NEGOTIATE);
    answer(world);
    for (unsigned i = 0; i <= WAITING; i++) {
        assert_has(hear(world, peers[i]), "HTTP/1.1 200");
        close(peers[i]);
    }
}

static void requests_behind_one_that_waits_are_answered_in_their_turn(void **state)
{
    struct world *world = *state;
    int peer = ask(world, NEGOTIATE "GET /nothing HTTP/1.1\r\n" HEAD "\r\n" NEGOTIATE NEGOTIATE);
    assert_string_equal(hear(world, peer), "");
    assert_int_equal(world->call_count, 1);
    answer(world);
    const char *text = hear(world, peer);
    assert_has(text, "HTTP/1.1 200");
    assert_has(strstr(text, "HTTP/1.1 200"), "HTTP/1.1 404");
    refuse(world);
    assert_has(hear(world, peer), "HTTP/1.1 403");
    answer(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    close(peer);
}

static void frames_behind_a_handshake_that_waits_are_taken_afterwards(void **state)
{
    static const unsigned char mask[4] = {1, 2, 3, 4};
    struct world *world = *state;
    struct buf out = {0};
    buf_add_text(&out, openings[2]);
    ws_add_masked_frame(&out, WS_TEXT, BYTES("{\"eventName\":\"rtc.ping\",\"data\":\"here\"}"), mask);
    int peer = peer_open(world);
    assert_int_equal(send(peer, out.data, out.length, MSG_NOSIGNAL), out.length);
    turn(world);
    assert_string_equal(hear(world, peer), "");
    answer(world);
    const char *text = hear(world, peer);
    assert_has(text, "HTTP/1.1 101");
    assert_has(text, "rtc.pong");
    buf_done(&out);
    close(peer);
}

static void who_waits_when_the_daemon_stops_is_told_so(void **state)
{
    struct world *world = start_with("limits.burst=5s");
    struct letter stop_letter = {.kind = LETTER_STOP};
    int peer = ask(world, NEGOTIATE);
    assert_int_equal(on_post(world, 0, &stop_letter), 0);
    turn(world);
    assert_has(hear(world, peer), "\"code\":\"draining\"");
    answer(world);
    close(peer);
    finish(world);
}

static void a_judge_that_went_leaves_nobody_waiting(void **state)
{
    struct world *world = *state;
    int peer = peer_open(world);
    assert_int_equal(send(peer, NEGOTIATE, strlen(NEGOTIATE), MSG_NOSIGNAL), strlen(NEGOTIATE));
    worker_turn(world->worker, 0);
    gate_set_judge(&world->exchange->gate, NULL);
    turn(world);
    assert_has(hear(world, peer), "HTTP/1.1 200");
    close(peer);
}

/* The token of a connection that is not there, of this worker's. */
static void token_of(unsigned worker, char ret[static TOKEN_TEXT + 1])
{
    unsigned char raw[TOKEN_BYTES] = {1, (unsigned char)worker};
    struct buf text = {0};
    text_add_base64url(&text, bytes_of(raw, sizeof(raw)));
    snprintf(ret, TOKEN_TEXT + 1, "%s", buf_text(&text));
    buf_done(&text);
}

static void a_request_waits_at_the_worker_that_its_token_names(void **state)
{
    struct world *world = *state;
    for (unsigned worker = 0; worker < WORKERS; worker++) {
        char token[TOKEN_TEXT + 1], text[512];
        token_of(worker, token);
        snprintf(text, sizeof(text), "GET /rtc/sse?token=%s HTTP/1.1\r\n" HEAD "\r\n", token);
        int peer = ask(world, text);
        assert_int_equal(world->workers[worker]->link_count, 1);
        assert_int_equal(world->calls[0]->worker, worker);
        assert_int_equal(world->calls[0]->facts.query.length, 0);
        answer(world);
        assert_has(hear(world, peer), "\"resumed\":false");
        close(peer);
        turn(world);
    }
}

static void who_comes_back_is_not_judged_but_who_comes_too_late_is(void **state)
{
    struct world *world = *state;
    char token[TOKEN_TEXT + 1], text[512];
    int peer = ask(world, openings[3]);
    answer(world);
    connection_token(the_connection(world), token);
    close(peer);
    turn(world);
    snprintf(text, sizeof(text), "GET /rtc/sse?token=%s&received=0 HTTP/1.1\r\n" HEAD "\r\n", token);
    peer = ask(world, text);
    assert_has(hear(world, peer), "\"resumed\":true");
    assert_int_equal(world->call_count, 0);

    /* A number that was never sent: the old connection ends, and a new one is asked for. */
    snprintf(text, sizeof(text), "GET /rtc/sse?token=%s&received=7 HTTP/1.1\r\n" HEAD "\r\n", token);
    int second = ask(world, text);
    assert_int_equal(limits_connection_count(world->exchange->limits), 0);
    refuse(world);
    assert_has(hear(world, second), "HTTP/1.1 403");
    say(world, second, text);
    answer(world);
    assert_has(hear(world, second), "\"resumed\":false");
    close(peer);
    close(second);
}

static void two_transports_of_one_client_may_wait_at_once(void **state)
{
    struct world *world = *state;
    int first = ask(world, openings[2]), second = ask(world, openings[4]);
    assert_int_equal(world->call_count, 2);
    close(first);
    turn(world);
    answer(world);
    assert_string_equal(hear(world, second), "");
    answer(world);
    assert_has(hear(world, second), "rtc.welcome");
    close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        GATE_TEST(a_link_lost_while_it_waits_costs_nothing),
        GATE_TEST(who_waits_too_long_is_told_so_and_may_ask_again),
        GATE_TEST(more_than_may_wait_are_refused),
        GATE_TEST(requests_behind_one_that_waits_are_answered_in_their_turn),
        GATE_TEST(frames_behind_a_handshake_that_waits_are_taken_afterwards),
        TEST(who_waits_when_the_daemon_stops_is_told_so),
        GATE_TEST(a_judge_that_went_leaves_nobody_waiting),
        GATE_TEST(a_request_waits_at_the_worker_that_its_token_names),
        GATE_TEST(who_comes_back_is_not_judged_but_who_comes_too_late_is),
        GATE_TEST(two_transports_of_one_client_may_wait_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

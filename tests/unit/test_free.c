#include "tests/unit/loopback.h"

#include "lib/rtc.h"
#include "lib/ws_frame.h"

/* A client and a server that the test plays, up to the greeting. */
struct server {
    struct rtc_client *client;
    uint16_t port;
    int listener, negotiation, socket;
    unsigned before;                    /* descriptors */
};

static void server_turn(struct server *server, int descriptor)
{
    struct pollfd waits[] = {{.fd = rtc_fd(server->client), .events = POLLIN}, {.fd = descriptor, .events = POLLIN}};
    int timeout_ms = rtc_timeout_ms(server->client);
    int r = poll(waits, COUNT_OF(waits), timeout_ms < 0 || timeout_ms > PATIENCE_MS ? PATIENCE_MS : timeout_ms);
    if (r == 0 && timeout_ms > PATIENCE_MS)
        fail_msg("nothing happens");
    rtc_process(server->client);
}

static int server_accept(struct server *server)
{
    int peer;
    while ((peer = accept4(server->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) < 0)
        server_turn(server, server->listener);
    return peer;
}

/* A request's head, as text. */
static void server_read_head(struct server *server, int peer, struct buf *ret)
{
    char byte;
    while (ret->length < 4 || memcmp(ret->data + ret->length - 4, "\r\n\r\n", 4) != 0) {
        if (recv(peer, &byte, 1, 0) == 1)
            buf_add_byte(ret, (unsigned char)byte);
        else
            server_turn(server, peer);
    }
}

static void server_say(int peer, const char *text)
{
    assert_int_equal(send(peer, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static void server_negotiate(struct server *server)
{
    static const char body[] = "{\"connectionId\":\"c\",\"connectionToken\":\"t\",\"transports\":[{\"name\":\"websocket\","
                               "\"path\":\"/rtc/websocket\",\"protocols\":[\"json\"]}],\"keepAlive\":15000,\"timeout\":30000,\"maxMessageSize\":65536}";
    struct buf head = {0}, answer = {0};
    server->negotiation = server_accept(server);
    server_read_head(server, server->negotiation, &head);
    buf_add_format(&answer, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s", sizeof(body) - 1, body);
    server_say(server->negotiation, buf_text(&answer));
    buf_done(&answer);
    buf_done(&head);
}

static void server_greet(struct server *server)
{
    static const char key_name[] = "Sec-WebSocket-Key: ";
    static const char welcome[] = "{\"eventName\":\"rtc.welcome\",\"data\":{\"connectionId\":\"c\",\"connectionToken\":\"t\",\"resumed\":true,\"received\":0}}";
    struct buf head = {0}, answer = {0};
    char accept[WS_ACCEPT_TEXT + 1];
    server->socket = server_accept(server);
    server_read_head(server, server->socket, &head);
    const char *key = strstr(buf_text(&head), key_name);
    assert_non_null(key);
    key += strlen(key_name);
    assert_int_equal(ws_accept(bytes_of(key, strcspn(key, "\r")), accept), 0);
    buf_add_format(&answer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n"
                   "Sec-WebSocket-Protocol: rtc.v1.json\r\n\r\n\x81%c%s", accept, (int)sizeof(welcome) - 1, welcome);
    assert_true(sizeof(welcome) - 1 < 126);
    server_say(server->socket, buf_text(&answer));
    while (rtc_state(server->client) != RTC_STATE_CONNECTED)
        server_turn(server, -1);
    buf_done(&answer);
    buf_done(&head);
}

static void server_init(struct server *server)
{
    struct rtc_error error = {0};
    char url[64];
    struct rtc_builder *builder = rtc_builder_new();
    *server = (struct server){.before = open_descriptors(), .negotiation = -1, .socket = -1};
    server->listener = loopback_listen("127.0.0.1", &server->port, 8);
    snprintf(url, sizeof(url), "http://127.0.0.1:%u/rtc", server->port);
    rtc_builder_url(builder, url);
    rtc_builder_transports(builder, "websocket");
    server->client = rtc_builder_build(builder, &error);
    if (!server->client)
        fail_msg("%s", error.message);
    rtc_builder_free(builder);
    assert_int_equal(rtc_start(server->client), RTC_OK);
}

static void server_done(struct server *server)
{
    const int all[] = {server->listener, server->negotiation, server->socket};
    for (size_t i = 0; i < COUNT_OF(all); i++)
        if (all[i] >= 0)
            close(all[i]);
    assert_int_equal(open_descriptors(), server->before);
}

static void a_connected_client_holds_two_descriptors(void **state)
{
    struct server server;
    server_init(&server);
    server_negotiate(&server);
    server_greet(&server);
    assert_int_equal(open_descriptors(), server.before + 3 + 2);    /* the server's three; epoll and the socket */
    rtc_free(server.client);
    server_done(&server);
}

static void a_client_that_is_freed_leaves_nothing_open_and_says_goodbye(void **state)
{
    struct server server;
    unsigned char frame[2];
    server_init(&server);
    server_negotiate(&server);
    server_greet(&server);
    rtc_free(server.client);
    assert_int_equal(recv(server.socket, frame, sizeof(frame), 0), sizeof(frame));
    assert_int_equal(frame[0], 0x88);
    server_done(&server);
}

static void a_client_may_be_freed_at_any_time_on_its_way(void **state)
{
    for (int step = 0; step < 4; step++) {
        struct server server;
        server_init(&server);
        if (step >= 1)
            server.negotiation = server_accept(&server);
        if (step >= 2) {
            close(server.negotiation);
            server_turn(&server, -1);   /* lost at once */
            server.negotiation = -1;
        }
        if (step >= 3) {
            rtc_stop(server.client);
            rtc_process(server.client);
        }
        rtc_free(server.client);
        server_done(&server);
    }
}

static void a_client_that_was_stopped_may_be_freed_before_the_server_has_closed(void **state)
{
    struct server server;
    server_init(&server);
    server_negotiate(&server);
    server_greet(&server);
    rtc_stop(server.client);
    assert_int_equal(rtc_state(server.client), RTC_STATE_STOPPED);
    rtc_free(server.client);
    server_done(&server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_connected_client_holds_two_descriptors), TEST(a_client_that_is_freed_leaves_nothing_open_and_says_goodbye),
        TEST(a_client_may_be_freed_at_any_time_on_its_way), TEST(a_client_that_was_stopped_may_be_freed_before_the_server_has_closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

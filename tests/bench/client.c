/*
 * Client: see client.h. Sockets, opening and counting; how bytes become messages is the carriers' business.
 */
#include "tests/bench/client.h"
#include "tests/bench/speech.h"

#include <arpa/inet.h>
#include <err.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* One local address has about 28,000 ports, and the kernel searches long for the last free ones: each block of clients has
 * an address of its own. */
enum { EVENTS_AT_ONCE = 512, SILENCE_MS = 10000, CLIENTS_PER_ADDRESS = 10000 };

static unsigned char buffer[256 * 1024];

void group_name(int group, char ret_name[static GROUP_NAME + 1])
{
    snprintf(ret_name, GROUP_NAME + 1, "g%05u", (unsigned)group % 100000);
}

void load_init(struct load *load, uint16_t port, bool is_tls, uint32_t message_min, uint32_t count_max)
{
    *load = (struct load){.port = port, .message_min = message_min, .tls = is_tls ? client_tls_context() : NULL};
    load->epoll = epoll_create1(EPOLL_CLOEXEC);
    load->clients = calloc(count_max, sizeof(*load->clients));
    if (load->epoll < 0 || !load->clients)
        err(1, "epoll");
}

void load_done(struct load *load)
{
    load_cut(load, 0, load->count);
    for (uint32_t i = 0; i < load->count; i++)
        free(load->clients[i].token);
    free(load->clients);
    close(load->epoll);
    client_tls_context_free(load->tls);
}

void client_send_raw(struct client *client, struct bytes bytes)
{
    if (client->tls) {
        client_tls_send(client, bytes);
        return;
    }
    ssize_t sent = send(client->descriptor, bytes.data, bytes.length, MSG_NOSIGNAL);
    if (sent != (ssize_t)bytes.length)
        err(1, "send took %zd of %zu bytes", sent, bytes.length);
}

void client_send(struct client *client, enum ws_opcode opcode, struct bytes payload)
{
    static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};
    static struct buf frame;
    buf_clear(&frame);
    ws_add_masked_frame(&frame, opcode, payload, mask);
    client_send_raw(client, buf_bytes(&frame));
}

void client_publish(struct client *client, int group, struct bytes data)
{
    static struct buf message;
    buf_clear(&message);
    client->speech->add_publish(&message, group, data);
    client_send(client, client->speech->opcode, buf_bytes(&message));
}

void client_opened(struct load *load, struct client *client)
{
    client->is_open = true;
    load->open_count++;
}

void client_took(struct load *load, struct client *client, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (load->on_message)
            load->on_message(client, load->argument);
        client->messages++;
        load->messages++;
    }
}

void client_pinged(struct load *load, struct client *client)
{
    load->pinged_count += !client->is_pinged;
    client->is_pinged = true;
}

void client_greet(struct load *load, struct client *client, struct bytes message)
{
    struct buf say = {0};
    bool is_over = !client->speech->greet || client->speech->greet(client, message, &say);
    if (say.length)
        client_send(client, client->speech->opcode, buf_bytes(&say));
    buf_done(&say);
    client->step++;
    if (is_over)
        client_opened(load, client);
}

static void client_start(struct load *load, struct client *client)
{
    uint32_t number = (uint32_t)(client - load->clients);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(load->port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in own = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK + number / CLIENTS_PER_ADDRESS)};
    int on = 1;
    client->descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (client->descriptor < 0)
        err(1, "connection %u", number);
    setsockopt(client->descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
    /* Blocking: on loopback a connect is over as soon as the server's kernel has room for it. */
    if (bind(client->descriptor, (struct sockaddr *)&own, sizeof(own)) < 0
        || connect(client->descriptor, (struct sockaddr *)&address, sizeof(address)) < 0)
        err(1, "connection %u", number);
    setsockopt(client->descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = client};
    if (epoll_ctl(load->epoll, EPOLL_CTL_ADD, client->descriptor, &event) < 0)
        err(1, "epoll_ctl");
    if (load->tls)
        client_tls_open(load, client);
    client->speech->carrier->begin(load, client);
}

struct client *load_add(struct load *load, const struct speech *speech, struct role role)
{
    struct client *client = &load->clients[load->count++];
    *client = (struct client){.descriptor = -1, .speech = speech, .role = role};
    return client;
}

void load_open(struct load *load, uint32_t first, uint32_t count, uint32_t at_once)
{
    uint32_t started = 0, before = load->open_count;
    while (load->open_count - before < count) {
        while (started < count && started - (load->open_count - before) < at_once)
            client_start(load, &load->clients[first + started++]);
        if (load->open_count - before < count && !load_turn(load))
            errx(1, "%u of %u clients are open, and nothing more happens", load->open_count - before, count);
    }
}

void load_cut(struct load *load, uint32_t first, uint32_t count)
{
    struct linger reset = {.l_onoff = 1};
    for (struct client *client = load->clients + first; client < load->clients + first + count; client++) {
        if (client->descriptor < 0)
            continue;
        setsockopt(client->descriptor, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
        client_tls_close(client);
        close(client->descriptor);
        buf_done(&client->held);
        load->open_count -= client->is_open;
        *client = (struct client){.descriptor = -1, .speech = client->speech, .role = client->role, .token = client->token,
                                  .messages = client->messages};
    }
}

void load_deafen(struct load *load, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++)
        epoll_ctl(load->epoll, EPOLL_CTL_DEL, load->clients[i].descriptor, NULL);
}

void load_expect_pings(struct load *load)
{
    for (uint32_t i = 0; i < load->count; i++)
        load->clients[i].is_pinged = false;
    load->pinged_count = 0;
}

static void client_feed(struct load *load, struct client *client, const unsigned char *data, size_t length)
{
    while (length) {
        size_t used = client->speech->carrier->take(load, client, data, length);
        if (used == 0) {
            buf_add(&client->held, data, length);
            return;
        }
        data += used;
        length -= used;
    }
}

static void client_read(struct load *load, struct client *client)
{
    size_t held = client->held.length;
    if (held) {
        memcpy(buffer, client->held.data, held);
        buf_done(&client->held);
    }
    ssize_t got = client->tls ? client_tls_receive(client, buffer + held, sizeof(buffer) - held)
        : recv(client->descriptor, buffer + held, sizeof(buffer) - held, MSG_DONTWAIT);
    if (got < 0 && errno != EAGAIN)
        err(1, "recv");
    if (got < 0) {
        buf_add(&client->held, buffer, held);
        return;
    }
    if (got == 0)
        errx(1, "the server hung up on a client: %.*s", (int)held, (const char *)buffer);
    client_feed(load, client, buffer, held + (size_t)got);
}

bool load_wait(struct load *load, int wait_ms)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    int count = epoll_wait(load->epoll, events, EVENTS_AT_ONCE, wait_ms);
    for (int i = 0; i < count; i++)
        client_read(load, events[i].data.ptr);
    return count > 0;
}

bool load_turn(struct load *load)
{
    return load_wait(load, SILENCE_MS);
}

/*
 * Admin client: see admin_client.h. Requests are read in large pieces and taken from them line by line; a client that does not
 * read its answers is not read either, nor one whose message no mailbox has room for.
 */
#include "daemon/admin/admin_client.h"

#include "daemon/admin/admin_call.h"
#include "daemon/admin/admin_wait.h"
#include "daemon/config/config.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, RETRY_MS = 1 };

struct admin_client *admin_find_client(struct admin *admin, uint64_t id)
{
    LIST_EACH(node, &admin->clients) {
        struct admin_client *client = CONTAINER_OF(node, struct admin_client, node);
        if (client->id == id)
            return client;
    }
    return NULL;
}

void admin_client_free(struct admin_client *client)
{
    list_remove(&client->node);
    admin_waits_drop(client->admin, client->id);
    admin_handlers_drop(client);
    if (client->is_listening)
        notices_refresh(client->admin->host.notices);
    if (client->call) {
        admin_api_drop(client->call);
        free(client);
        return;
    }
    client->admin->client_count--;
    if (client->read_event)
        event_free(client->read_event);
    if (client->write_event)
        event_free(client->write_event);
    if (client->retry_event)
        event_free(client->retry_event);
    close(client->descriptor);
    buf_done(&client->in);
    buf_done(&client->out);
    free(client->pattern);
    free(client);
}

void admin_client_send(struct admin_client *client, struct bytes line)
{
    /* While something is queued, the write event stands ready already. */
    if (client->out.length == 0)
        event_active(client->write_event, EV_WRITE, 0);
    buf_add_bytes(&client->out, line);
    buf_add_byte(&client->out, '\n');
}

void admin_client_fail(struct admin_client *client)
{
    buf_fail(&client->out);
    event_active(client->write_event, EV_WRITE, 0);
}

void admin_client_bar(struct admin_client *client)
{
    client->is_barred = client->is_over = true;
    event_active(client->write_event, EV_WRITE, 0);
}

void admin_client_deafen(struct admin_client *client)
{
    if (client->call)
        return;
    event_del(client->read_event);
    event_del(client->retry_event);
}

/* Asked each time: a request may have been a reload. */
static const struct config *client_config(const struct admin_client *client)
{
    const struct admin_host *host = &client->admin->host;
    return host->config(host->argument);
}

static bool client_is_full(const struct admin_client *client)
{
    return client->out.length >= client_config(client)->admin.queue_bytes;
}

static void client_refuse_long_line(struct admin_client *client, uint64_t bytes_max)
{
    struct admin_return back = {.admin = client->admin, .client = client->id};
    admin_refuse(&back, FAULT_TOO_LARGE, "a line may have %llu bytes (admin.request-bytes)", (unsigned long long)bytes_max);
    shutdown(client->descriptor, SHUT_RD);
    client->is_over = true;
    buf_done(&client->in);
}

/* A line that met a full mailbox stands where it is, and those behind it wait: so their order stays. */
static void client_stall(struct admin_client *client)
{
    static const struct timeval pause = {0, RETRY_MS * 1000};
    if (!client->is_stalled)
        metrics_add(client->admin->host.metrics, METRIC_MAILBOX_FULL, 1);
    client->is_stalled = true;
    event_add(client->retry_event, &pause);
}

/* Takes the whole lines that have come; stops while too many answers are unread, or a mailbox is full. */
static void client_take_lines(struct admin_client *client)
{
    size_t used = 0;
    while (used < client->in.length && !client_is_full(client)) {
        const unsigned char *line = client->in.data + used, *end = memchr(line, '\n', client->in.length - used);
        size_t length = end ? (size_t)(end - line) : client->in.length - used;
        uint64_t bytes_max = client_config(client)->admin.max_request_bytes;
        if (length > bytes_max) {
            client_refuse_long_line(client, bytes_max);
            return;
        }
        if (!end)
            break;
        if (length && admin_call_take(client->admin, client, bytes_of(line, length)) < 0) {
            client_stall(client);
            break;
        }
        client->is_stalled = false;
        used += length + 1;
    }
    buf_consume(&client->in, used);
}

/* After anything that has happened to a client, as the last: it may be gone afterwards. */
static void client_go_on(struct admin_client *client)
{
    if (client->admin->is_deaf)
        return;
    client_take_lines(client);
    if (client->is_over && !client->is_stalled && client->out.length == 0) {
        admin_client_free(client);
        return;
    }
    /* Clients at rest hold no memory. */
    if (client->in.length == 0)
        buf_done(&client->in);
    if (client->is_over || client->is_stalled || client_is_full(client))
        event_del(client->read_event);
    else
        event_add(client->read_event, NULL);
}

static void on_retry(evutil_socket_t descriptor, short what, void *argument)
{
    client_go_on(argument);
}

static void on_readable(evutil_socket_t descriptor, short what, void *argument)
{
    struct admin_client *client = argument;
    unsigned char *room = buf_room(&client->in, READ_BYTES);
    ssize_t got = room ? recv(descriptor, room, READ_BYTES, 0) : 0;
    if (got > 0)
        client->in.length += (size_t)got;
    else if (got == 0 || (errno != EAGAIN && errno != EINTR))
        client->is_over = true;
    client_go_on(client);
}

static void on_writable(evutil_socket_t descriptor, short what, void *argument)
{
    struct admin_client *client = argument;
    struct buf *out = &client->out;
    ssize_t sent = buf_status(out) == 0 ? send(descriptor, out->data, out->length, MSG_NOSIGNAL) : -1;
    if (sent < 0 && (buf_status(out) < 0 || (errno != EAGAIN && errno != EINTR))) {
        admin_client_free(client);
        return;
    }
    buf_consume(out, sent > 0 ? (size_t)sent : 0);
    if (out->length)
        event_add(client->write_event, NULL);
    else
        buf_done(out);
    client_go_on(client);
}

void admin_client_new(struct admin *admin, int descriptor, const struct admin_peer *peer)
{
    struct admin_client *client = calloc(1, sizeof(*client));
    if (!client) {
        close(descriptor);
        return;
    }
    client->admin = admin;
    client->descriptor = descriptor;
    client->id = ++admin->next_id;
    client->peer = *peer;
    list_init(&client->handlers);
    list_append(&admin->clients, &client->node);
    admin->client_count++;
    client->read_event = event_new(admin->host.base, descriptor, EV_READ | EV_PERSIST, on_readable, client);
    client->write_event = event_new(admin->host.base, descriptor, EV_WRITE, on_writable, client);
    client->retry_event = evtimer_new(admin->host.base, on_retry, client);
    if (!client->read_event || !client->write_event || !client->retry_event || event_add(client->read_event, NULL) < 0)
        admin_client_free(client);
}

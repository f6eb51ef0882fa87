/*
 * Loop: how the caller's loop drives a client, and the one that the library brings for who has none.
 */
#include "lib/client/client.h"

#include "lib/client/farewell.h"

#include <poll.h>

int rtc_fd(const struct rtc_client *client)
{
    return client->io.epoll;
}

short rtc_events(const struct rtc_client *client)
{
    /* Whatever the client waits for, its epoll descriptor becomes readable. */
    return client->state == RTC_STATE_STOPPED && !farewell_is_under_way(client) ? 0 : POLLIN;
}

int rtc_timeout_ms(const struct rtc_client *client)
{
    return io_timeout_ms(&client->io);
}

void rtc_process(struct rtc_client *client)
{
    io_process(&client->io);
}

static bool is_at_end(const struct rtc_client *client)
{
    return client->state == RTC_STATE_STOPPED && !farewell_is_under_way(client) && list_is_empty(&client->links);
}

enum rtc_code rtc_run(struct rtc_client *client)
{
    client->wants_break = false;
    while (!is_at_end(client) && !client->wants_break) {
        struct pollfd descriptor = {.fd = rtc_fd(client), .events = POLLIN};
        /* A signal ends the wait; what it means is the program's business. */
        if (poll(&descriptor, 1, rtc_timeout_ms(client)) >= 0 || errno == EINTR)
            rtc_process(client);
    }
    bool has_failed = client->state == RTC_STATE_STOPPED && client->error.code != RTC_STOPPED && !client->wants_break;
    client->wants_break = false;
    return has_failed ? client->error.code : RTC_OK;
}

void rtc_break(struct rtc_client *client)
{
    client->wants_break = true;
}

/*
 * Upgrade: while a worse transport carries the connection, a better one is tried now and then, beside it. The server gives the
 * connection to whichever presents its token last, so the old link holds still meanwhile: it polls no more, and nothing goes
 * upwards, which could otherwise be counted twice. When the better one fails, the old transport is opened again if it has to be.
 */
#include "lib/client/client.h"

#include "lib/client/error.h"
#include "lib/client/link.h"

enum {
    PATIENCE_MAX = 10,                  /* times the option: how seldom it is tried when it fails again and again */
    RECENT_MS = 30000,                  /* so late a poll may still arrive that was under way when the better one took over */
};

static void upgrade_try(struct rtc_client *client)
{
    struct upgrade *upgrade = &client->upgrade;
    upgrade->is_due = false;
    client->link->is_held = true;
    io_timer_set(&client->io, &upgrade->timer, client->options.open_timeout_ms);
    link_open(client, upgrade->next);
}

static void upgrade_on_timer(struct io_timer *timer)
{
    struct rtc_client *client = CLIENT_OF(timer, upgrade.timer);
    struct upgrade *upgrade = &client->upgrade;
    if (client->candidate) {
        link_fail(client->candidate, RTC_NETWORK, "it was not greeted within %u ms", client->options.open_timeout_ms);
        return;
    }
    upgrade->next = 0;
    upgrade->is_due = true;
    if (client->link->kind->is_writable(client->link->transport))
        upgrade_try(client);
}

static void upgrade_arm(struct rtc_client *client)
{
    struct upgrade *upgrade = &client->upgrade;
    unsigned failed_count = upgrade->failed_count;
    upgrade_stop(client);
    upgrade->timer.on_due = upgrade_on_timer;
    if (client->offer_at == 0 || client->options.upgrade_ms == 0)
        return;
    upgrade->failed_count = failed_count;
    uint64_t times = failed_count < 4 ? (uint64_t)1 << failed_count : PATIENCE_MAX;
    io_timer_set(&client->io, &upgrade->timer, client->options.upgrade_ms * MIN(times, (uint64_t)PATIENCE_MAX));
}

void upgrade_greeted(struct rtc_client *client)
{
    uint64_t switched_ms = client->state == RTC_STATE_CONNECTED ? client->io.now_ms : 0;
    if (!client->upgrade.is_restoring)
        client->upgrade.failed_count = 0;
    upgrade_arm(client);
    client->upgrade.switched_ms = switched_ms;
}

void upgrade_stop(struct rtc_client *client)
{
    io_timer_stop(&client->io, &client->upgrade.timer);
    client->upgrade = (struct upgrade){.timer = client->upgrade.timer};
}

void upgrade_writable(struct rtc_client *client)
{
    if (client->upgrade.is_due)
        upgrade_try(client);
}

bool upgrade_is_trying(const struct rtc_client *client)
{
    return client->state == RTC_STATE_CONNECTED && client->candidate;
}

bool upgrade_is_recent(const struct rtc_client *client)
{
    uint64_t switched_ms = client->upgrade.switched_ms;
    return upgrade_is_trying(client) || (switched_ms && client->io.now_ms - switched_ms < RECENT_MS);
}

/* The old transport carries the connection on: as it is, or opened again. */
static void upgrade_give_up(struct rtc_client *client)
{
    struct upgrade *upgrade = &client->upgrade;
    upgrade->failed_count++;
    if (client->link && !client->link->has_waited) {
        client->link->is_held = false;
        upgrade_arm(client);
        carry_flush_soon(client);
        return;
    }
    client_drop_link(client, &client->link, false);
    upgrade->is_restoring = true;
    io_timer_set(&client->io, &upgrade->timer, client->options.open_timeout_ms);
    link_open(client, client->offer_at);
}

void upgrade_link_failed(struct rtc_client *client, const struct rtc_error *why)
{
    struct upgrade *upgrade = &client->upgrade;
    io_timer_stop(&client->io, &upgrade->timer);
    if (upgrade->is_restoring) {
        connect_lost(client, why);
    } else if (client->link && ++upgrade->next < client->offer_at) {
        upgrade_try(client);
    } else {
        upgrade_give_up(client);
    }
}

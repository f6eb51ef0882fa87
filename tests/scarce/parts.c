/*
 * Parts: see parts.h.
 */
#include "tests/scarce/parts.h"

#include "daemon/core/connection.h"
#include "daemon/net/mailbox.h"
#include "tests/scarce/scarce.h"

#include <errno.h>
#include <string.h>

void without_each_allocation(int (*work)(void), unsigned at_least)
{
    unsigned number = 0;
    bool has_failed = true;
    while (has_failed) {
        scarce_begin(++number);
        int r = work();
        has_failed = scarce_end();
        if (r < 0 && !has_failed)
            fail_msg("%s, though nothing failed", strerror(-r));
    }
    assert_true(number > at_least);
}

int scarce_post(void *argument, unsigned worker, const struct letter *letter)
{
    return mailbox_post(argument, letter);
}

bool scarce_has_room(void *argument, unsigned worker)
{
    return mailbox_has_room(argument);
}

void scarce_settle(void *argument, unsigned worker)
{
}

uint64_t scarce_wall_ms(void *argument)
{
    return 1;
}

static void on_flush(struct connection *connection)
{
    connection_mark_sent(connection, outbox_unsent_count(&connection->outbox), 0);
}

static void on_send(struct connection *connection, struct bytes text)
{
}

static uint64_t on_tend(struct connection *connection, uint64_t now_ms)
{
    return 0;
}

static void on_close(struct link *link, const struct fault *why, struct bytes farewell)
{
}

static void on_add(struct connection *connection, struct buf *out)
{
}

static void on_farewell(struct connection *connection, const struct fault *why, bool reconnect, struct buf *out)
{
    buf_add_text(out, "farewell");
}

const struct transport scarce_transport = {.name = "fake", .is_lasting = true, .flush = on_flush, .send_unnumbered = on_send,
                                           .tend = on_tend, .close = on_close};
const struct dialect scarce_dialect = {.name = "fake", .is_resumable = true, .add_ping = on_add, .add_ack = on_add, .add_farewell = on_farewell};

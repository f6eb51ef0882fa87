/*
 * Exchange: where a message stops being one sender's and becomes everyone's. Finds out which workers have members,
 * gives the message its place in the group's order, and posts it to their mailboxes. Shared by all threads.
 */
#pragma once

#include "daemon/core/directory.h"
#include "daemon/core/event_call.h"
#include "daemon/core/gate.h"
#include "daemon/core/letter.h"
#include "daemon/core/lifecycle.h"
#include "daemon/core/limits.h"
#include "daemon/core/middleware.h"
#include "daemon/core/ports.h"
#include "daemon/core/revocations.h"
#include "lib/envelope.h"

struct exchange {
    unsigned worker_count;
    struct ports ports;
    struct directory *directory;
    struct limits *limits;
    struct revocations *revocations;
    struct lifecycle lifecycle;
    struct event_calls events;
    struct gate gate;
    const struct middleware *middleware;        /* set before the workers start; NULL: there is none */
};

struct exchange *exchange_new(unsigned worker_count, const struct ports *ports);    /* NULL: out of memory, or of random bytes */
void exchange_free(struct exchange *exchange);

/*
 * Publishes to a group, user, connection or all. The message carries its own envelope; `to` says where it goes. `except`
 * is a handle or 0. A group that remembers, by the rules of `config`, gives it its offset. *ret_recipients: how many connections will get it, as far as is known now.
 * 0; -EAGAIN: a mailbox is full and nobody got it; -ENOENT: no such connection. Any thread.
 */
MUST_CHECK int exchange_publish(struct exchange *exchange, const struct config *config, struct message *message, const struct target *to,
                                uint64_t except, unsigned *ret_recipients);
/* The same to a group's members, kept in no history, by whoever holds the lock of its stripe. -EAGAIN: a mailbox is full and nobody got it. */
MUST_CHECK int exchange_tell_members(struct exchange *exchange, struct place *place, struct message *message);

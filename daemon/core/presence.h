/*
 * Presence: who is in a group. The question visits one worker after the other, and then that of the connection which asked: members are
 * each worker's own.
 */
#pragma once

#include "daemon/core/letter.h"
#include "lib/buf.h"

struct connection;
struct exchange;

struct presence {
    struct visit visit;
    struct exchange *exchange;
    uint64_t handle, id;                /* of the connection, and of its request */
    uint64_t named_max;                 /* in a larger group nobody is named */
    unsigned worker;                    /* being visited */
    bool is_answering;
    struct buf group;
    uint64_t count;                     /* members */
    struct buf members;                 /* JSON objects with commas between: connectionId, userId */
    /* On the connection's own worker. */
    void (*on_answer)(struct connection *connection, const struct presence *presence);
};

/* Asks for it. 0; -EAGAIN: too much waits; -ENOMEM. */
MUST_CHECK int presence_ask(struct connection *connection, struct bytes group, uint64_t id,
                            void (*on_answer)(struct connection *connection, const struct presence *presence));

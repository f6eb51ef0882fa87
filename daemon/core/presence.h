/*
 * Presence: who is in a group. The question visits one worker after the other, and then that of the connection which asked: members are
 * each worker's own. What comes of it with the announcements that follow is said in attendance.h.
 */
#pragma once

#include "daemon/core/letter.h"
#include "lib/buf.h"
#include "lib/table.h"

struct connection;
struct exchange;

struct presence {
    struct visit visit;
    struct exchange *exchange;
    struct place *place;                /* a group that announces, which knows of the question; NULL */
    uint64_t named_max;                 /* in a larger group nobody is named */
    unsigned worker;                    /* being visited */
    bool is_by_users, is_answering;
    bool is_unnamed;                    /* the group's announcements name nobody at present */
    bool is_uncounted;                  /* the group is too large to look for users: 0, or as many as are announced */
    struct buf group;
    uint64_t connections;               /* that are members, and their users, if they were asked for */
    uint64_t users;
    struct table names;                 /* of the users */
    struct buf members;                 /* of connections that are named, JSON objects with commas between; failed: memory did not suffice */
    /* Who asked: a connection, by its handle, which is told on its own worker. */
    uint64_t handle, id;
    void (*on_answer)(struct connection *connection, const struct presence *presence);
    /* Or somebody on the main thread. */
    void (*on_gathered)(const struct presence *presence, void *argument);
    void *argument;
};

static inline bool presence_is_named(const struct presence *presence)
{
    return !presence->is_unnamed && !presence->is_uncounted && (presence->is_by_users ? presence->users : presence->connections) <= presence->named_max;
}

/* Walks the users that are counted: false at the end. Start with *slot = 0. */
bool presence_next_user(const struct presence *presence, size_t *slot, struct bytes *ret_name, uint64_t *ret_connections);

/* What a connection asks with its request `id`. 0; -EAGAIN: too much waits; -ENOMEM. */
MUST_CHECK int presence_ask(struct connection *connection, struct bytes group, bool is_by_users, uint64_t id,
                            void (*on_answer)(struct connection *connection, const struct presence *presence));
/* The same for the main thread. It is answered always, unless the daemon ends. */
MUST_CHECK int presence_gather(struct exchange *exchange, struct bytes group, bool is_by_users, uint64_t named_max,
                               void (*on_gathered)(const struct presence *presence, void *argument), void *argument);

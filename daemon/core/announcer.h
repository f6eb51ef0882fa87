/*
 * Announcer: tells the members of groups who comes and goes (presence-events, under groups), each hub's part of it: what its own connections
 * do, and the groups that fall to it to tell, as one of its connections was the first to change something. What there is to tell is the
 * attendance of the group's place, for all workers.
 */
#pragma once

#include "daemon/core/wheel.h"

struct connection;
struct hub;
struct membership;

struct announcer {
    struct list due;                    /* attendances, soonest first; each with a reference to its place */
    struct timer timer;
    uint32_t member_count;              /* memberships here that are counted in */
};

void announcer_init(struct hub *hub);
void announcer_done(struct hub *hub);

/* A connection has come into a group, and is about to leave one where it was counted in. */
void announcer_join(struct connection *connection, struct membership *membership);
void announcer_leave(struct connection *connection, struct membership *membership);
/* The hub has a new config: members are counted as it says now, without being announced. */
void announcer_take_config(struct hub *hub);

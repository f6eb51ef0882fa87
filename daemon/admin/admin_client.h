/*
 * Admin client: one connection to the admin socket. Owned by admin.c; others look it up by id.
 */
#pragma once

#include "daemon/admin/admin.h"
#include "lib/list.h"

#include <event2/bufferevent.h>

struct admin_client {
    struct list node;
    struct admin *admin;
    struct bufferevent *stream;
    uint64_t id;
    enum admin_access access;
    bool is_listening;
    char *pattern;                      /* of event names it wants; NULL: all */
    uint64_t lost;                      /* notices it was too slow for, not yet told */
};

struct admin {
    struct admin_host host;
    int descriptor;
    bool is_own_socket;
    char path[108];
    struct event *accept_event;
    struct list clients;
    uint64_t next_id;
    size_t client_count;
    struct metrics metrics;             /* the main thread's own */
};

/* NULL: it is gone. */
struct admin_client *admin_find_client(struct admin *admin, uint64_t id);
void admin_client_send(struct admin_client *client, struct bytes line);     /* a newline is added */
size_t admin_client_queued(const struct admin_client *client);

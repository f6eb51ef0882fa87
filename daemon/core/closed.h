/*
 * Closed: the connections of a hub that ended lately, for who asks afterwards why (rtcctl list closed). Kept for closed.keep, and at
 * most closed.count of them in the whole daemon, each worker its part. Touched by the hub's thread alone.
 */
#pragma once

#include "daemon/core/peer_address.h"
#include "daemon/core/ports.h"
#include "lib/fault.h"
#include "lib/list.h"
#include "lib/text.h"

struct config;

struct closed {
    struct list node;
    uint64_t closed_ms, lived_ms;       /* of the hub's clock */
    uint64_t sent, received;            /* numbered envelopes */
    struct uuid id;
    struct peer_address address;
    const struct transport *transport;  /* the last; NULL: it never had one */
    uint8_t codec;
    enum fault_id reason;
    uint16_t user_length, detail_length;
    char texts[];                       /* the user, then the detail */
};
static inline struct bytes closed_user(const struct closed *closed) { return bytes_of(closed->texts, closed->user_length); }
static inline struct bytes closed_detail(const struct closed *closed)
{
    return bytes_of(closed->texts + closed->user_length, closed->detail_length);
}

struct closed_list {
    struct list records;                /* oldest first */
    uint64_t count;
};

void closed_init(struct closed_list *list);
void closed_done(struct closed_list *list);
/* Out of memory: it is not remembered. */
void closed_add(struct hub *hub, const struct connection *connection, const struct fault *why);
/* Forgets those whose time is over, and those beyond the number; before the list is looked at. */
void closed_forget(struct hub *hub);

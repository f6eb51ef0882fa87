/*
 * Proxy: a TCP proxy in front of the daemon that damages connections where it is told to. A client chooses what happens to
 * it by the address that it connects to, and needs to know nothing else: all of 127.0.0.0/8 leads here.
 *
 *   place     one address, and what is to happen there: the damage to be done once, and the manner of all its links
 *   link      one TCP connection of a client, and the one to the daemon that goes with it
 *
 * Addresses below 127.128.0.0 are harmless until a command says otherwise (proxy.c). Above, the address itself says what
 * damage is done: 127.a.b.c is, from the highest bit, 1, then D: the direction (0 up), HH: the kind (enum damage without
 * DAMAGE_NONE, in its order), and 20 bits of offset.
 */
#pragma once

#include "lib/buf.h"
#include "lib/list.h"

/* What the client sends goes up. The way `d` of a link reads from its end `d`, and writes to the other one. */
enum direction { UP, DOWN };

/* Done once at a place: when so many bytes have gone in that direction, over all links of the place since it is known. */
enum damage {
    DAMAGE_NONE,
    DAMAGE_RESET,               /* both ends get a reset */
    DAMAGE_END,                 /* both ends are closed */
    DAMAGE_HALF,                /* who receives sees the end; what is sent the other way still comes through */
    DAMAGE_STALL,               /* nothing comes through any more, and nobody is told */
};

enum manner {
    MANNER_PLAIN,
    MANNER_NO_UPGRADE,          /* WebSocket upgrades are answered with 403 */
    MANNER_MUTE,                /* after the answer to a WebSocket upgrade nothing comes through */
    MANNER_BUFFER,              /* an event stream is passed on once it has ended */
    MANNER_REFUSE,              /* links are reset at once */
    MANNER_LATE,                /* the first WebSocket upgrade is answered with 403 */
};

struct place {
    uint32_t address;
    enum damage damage;         /* still to be done */
    enum direction direction;
    uint64_t offset;
    enum manner manner;
    uint64_t bytes[2];          /* that went through, by direction */
    unsigned opened, damaged;   /* links, so far */
    bool has_refused;           /* an upgrade */
    struct list links;
};

struct end {
    struct link *link;
    int descriptor;
    uint32_t events;            /* that epoll waits for */
};

struct way {
    struct buf held;            /* what could not be passed on yet */
    bool is_over;               /* the sender has ended */
    bool is_shut;               /* the receiver was told so */
    enum damage due;            /* as soon as nothing is held any more */
};

struct link {
    struct list node;           /* of the place's, or of the proxy's dead ones */
    struct place *place;
    struct end ends[2];
    struct way ways[2];
    bool is_connected, is_stalled, is_holding, is_muted, is_dead;
    unsigned head_matched;      /* a muted link: how much of the blank line behind the answer's head has come */
};

struct proxy {
    int epoll;
    struct sockaddr_in *daemon;
    enum manner usual;          /* of new places */
    struct list dead;           /* links that are closed, and freed when no event can name them any more */
};

/* How many bytes may be held on one way before its sender is read no further. */
enum { HELD_MAX = 1 << 20 };

/* Takes over the client's socket. */
void link_open(struct proxy *proxy, struct place *place, int descriptor);
void link_on_event(struct proxy *proxy, struct end *end, uint32_t events);
/* What was planned for an offset, or is wanted now. */
void link_damage(struct proxy *proxy, struct link *link, enum direction direction, enum damage damage);
void link_free(struct link *link);

/*
 * Floor: what the ways to write have in common; see floor.c.
 */
#pragma once

#include "lib/ws_frame.h"

#include <sys/uio.h>

enum { FRAMES_PER_TURN = 256 };

struct member {
    int descriptor;
    bool is_open;
    bool is_cut;                        /* `in` has the beginning of a message, unmasked */
    uint32_t index;                     /* in its group */
    struct group *group, *to;           /* a member of; publishes to */
    struct ws_reader reader;
    struct buf in, rest;                /* what came in part; what the socket did not take */
    struct ssl_st *tls;
};

struct group {
    char *name;
    struct group *next;
    struct member **members;
    uint32_t count, capacity;
    struct iovec frames[FRAMES_PER_TURN];       /* of this turn */
    int frame_count;
    struct group *next_waiting;
};

struct floor {
    int epoll, listener;
    const struct writer *writer;
    struct group *groups;
    struct group *waiting;              /* those with frames */
    const char *certificate, *key;      /* paths */
    struct ssl_ctx_st *tls;
};

/* How deliveries leave. */
struct writer {
    const char *name;
    int frames_per_turn;                /* at 1 each message is written by itself */
    void (*init)(struct floor *floor);
    void (*accepted)(struct floor *floor, struct member *member);
    void (*gone)(struct member *member);
    ssize_t (*receive)(struct member *member, void *room, size_t size);     /* as read(2) */
    ssize_t (*send)(struct member *member, const struct iovec *pieces, int count);  /* as writev(2) */
    void (*joined)(struct member *member);
    void (*left)(struct member *member);
    void (*write)(struct floor *floor, struct group *group);
    void (*finish)(struct floor *floor);        /* the end of a turn */
};
extern const struct writer writer_uring, writer_tls;
/* receive() and send() of those who write to the socket as it is. */
ssize_t floor_receive(struct member *member, void *room, size_t size);
ssize_t floor_send(struct member *member, const struct iovec *pieces, int count);
/* All frames of the group to all of its members, by the writer's send(). */
void floor_write_frames(struct floor *floor, struct group *group);

/* The socket took `sent` bytes of the frames; the rest waits until it takes more. */
void floor_keep_rest(struct floor *floor, struct member *member, const struct iovec *frames, int count, size_t sent);

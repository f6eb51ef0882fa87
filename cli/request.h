/*
 * Request: the client's end of the admin socket (rtc-protocol(7), "The admin socket"): lines out, replies in.
 */
#pragma once

#include "lib/json.h"

struct session {
    int descriptor;
    struct buf in, out;
    size_t in_taken;                /* of `in`: lines that are dropped */
    const char *path;
    bool is_quiet;                  /* says nothing where the daemon cannot be reached, or ends the connection */
    bool is_paused;                 /* nothing is read: what has come is not dealt with yet */
};

/* 0; an exit status after saying what is wrong and what to do. `path` NULL: $RTCD_SOCKET or the usual places. */
MUST_CHECK int session_open(struct session *session, const char *path);
MUST_CHECK int session_try(struct session *session, const char *path);       /* the same, quietly; EX_UNAVAILABLE: not there (yet) */
void session_close(struct session *session);

/* Queues one request; `data` is JSON. Nothing is sent before session_turn(). */
void session_ask(struct session *session, const char *words, uint64_t id, struct bytes data);

/*
 * Sends and receives what can be now, waiting until something can, or until `also` (a descriptor, -1: none) is readable, which
 * *ret_also tells (NULL is fine). 0; an exit status when the daemon is gone.
 */
MUST_CHECK int session_turn(struct session *session, int also, bool *ret_also);

/* The next whole line that has come: false when there is none. Stays valid until session_drop_line(). */
bool session_line(struct session *session, struct bytes *ret);
void session_drop_line(struct session *session);

/* A reply: its id, and data or error. -EBADMSG: the line is none. */
struct reply {
    uint64_t id;
    struct bytes data;
    struct bytes code, message;     /* of an error, decoded into `scratch`; code.data NULL: none */
    struct buf scratch;
};
MUST_CHECK int reply_read(struct bytes line, struct reply *ret);
void reply_done(struct reply *reply);

/* Says what the error is and returns its exit status (sysexits.h). */
int reply_fail(const struct reply *reply);

/* One request and its reply: 0, or an exit status after saying what is wrong. reply_done() afterwards in any case. */
MUST_CHECK int session_call(struct session *session, const char *words, struct bytes data, struct reply *ret);

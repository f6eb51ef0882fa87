/*
 * Replies: requests that wait for an answer, oldest first. Knows who is to be called, but calls nobody itself.
 */
#pragma once

#include "lib/list.h"
#include "lib/rtc.h"

enum reply_kind { REPLY_INVOKE, REPLY_JOIN, REPLY_LEAVE };

struct reply {
    struct list node;
    enum reply_kind kind;
    bool is_again;                      /* the client itself joins again */
    uint64_t id, due_ms;
    rtc_reply_fn *on_reply;             /* may be NULL */
    void *argument;
    char group[];                       /* of a join or leave; else "" */
};

struct replies {
    struct list list;
    uint64_t last_id;                   /* unique over all connections of a client */
};

void replies_init(struct replies *replies);
void replies_done(struct replies *replies);
/* All of them move to `ret`, which needs no init. */
void replies_move(struct replies *ret, struct replies *replies);

/* A new one with an id of its own, in no list yet; NULL: out of memory. */
struct reply *reply_new(struct replies *replies, enum reply_kind kind, const char *group, uint64_t due_ms);
void reply_free(struct reply *reply);
void replies_add(struct replies *replies, struct reply *reply);

struct reply *replies_find(const struct replies *replies, uint64_t id);             /* NULL */
struct reply *replies_take(struct replies *replies, uint64_t id);                   /* out of the list; NULL */
struct reply *replies_take_first(struct replies *replies);
struct reply *replies_take_due(struct replies *replies, uint64_t now_ms);
/* When the next one is due; UINT64_MAX: there is none. */
uint64_t replies_due_ms(const struct replies *replies);

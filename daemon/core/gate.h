/*
 * Gate: where a request that would make a connection waits until somebody on the main thread has judged it. While nobody judges, it
 * stands open and costs one look. How many may wait is bounded (gate.waiting).
 *
 * A call goes from the worker that read the request to the main thread, and back with its verdict. One thread has it at a time.
 */
#pragma once

#include "daemon/core/peer_address.h"
#include "daemon/core/verdict.h"
#include "lib/list.h"

#include <stdatomic.h>

struct config;
struct exchange;

enum { GATE_HEADERS_MAX = 16 };

struct gate_header { struct bytes name, value; };      /* the name as the option gate.headers writes it */

/* What is known of a request that would make a connection. No secret of the protocol's own is in it. */
struct gate_facts {
    struct peer_address address;        /* the client's */
    bool is_negotiation;                /* POST …/negotiate; else it opens a transport at once */
    bool is_tls;
    bool is_proved;                     /* the user was proved by credentials, or a plug-in named it; else it is a client's claim, or empty */
    struct bytes user;
    struct bytes transport, protocol;   /* "websocket", "json": what was asked for, or is offered first; empty: not known yet */
    struct bytes origin;                /* of the page; empty: none was named */
    struct bytes path, query;           /* as they came; the query without token and access_token */
    struct gate_header headers[GATE_HEADERS_MAX];       /* those that gate.headers names, as far as they are there */
    unsigned header_count;
};

struct gate_call {
    unsigned worker;                    /* whose it is */
    struct gate_facts facts;
    struct verdict verdict;             /* what was said before; the judge adds to it */

    struct list node;                   /* the judge's own, as this: */
    void *judge_state;

    void *asker;                        /* the worker's own */
    /* On the worker's thread, which owns it from then on. */
    void (*on_answer)(struct gate_call *call);
    struct exchange *exchange;          /* where it is counted; NULL: it is not */
    unsigned char kept[];               /* where the slices of the facts lie */
};

/* Whoever judges, on the main thread. `take` owns the call until it gives it to gate_answer(), at once or later; nobody waits for it
 * beyond gate.timeout, but it must come back all the same. */
struct gate_judge {
    void (*take)(struct gate_judge *judge, struct gate_call *call);
};

struct gate {
    struct gate_judge *_Atomic judge;
    atomic_uint waiting;
    struct list unsent;                 /* the main thread's: answers for whose letter there was no memory */
};

void gate_init(struct gate *gate);
void gate_done(struct gate *gate);      /* no worker runs any more */

/* On the main thread, at any time. NULL: nobody judges any more; the calls that are under way are answered all the same. */
void gate_set_judge(struct gate *gate, struct gate_judge *judge);
static inline bool gate_has_judge(const struct gate *gate)
{
    return atomic_load_explicit(&gate->judge, memory_order_relaxed);
}

struct gate_call *gate_call_new(const struct gate_facts *facts);        /* with a copy of all that they point at; NULL: out of memory */
void gate_call_free(struct gate_call *call);                            /* NULL is fine */
DEFINE_SCOPED(gate_call)

/* Sends the call to the main thread, which owns it afterwards. -EAGAIN: too many wait. -ENOMEM. */
MUST_CHECK int gate_ask(struct exchange *exchange, const struct config *config, struct gate_call *call);
/* A LETTER_GATE came to the main thread. */
void gate_take(struct exchange *exchange, struct gate_call *call);
/* The verdict stands: back to its worker. */
void gate_answer(struct gate_call *call);
/* At the end of a turn of the main thread: answers for whose letter there was no memory are tried again. */
void gate_settle(struct gate *gate);

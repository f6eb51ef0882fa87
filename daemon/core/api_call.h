/*
 * API call: an admin command that came over HTTP, on its way from the worker that read it to the main thread, which carries it out, and
 * back with its answer. One thread has it at a time.
 */
#pragma once

#include "lib/admin_commands.h"
#include "lib/fault.h"
#include "lib/list.h"

enum { API_BATCH_MAX = 1000 };

struct answered_entry;

struct api_call {
    unsigned worker;                    /* whose it is */
    enum admin_access access;           /* of whoever calls */
    struct buf caller;                  /* who that is, for people */
    struct buf command, data;           /* "list.connections"; a JSON object, or nothing */
    struct buf key;                     /* Idempotency-Key; or nothing */

    struct fault refusal;               /* FAULT_NONE: it was done, and: */
    struct buf answer;                  /* JSON; or nothing */

    struct list node;                   /* the main thread's own, as these: */
    struct api_call *batch;             /* it is one of a batch; NULL: it stands for itself */
    struct api_call **items;            /* it is a batch of these */
    size_t item_count, items_open;      /* of which so many have no answer yet */
    struct answered_entry *kept;        /* the whole batch has a key: its answer is kept here */
    void *asker;                        /* the worker's own */
    /* On the worker's thread, which owns it from then on. */
    void (*on_answer)(struct api_call *call);
};

struct api_call *api_call_new(void);            /* NULL: out of memory */
void api_call_free(struct api_call *call);      /* NULL is fine */
DEFINE_SCOPED(api_call)

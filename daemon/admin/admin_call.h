/*
 * Admin call: one request on the admin socket, from its arguments to its reply. What handlers see of a client: an id to
 * look it up by, since it may be gone when an answer comes from a worker.
 */
#pragma once

#include "daemon/admin/admin.h"
#include "daemon/admin/admin_peer.h"
#include "lib/json.h"

struct admin_client;
struct answered_entry;

/* Where a reply goes. Copied by handlers that answer later. */
struct admin_return {
    struct admin *admin;
    uint64_t client;
    uint64_t id;                        /* the request's; 0: it has none, and gets no reply but an error */
    struct answered_entry *kept;        /* it has an idempotency key: its answer is kept here (admin_keep.h); or NULL */
};

/* One argument as it was given: a JSON value under a name of the command's synopsis. */
struct admin_value {
    const struct admin_argument *argument;
    struct bytes value;
};

struct admin_call {
    struct admin_return back;
    const struct admin_host *host;
    const struct admin_command *command;
    struct bytes data;                  /* a JSON object, or empty */
    struct bytes key;                   /* Idempotency-Key, where it came over HTTP with one */
    struct admin_value values[ADMIN_ARGUMENTS_MAX];     /* what stands in it, each once */
    unsigned value_count;
    bool must_wait;                     /* nothing was done: the request is to be taken once more, later */
    struct buf *decoded;                /* texts with escapes; as large as `data`, so none moves when the next one comes */
};

/* One line of a client: reads, checks, dispatches. -EAGAIN: it could not be done yet, and is to be handed in again. */
MUST_CHECK int admin_call_take(struct admin *admin, struct admin_client *client, struct bytes line);

/* The same for one that was taken apart already: `data` is a JSON object on one line, or nothing; `key` makes it idempotent, or is empty. */
MUST_CHECK int admin_call_run(struct admin *admin, struct admin_client *client, struct bytes event_name, struct bytes data, struct bytes key);

void admin_reply(const struct admin_return *back, struct bytes json);
/* The same with what was written into a buf, which is freed; or that there was no memory for it. */
void admin_reply_made(const struct admin_return *back, struct buf *json);
void admin_refuse(const struct admin_return *back, enum fault_id id, const char *format, ...) PRINTF_LIKE(3, 4);

/* The JSON value of an argument; empty: absent. */
struct bytes admin_value(const struct admin_call *call, const char *name);
/* Arguments, by name: 1: there; 0: absent; -EINVAL: of the wrong kind, and the call is refused. */
MUST_CHECK int admin_text(struct admin_call *call, const char *name, struct bytes *ret);
MUST_CHECK int admin_number(struct admin_call *call, const char *name, uint64_t *ret);
bool admin_flag(const struct admin_call *call, const char *name);

/* Is whoever asked still there? */
bool admin_is_waited_for(const struct admin_return *back);
/* Who asks; NULL: gone. */
const struct admin_peer *admin_peer_of(const struct admin_call *call);
/* The main thread's own counters. */
struct metrics *admin_metrics(const struct admin_call *call);

/* Posts a visit to a worker; -ENOMEM: it was not taken. */
MUST_CHECK int admin_send_visit(const struct admin_host *host, unsigned worker, struct visit *visit);

/* A handler for each row of admin_commands.def; one that is missing does not link. */
#define ADMIN_COMMAND(id, words, synopsis, access, columns, summary, details) \
    void admin_##id(struct admin_call *call);
#include "lib/admin_commands.def"
#undef ADMIN_COMMAND

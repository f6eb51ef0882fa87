/*
 * Admin client: one connection to the admin socket, its lines in and out. Others look it up by id: it may be gone when an
 * answer comes. Knows no command.
 */
#pragma once

#include "daemon/admin/admin.h"
#include "daemon/admin/admin_peer.h"
#include "daemon/hook/notices.h"
#include "lib/list.h"

struct admin_client {
    struct list node;
    struct admin *admin;
    int descriptor;
    struct event *read_event, *write_event, *retry_event;
    struct buf in, out;                 /* what is no whole line yet, or waits until answers are read; answers not yet sent */
    bool is_over;                       /* nothing more is read; it ends once its answers are out */
    bool is_stalled;                    /* the first line in `in` waits for room in a mailbox; nothing is read meanwhile */
    uint64_t id;
    struct admin_peer peer;
    bool is_barred;                     /* since a reload it may do nothing any more */
    struct api_call *call;              /* it is no socket but one call over HTTP, which has no events and ends with its answer; or NULL */
    struct list handlers;               /* what it answers; see admin_handle.c */
    bool is_listening;
    char *pattern;                      /* of event names it wants; NULL: all */
    uint64_t since;                     /* life-cycle events up to this number are no news to it */
    uint64_t lost;                      /* notices that did not reach it, not yet told */
};

struct admin {
    struct admin_host host;
    int descriptor;
    bool is_own_socket;
    char path[108];
    struct event *accept_event, *pause_event;
    struct list clients;
    struct list unreturned;             /* calls over HTTP that are done, and for whose letter there was no memory yet */
    struct answered *answered;          /* what calls with an idempotency key were answered */
    uint64_t next_id;
    size_t client_count;
    bool is_deaf;                       /* the daemon ends: no request is taken any more */
    struct notice_sink listeners;       /* what those who listen want */
    struct notice_sink waits;           /* what those who wait have to hear of: */
    struct list tracings;               /* publishes that are answered later: admin_trace.h */
    size_t tracing_count, tracing_rows_count;
    struct list waiters;
    size_t waiter_count;
    struct admin_grammar grammars[ADMIN_COMMAND_COUNT];
    struct buf scratch, decoded, line;  /* of the request being answered: its envelope, its arguments, the answer */
};

void admin_client_new(struct admin *admin, int descriptor, const struct admin_peer *peer);     /* closes it when out of memory */
void admin_client_free(struct admin_client *client);
/* The answer to a call over HTTP, or why there is none; the client is gone then. */
void admin_api_answer(struct admin_client *client, enum fault_id refusal, struct bytes text);
void admin_api_done(struct admin *admin);
/* Nobody waits for it any more; of a batch, until none is waited for. */
void admin_api_drop(struct api_call *call);
/* No request of it is taken any more. */
void admin_client_deafen(struct admin_client *client);
/* It answers nothing any more. */
void admin_handlers_drop(struct admin_client *client);
/* It may do nothing any more: it ends once its answers are out, that of the present request too. */
void admin_client_bar(struct admin_client *client);
struct admin_client *admin_find_client(struct admin *admin, uint64_t id);   /* NULL: it is gone */
/* A newline is added. What is sent in one turn of the loop leaves in one write at its end. */
void admin_client_send(struct admin_client *client, struct bytes line);
/* There was no memory for an answer: who would wait for it in vain is cut off, at the end of the turn. */
void admin_client_fail(struct admin_client *client);

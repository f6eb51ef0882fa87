/*
 * Admin: the Unix socket that rtcctl speaks to. Runs on the main thread's loop; asks the workers by letters and
 * never touches what is theirs. Knows commands only as rows of admin_commands.def and handlers by id.
 */
#pragma once

#include "daemon/core/exchange.h"
#include "daemon/core/hub.h"
#include "lib/admin_commands.h"

#include <event2/event.h>

struct api_call;
struct config;
struct notices;
struct handlers;
struct webhooks;

/* What the daemon lets its admin socket see and do. */
struct admin_host {
    struct exchange *exchange;
    struct event_base *base;
    struct metrics *metrics;                                /* the main thread's own */
    struct notices *notices;
    struct handlers *handlers;
    struct webhooks *webhooks;
    unsigned worker_count;
    uint64_t started_ms;                                    /* CLOCK_REALTIME, Unix milliseconds */
    struct config *(*config)(void *argument);               /* the snapshot in force; borrowed */
    /* Reads the config again. 0, or negative errno; either way `report` gets lines for people. */
    int (*reload)(void *argument, struct buf *report);
    /* For metrics and state_counts (atomics) alone. */
    const struct hub *(*hub)(void *argument, unsigned worker);
    void *argument;
};

/*
 * Listens on an inherited descriptor (>= 0), or binds `path` itself (mode and group from the config; a stale socket is
 * replaced, another daemon's live one is -EADDRINUSE; "" picks a place, see rtcd.yaml(5)). 0 or negative errno, after logging why.
 */
struct admin;
MUST_CHECK int admin_new(const struct admin_host *host, int descriptor, const char *path, struct admin **ret);
void admin_free(struct admin *admin);
/* The config has changed: those who are connected may do what it says from now on. */
void admin_take_config(struct admin *admin);
/* A LETTER_COUNTED came to the main mailbox: those who wait for members of that group look again. */
void admin_take_counted(struct admin *admin, const struct place *group);
/* The workers have ended: nobody is let in and nothing is carried out from now on; answers and notices still go out. */
void admin_close_ears(struct admin *admin);
const char *admin_path(const struct admin *admin);          /* "systemd" when inherited */

/* A LETTER_STORED came to the main mailbox: who published it is answered. */
void admin_stored(struct admin *admin, const struct letter *letter);

/* A LETTER_CALL came to the main mailbox: it goes back to its worker with the answer. */
void admin_carry_out(struct admin *admin, struct api_call *call);

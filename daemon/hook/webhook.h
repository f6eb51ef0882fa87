/*
 * Webhook: one receiver, and the life-cycle events that wait for it. They go out in order, a request at a time, each until it is
 * delivered, refused or too old. Who wants which events is webhooks.c's; what was said to the receiver, and when again, is decided here.
 */
#pragma once

#include "daemon/config/config.h"
#include "daemon/core/exchange.h"
#include "daemon/core/metrics.h"
#include "daemon/fetch/fetch.h"
#include "daemon/hook/breaker.h"
#include "daemon/hook/spool.h"

struct event;
struct handlers;
struct webhook_handlers;
struct event_base;

enum { WEBHOOK_ERROR_MAX = 200 };

struct webhook_host {
    struct event_base *base;
    struct exchange *exchange;
    struct metrics *metrics;            /* the main thread's own */
    struct handlers *handlers;
    struct spool *spool;
};

/* A life-cycle event that waits, as it will be sent. */
struct webhook_item {
    struct list node;
    struct spool_entry entry;
    int64_t born_ms;                    /* by the daemon's own clock; below 0: before that began */
    size_t length;
    unsigned char json[];
};

struct webhook {
    const struct webhook_host *host;
    const struct config *config;        /* whoever owns this holds it */
    const struct webhook_rule *rule;    /* of that config */
    char *name;                         /* the rule's */
    struct list items;                  /* oldest first */
    size_t item_count;
    size_t under_way;                   /* how many of the first are in the request */
    struct fetcher *fetcher;            /* one connection */
    struct fetch *fetch;                /* NULL: none is under way */
    struct event *timer;
    struct breaker breaker;
    uint64_t not_before_ms;             /* a failure asks for so long a pause in what it is told */
    bool is_told_in_vain;               /* the last event came to nothing, which is logged once */
    bool is_refusing;                   /* since then it was there, and refused */
    bool is_hurried;                    /* see webhook_hurry() */
    uint64_t delivered, failed, dropped;    /* events, requests, events; since the daemon started */
    uint64_t lost;                      /* events that it was not told of, dropped ones too */
    char last_error[WEBHOOK_ERROR_MAX]; /* empty: there was none yet */

    struct fetcher *ask_fetcher;        /* of webhook_ask.c, as these: */
    struct list asks;                   /* that wait for their answer */
    size_t ask_count;
    bool is_asked_in_vain;              /* the last answer was none or of no use, which is logged once */
    uint64_t asked;                     /* since the daemon started */
    struct webhook_handlers *handlers;  /* webhook_event.c's; NULL: it handles no events */
};

/* NULL: out of memory. */
struct webhook *webhook_new(const struct webhook_host *host, const struct config *config, const struct webhook_rule *rule);
/* What waits stays in the spool. */
void webhook_free(struct webhook *webhook);
/* Nothing waits any more, nor stays in the spool. */
void webhook_drop_all(struct webhook *webhook);
/* The rule of the same name in another config. */
void webhook_set_rule(struct webhook *webhook, const struct config *config, const struct webhook_rule *rule);

/* One more event, as a whole CloudEvent in JSON. What there is no room for is dropped and counted. */
void webhook_push(struct webhook *webhook, struct bytes json, uint64_t time_ms);
/* For webhook_ask.c. What is said to the receiver, in whatever way, is signed and counted alike, and tells of its state. Which of the two
 * went well or wrong is one of is_told_in_vain and is_asked_in_vain: where one of them works, the other's trouble goes on. */
struct fetch *webhook_post(struct webhook *webhook, struct fetcher *fetcher, bool is_batch, struct bytes body, fetch_answered answered,
                           void *argument);
void webhook_take_success(struct webhook *webhook, bool *is_in_vain);
void webhook_take_failure(struct webhook *webhook, bool *is_in_vain, const char *problem);
/* An answer to a question that says nothing of use: it would be the same again. */
void webhook_take_useless(struct webhook *webhook, const char *problem);
void webhook_schedule(struct webhook *webhook);         /* its state may have changed: sends what may be sent */
uint64_t webhook_now_ms(const struct webhook *webhook);

/* These were lost before they came here; the receiver is told. */
void webhook_add_lost(struct webhook *webhook, uint64_t count);

/* The daemon ends: what waits goes now, and no longer for others to go with it. */
void webhook_hurry(struct webhook *webhook);
/* Something waits, and the receiver has taken all so far. */
bool webhook_is_busy(const struct webhook *webhook);
size_t webhook_waiting(const struct webhook *webhook);          /* events, those under way too */
const char *webhook_state(const struct webhook *webhook);       /* "ready", "retrying", "refused", "open", "probing" */

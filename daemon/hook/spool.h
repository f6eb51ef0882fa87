/*
 * Spool: a file that keeps what waits for webhooks over a restart. Only appended to; a record of what is over makes an older one void, and
 * the file is written anew when most of it is void. Knows not what the events say, nor who gets them.
 */
#pragma once

#include "lib/list.h"
#include "lib/buf.h"

#include <limits.h>

struct config;
struct metrics;

/* An event in it, as part of whatever waits. */
struct spool_entry {
    struct list node;
    uint64_t number;                    /* 0: it is not in the file */
    uint64_t time_ms;                   /* Unix milliseconds */
    const char *name;                   /* the webhook's; borrowed, as this: */
    struct bytes json;
};

struct spool {
    char path[PATH_MAX];
    int descriptor;                     /* -1: there is no spool */
    struct metrics *metrics;
    const struct config *config;        /* for its bounds; borrowed */
    struct list entries;
    uint64_t last_number;
    uint64_t bytes;                     /* of the file */
    uint64_t live_bytes;                /* of these, records of entries */
    struct buf out;                     /* ends that are not written yet */
    bool is_loading;                    /* nothing is written: all that stays is, in the end */
    bool has_failed;                    /* the last event did not get into it, and that was said */
    bool has_failed_ends;               /* likewise, the last ends */
};

typedef void (*spool_found)(void *argument, struct bytes name, struct bytes json, uint64_t time_ms);

/*
 * Opens the config's hooks.spool (none: all that follows does nothing), and tells of each event that is not over, in order: `found` adds it to
 * the spool anew, if it is to stay. Then the file is written anew, without what is over, and what is torn off its end. -EINVAL: it cannot be used (said in the log); -ENOMEM.
 */
MUST_CHECK int spool_open(struct spool *spool, const struct config *config, struct metrics *metrics, spool_found found, void *argument);
void spool_close(struct spool *spool);                          /* what is in it stays */
void spool_set_config(struct spool *spool, const struct config *config);
static inline bool spool_is_open(const struct spool *spool) { return spool->descriptor >= 0; }

/* Name, JSON text and time are set. What does not get into the file, for want of room, say, is counted. */
void spool_add(struct spool *spool, struct spool_entry *entry);
/* It was delivered, or is dropped. Takes effect with spool_settle(). */
void spool_end(struct spool *spool, struct spool_entry *entry);
void spool_settle(struct spool *spool);
/* It is forgotten here, and stays in the file. */
static inline void spool_leave(struct spool_entry *entry) { list_remove(&entry->node); }

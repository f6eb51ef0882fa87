/*
 * Store state: what the files of the store share. store.c takes changes, store_write.c is the thread, store_load.c the start.
 */
#pragma once

#include "daemon/store/store.h"
#include "daemon/store/store_groups.h"

#include "daemon/core/keeper.h"
#include "daemon/core/metrics.h"

#include <pthread.h>

/* More offsets than changes can be on their way: history.queue is less, and every thread may be about to add one. */
enum { STORE_SKIPPED = 1 << 20, STORE_QUEUE_MAX = 1000000 };
_Static_assert(STORE_QUEUE_MAX + WORKERS_MAX + 1 < STORE_SKIPPED, "an offset would be given twice");

struct store_changes {
    struct store_change *array;
    size_t capacity, count;
};

struct store_waits {
    struct store_wait { uint64_t stored_by; struct keeper_wait wait; } *array;
    size_t capacity, count;
};

struct store {
    struct keeper keeper;
    struct exchange *exchange;
    enum config_sync sync;
    uint64_t interval_ms, disk_bytes, queue, queue_bytes;
    char *path;

    _Atomic size_t waiting_count;       /* changes that are not in the file */
    _Atomic uint64_t waiting_bytes;

    pthread_mutex_t lock;
    pthread_cond_t wake;                /* of the thread */
    struct store_changes posted;        /* under the lock, as what follows */
    struct store_waits waits;
    uint64_t posted_number, stored_number;      /* of the last change ever posted, and in the file */
    size_t wakes_at;                    /* the thread sleeps until so many changes are posted; SIZE_MAX: it does not sleep */
    bool is_stopping;
    atomic_bool has_lost;               /* a change, for want of memory: the file does not have all */

    pthread_mutex_t telling;            /* held while somebody is told */
    bool is_hushed;                     /* under that lock */

    pthread_t thread;
    bool is_running;
    struct store_changes taken;         /* the thread's own, as what follows */
    struct store_file *file;
    struct store_groups groups;
    uint64_t written_ms;
    bool has_failed;                    /* at the last try: which was said */
};

/* From the file to the directory. */
MUST_CHECK int store_load(struct store *store, const struct config *config);
/* Writes what was posted, on the caller's thread; for the start, and the thread itself. */
MUST_CHECK int store_write_taken(struct store *store);
void store_take(struct store *store);
void *store_run(void *store);
void store_release(struct store_change *change);

/*
 * Store: see store.h. Its keeper's side: any thread.
 */
#include "daemon/store/store_state.h"

#include "daemon/config/config.h"
#include "daemon/config/state_path.h"
#include "daemon/core/directory.h"
#include "daemon/core/message.h"
#include "lib/log.h"

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct store *store_of(struct keeper *keeper)
{
    return CONTAINER_OF(keeper, struct store, keeper);
}

static bool store_has_room(struct keeper *keeper)
{
    const struct store *store = store_of(keeper);
    bool has_room = atomic_load_explicit(&store->waiting_count, memory_order_relaxed) < store->queue
        && atomic_load_explicit(&store->waiting_bytes, memory_order_relaxed) < store->queue_bytes;
    if (!has_room)
        atomic_fetch_add_explicit(&keeper->metrics.values[METRIC_HISTORY_FULL], 1, memory_order_relaxed);
    return has_room;
}

static struct store_change *changes_grow(struct store_changes *changes)
{
    if (changes->count == changes->capacity) {
        size_t capacity = MAX(changes->capacity * 2, (size_t)64);
        struct store_change *array = realloc(changes->array, capacity * sizeof(*array));
        if (!array)
            return NULL;
        changes->array = array;
        changes->capacity = capacity;
    }
    return &changes->array[changes->count++];
}

/* What was let go of a stream is said with the next message as well. */
static bool is_said_again(const struct store_change *last, const struct store_change *change)
{
    return last->kind == CHANGE_FORGET && last->place == change->place && !last->keeps_latest
        && (change->kind == CHANGE_FORGET || change->kind == CHANGE_PUT) && memcmp(last->epoch, change->epoch, HISTORY_EPOCH_TEXT) == 0;
}

/* Its number. Those that must not be lost are taken beyond the bound: there are no more of them than of groups and messages. */
static uint64_t store_post(struct store *store, struct store_change *change, const struct history *history)
{
    struct history_state state;
    history_state(history, &state);
    change->forgotten = state.forgotten;
    change->keeps_latest = state.keeps_latest;
    change->has_lost_values = state.has_lost_values;
    memcpy(change->epoch, state.epoch, sizeof(change->epoch));
    pthread_mutex_lock(&store->lock);
    struct store_changes *posted = &store->posted;
    uint64_t number = store->posted_number;
    if (posted->count && is_said_again(&posted->array[posted->count - 1], change)) {
        posted->array[posted->count - 1] = *change;
    } else if (change->kind != CHANGE_FORGET || posted->count < 2 * store->queue) {
        struct store_change *kept = changes_grow(posted);
        if (kept) {
            *kept = *change;
            place_ref(change->place);
            number = ++store->posted_number;
            atomic_fetch_add_explicit(&store->waiting_count, 1, memory_order_relaxed);
        } else {
            /* Nobody is told that it is stored, and the file is not trusted again. */
            atomic_store(&store->has_lost, true);
            change->message = NULL;
            number = UINT64_MAX;
        }
    }
    if (change->message) {
        message_ref_many(change->message, 1);
        atomic_fetch_add_explicit(&store->waiting_bytes, change->message->size, memory_order_relaxed);
    }
    bool is_much = atomic_load_explicit(&store->waiting_bytes, memory_order_relaxed) >= store->queue_bytes / 2;
    if (store->wakes_at != SIZE_MAX && (posted->count >= store->wakes_at || is_much)) {
        store->wakes_at = SIZE_MAX;
        pthread_cond_signal(&store->wake);
    }
    pthread_mutex_unlock(&store->lock);
    return number;
}

static uint64_t store_put(struct keeper *keeper, struct place *place, const struct history *history, struct message *message)
{
    struct store *store = store_of(keeper);
    const struct ports *ports = &store->exchange->ports;
    struct store_change change = {.kind = CHANGE_PUT, .place = place, .message = message, .offset = history_offset(history),
                                  .replaced = history_replaced(history), .at_ms = ports->wall_ms(ports->argument)};
    uint64_t number = store_post(store, &change, history);
    return store->sync == SYNC_EACH ? number : 0;
}

static void store_forget(struct keeper *keeper, struct place *place, const struct history *history, uint64_t offset)
{
    struct store_change change = {.kind = CHANGE_FORGET, .place = place, .offset = offset};
    store_post(store_of(keeper), &change, history);
}

static void store_clear(struct keeper *keeper, struct place *place, const struct history *history)
{
    struct store_change change = {.kind = CHANGE_CLEAR, .place = place};
    store_post(store_of(keeper), &change, history);
}

static void store_end(struct keeper *keeper, struct place *place, const struct history *history)
{
    struct store_change change = {.kind = CHANGE_END, .place = place};
    store_post(store_of(keeper), &change, history);
}

static uint64_t store_told(struct keeper *keeper)
{
    struct store *store = store_of(keeper);
    pthread_mutex_lock(&store->lock);
    uint64_t number = store->sync == SYNC_EACH ? store->posted_number : 0;
    pthread_mutex_unlock(&store->lock);
    return number;
}

/* Without memory there is no answer rather than one that is not true. */
static void waits_add(struct store_waits *waits, uint64_t stored_by, const struct keeper_wait *wait)
{
    if (waits->count == waits->capacity) {
        size_t capacity = MAX(waits->capacity * 2, (size_t)64);
        struct store_wait *array = realloc(waits->array, capacity * sizeof(*array));
        if (!array)
            return;
        waits->array = array;
        waits->capacity = capacity;
    }
    waits->array[waits->count++] = (struct store_wait){stored_by, *wait};
}

static bool store_wait(struct keeper *keeper, uint64_t stored_by, const struct keeper_wait *wait)
{
    struct store *store = store_of(keeper);
    pthread_mutex_lock(&store->lock);
    bool must_wait = store->stored_number < stored_by;
    if (must_wait)
        waits_add(&store->waits, stored_by, wait);
    pthread_mutex_unlock(&store->lock);
    return must_wait;
}

void store_release(struct store_change *change)
{
    place_unref(change->place);
    message_unref(change->message);
}

/* NULL: there is no place for it, or no memory. */
static char *store_path(const struct config *config)
{
    struct buf path = {0};
    char *copy = state_path_add(config->history.path, "history", &path) == 0 ? strdup(buf_text(&path)) : NULL;
    buf_done(&path);
    return copy;
}

static void store_free(struct store *store)
{
    for (size_t i = 0; i < store->posted.count; i++)
        store_release(&store->posted.array[i]);
    for (size_t i = 0; i < store->taken.count; i++)
        store_release(&store->taken.array[i]);
    free(store->posted.array);
    free(store->taken.array);
    free(store->waits.array);
    store_groups_done(&store->groups);
    store_file_close(store->file);
    pthread_cond_destroy(&store->wake);
    pthread_mutex_destroy(&store->lock);
    pthread_mutex_destroy(&store->telling);
    free(store->path);
    free(store);
}

static struct store *store_new(const struct config *config, struct exchange *exchange)
{
    struct store *store = calloc(1, sizeof(*store));
    pthread_condattr_t clock;
    if (!store)
        return NULL;
    store->keeper = (struct keeper){.is_awaited = config->history.sync == SYNC_EACH, .has_room = store_has_room, .put = store_put,
                                    .forget = store_forget, .clear = store_clear, .end = store_end, .told = store_told, .wait = store_wait};
    store->exchange = exchange;
    store->sync = config->history.sync;
    store->interval_ms = config->history.sync_interval_ms;
    store->disk_bytes = config->history.disk_bytes;
    store->queue = MIN(config->history.queue, (uint64_t)STORE_QUEUE_MAX);
    store->queue_bytes = config->history.queue_bytes;
    store->path = store_path(config);
    store->wakes_at = SIZE_MAX;
    pthread_condattr_init(&clock);
    pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    pthread_mutex_init(&store->lock, NULL);
    pthread_mutex_init(&store->telling, NULL);
    pthread_cond_init(&store->wake, &clock);
    pthread_condattr_destroy(&clock);
    if (store_groups_init(&store->groups) == 0)
        return store;
    store_free(store);
    return NULL;
}

static int store_refuse(const struct store *store, int r)
{
    if (r == -EBUSY)
        log_error(LOG_AREA_DAEMON, NULL, "history.path: %s is in use by another process; each daemon needs a folder of its own", store->path);
    else if (r == -EBADMSG)
        log_error(LOG_AREA_DAEMON, NULL, "history.path: %s/data.mdb is damaged, or not a file of rtcd's; move it away (what groups remember "
                  "begins anew then), or put a copy back that was made while the daemon was stopped", store->path);
    else
        log_error(LOG_AREA_DAEMON, NULL, "history.path: %s cannot be used: %s", store->path, strerror(-r));
    return -EINVAL;
}

/* Histories go on in memory, without the file: should it come into use again, it knows nothing of that. */
static int store_disown(struct store *store)
{
    char name[PATH_MAX];
    if (!store->path || snprintf(name, sizeof(name), "%s/data.mdb", store->path) >= (int)sizeof(name) || access(name, F_OK) < 0)
        return 0;
    int r = store_file_open(store->path, store->disk_bytes, true, &store->file);
    if (r == 0)
        r = store_file_begin(store->file);
    if (r == 0)
        r = store_file_put_note(store->file, "running", "never");
    return r == 0 ? store_file_commit(store->file) : r;
}

static int store_start_thread(struct store *store)
{
    /* Signals are the main thread's alone. */
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    store->is_running = true;
    int r = -pthread_create(&store->thread, NULL, store_run, store);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return r;
}

int store_start(const struct config *config, struct exchange *exchange, struct store **ret)
{
    struct store *store = store_new(config, exchange);
    *ret = NULL;
    if (!store)
        return -ENOMEM;
    if (config->history.store == STORE_MEMORY) {
        int r = store_disown(store);
        if (r < 0)
            log_warning(LOG_AREA_DAEMON, NULL, "%s has histories, and history.store is memory; remove it before history.store is disk again: "
                        "it cannot be told that it is out of date (%s)", store->path, strerror(-r));
        store_free(store);
        return 0;
    }
    if (!store->path) {
        log_error(LOG_AREA_DAEMON, NULL, "history.store is disk, and there is no folder: set history.path, or $STATE_DIRECTORY");
        store_free(store);
        return -EINVAL;
    }
    exchange->directory->keeper = &store->keeper;
    int r = store_file_open(store->path, store->disk_bytes, store->sync != SYNC_NEVER, &store->file);
    if (r == 0)
        r = store_load(store, config);
    if (r < 0)
        r = store_refuse(store, r);
    if (r == 0)
        r = store_start_thread(store);
    if (r == 0) {
        *ret = store;
        return 0;
    }
    exchange->directory->keeper = NULL;
    store_free(store);
    return r;
}

void store_hush(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->telling);
    store->is_hushed = true;
    pthread_mutex_unlock(&store->telling);
}

void store_stop(struct store *store)
{
    if (!store)
        return;
    pthread_mutex_lock(&store->lock);
    store->is_stopping = true;
    pthread_cond_signal(&store->wake);
    pthread_mutex_unlock(&store->lock);
    pthread_join(store->thread, NULL);
    store->exchange->directory->keeper = NULL;
    store_free(store);
}

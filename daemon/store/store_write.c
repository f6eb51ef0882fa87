/*
 * Store write: the thread that brings changes into the file, see store.h. One transaction for all that has come meanwhile, within bounds.
 */
#include "daemon/store/store_state.h"

#include "daemon/core/event_call.h"
#include "daemon/core/letter.h"
#include "daemon/core/message.h"
#include "lib/log.h"

#include <stdlib.h>
#include <time.h>

enum { AT_ONCE = 4096, AT_ONCE_BYTES = 1024 * 1024, RETRY_MS = 1000 };

static uint64_t now_ms(const struct store *store)
{
    return store->exchange->ports.now_ms(store->exchange->ports.argument);
}

/* Of the rest of those taken, as many as one transaction takes. */
static size_t store_portion(const struct store *store, size_t from)
{
    uint64_t bytes = 0;
    size_t count = 0;
    while (from + count < store->taken.count && count < AT_ONCE && bytes < AT_ONCE_BYTES) {
        const struct message *message = store->taken.array[from + count].message;
        bytes += message ? message->size : 0;
        count++;
    }
    return count;
}

static int store_commit(struct store *store, int r)
{
    if (r == 0)
        r = store_groups_write(&store->groups, store->file);
    if (r == 0)
        r = store_file_commit(store->file);
    else
        store_file_abort(store->file);
    if (r == 0)
        store_groups_settle(&store->groups);
    return r;
}

static int store_evict_group(struct store *store, struct store_group *group)
{
    log_warning(LOG_AREA_CORE, NULL, "the history of group %.*s goes from the disk, which is full: raise history.disk-bytes (%llu), or let groups "
                "remember less", (int)group->name_length, group->name, (unsigned long long)store->disk_bytes);
    metrics_add(&store->keeper.metrics, METRIC_HISTORY_EVICTED, 1);
    return store_groups_end(&store->groups, group);
}

/* Messages that nobody needs go, or else the group that was written longest ago. -EDQUOT: there is none. */
static int store_evict(struct store *store)
{
    struct store_group *group = store_groups_oldest(&store->groups);
    if (!group && store->groups.dying_count == 0)
        return -EDQUOT;
    int r = store->groups.dying_count ? 0 : store_evict_group(store, group);
    while (r == 0) {
        r = store_file_begin(store->file);
        if (r == 0)
            r = store_commit(store, store_groups_bury(&store->groups, store->file));
        if (r == 0 && store->groups.dying_count == 0)
            break;
    }
    return r;
}

/* In a transaction, or not any more: -EDQUOT. A quarter stays free: what is written anew lies beside what it replaces until the end. */
static int store_check_space(struct store *store)
{
    if (store_file_used(store->file) < store->disk_bytes / 4 * 3)
        return 0;
    return -EDQUOT;
}

static int store_write_some(struct store *store, size_t from, size_t count)
{
    int r = store_file_begin(store->file);
    if (r < 0)
        return r;
    r = store_check_space(store);
    if (r == 0 && atomic_load(&store->has_lost))
        r = store_file_put_note(store->file, "running", "never");
    for (size_t i = 0; i < count && r == 0; i++)
        r = store_groups_apply(&store->groups, store->file, &store->taken.array[from + i]);
    if (r == 0)
        r = store_groups_bury(&store->groups, store->file);
    return store_commit(store, r);
}

static void store_answer(struct store *store, const struct keeper_wait *wait)
{
    const struct ports *ports = &store->exchange->ports;
    struct letter letter = {.kind = LETTER_STORED, .handle = wait->client, .sequence = wait->id, .recipients = wait->recipients,
                            .kept = wait->kept};
    int r = wait->handle ? event_call_answer(store->exchange, wait->handle, wait->id, false, (struct bytes){0})
        : ports->post(ports->argument, MAIN_MAILBOX, &letter);
    if (r < 0 && r != -ESHUTDOWN)
        log_warning(LOG_AREA_CORE, NULL, "out of memory: what was published is stored, and who published it is not told");
}

/* Those up to this number are in the file. */
static void store_acknowledge(struct store *store, uint64_t number)
{
    struct store_waits told = {0};
    pthread_mutex_lock(&store->lock);
    struct store_waits *waits = &store->waits;
    size_t kept = 0;
    store->stored_number = number;
    told.array = waits->count ? malloc(waits->count * sizeof(*told.array)) : NULL;
    for (size_t i = 0; i < waits->count; i++) {
        if (waits->array[i].stored_by <= number && told.array)
            told.array[told.count++] = waits->array[i];
        else
            waits->array[kept++] = waits->array[i];
    }
    waits->count = kept;
    pthread_mutex_unlock(&store->lock);
    pthread_mutex_lock(&store->telling);
    for (size_t i = 0; i < told.count && !store->is_hushed; i++)
        store_answer(store, &told.array[i].wait);
    pthread_mutex_unlock(&store->telling);
    free(told.array);
}

static void store_let_go(struct store *store, size_t from, size_t count)
{
    uint64_t bytes = 0, messages = 0;
    for (size_t i = from; i < from + count; i++) {
        const struct message *message = store->taken.array[i].message;
        bytes += message ? message->size : 0;
        messages += message != NULL;
        store_release(&store->taken.array[i]);
    }
    atomic_fetch_sub_explicit(&store->waiting_count, count, memory_order_relaxed);
    atomic_fetch_sub_explicit(&store->waiting_bytes, bytes, memory_order_relaxed);
    metrics_add(&store->keeper.metrics, METRIC_HISTORY_STORED, messages);
    metrics_add(&store->keeper.metrics, METRIC_HISTORY_COMMITS, 1);
}

static void store_wait_until(struct store *store, uint64_t due_ms)
{
    struct timespec due = {.tv_sec = (time_t)(due_ms / 1000), .tv_nsec = (long)(due_ms % 1000) * 1000000};
    pthread_cond_timedwait(&store->wake, &store->lock, &due);
}

/* Says it once, and waits before the next try; publishers are held up meanwhile. */
static void store_fail(struct store *store, int r)
{
    if (!store->has_failed)
        log_error(LOG_AREA_CORE, NULL, "histories cannot be written to %s: %s; it is tried again, and who publishes to groups that remember is "
                  "held up meanwhile", store->path, r == -EDQUOT ? "history.disk-bytes is too little" : strerror(-r));
    store->has_failed = true;
    metrics_add(&store->keeper.metrics, METRIC_HISTORY_FAILED, 1);
    pthread_mutex_lock(&store->lock);
    uint64_t due_ms = now_ms(store) + RETRY_MS;
    while (!store->is_stopping && now_ms(store) < due_ms)
        store_wait_until(store, due_ms);
    pthread_mutex_unlock(&store->lock);
}

static bool store_must_give_up(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    bool must_give_up = store->is_stopping;
    pthread_mutex_unlock(&store->lock);
    return must_give_up;
}

int store_write_taken(struct store *store)
{
    uint64_t number = store->stored_number;
    size_t done = 0;
    while (done < store->taken.count) {
        size_t count = store_portion(store, done);
        int r = store_write_some(store, done, count);
        if (r == -EDQUOT)
            r = store_evict(store);
        else if (r == 0) {
            number += count;
            store->has_failed = false;
            store_let_go(store, done, count);
            store_acknowledge(store, number);
            done += count;
        }
        if (r == 0)
            continue;
        if (!store->is_running || store_must_give_up(store)) {
            memmove(store->taken.array, store->taken.array + done, (store->taken.count - done) * sizeof(*store->taken.array));
            store->taken.count -= done;
            return r;
        }
        store_fail(store, r);
    }
    store->taken.count = 0;
    return 0;
}

/* With the lock held, or before there are threads. */
void store_take(struct store *store)
{
    struct store_changes posted = store->posted;
    assert(store->taken.count == 0);
    store->posted = store->taken;
    store->taken = posted;
}

/* Waits for something to write, and, by history.sync-interval, for more of it. False: it is over. */
static bool store_next(struct store *store)
{
    pthread_mutex_lock(&store->lock);
    while (store->posted.count == 0 && store->groups.dying_count == 0 && !store->is_stopping) {
        store->wakes_at = 1;
        pthread_cond_wait(&store->wake, &store->lock);
    }
    uint64_t due_ms = store->sync == SYNC_INTERVAL ? store->written_ms + store->interval_ms : 0;
    while (!store->is_stopping && now_ms(store) < due_ms && store->posted.count < store->queue / 2
           && atomic_load_explicit(&store->waiting_bytes, memory_order_relaxed) < store->queue_bytes / 2) {
        store->wakes_at = store->queue / 2;
        store_wait_until(store, due_ms);
    }
    store->wakes_at = SIZE_MAX;
    bool has_some = store->posted.count > 0 || !store->is_stopping;
    store_take(store);
    pthread_mutex_unlock(&store->lock);
    return has_some;
}

/* From here on a start finds that nothing is missing. */
static void store_finish(struct store *store)
{
    int r = atomic_load(&store->has_lost) ? -ENOMEM : store_file_begin(store->file);
    if (r == 0) {
        r = store_file_put_note(store->file, "running", "no");
        r = store_commit(store, r);
    }
    if (r == 0)
        r = store_file_sync(store->file);
    if (r < 0)
        log_error(LOG_AREA_DAEMON, NULL, "%s: that nothing is missing could not be written: %s; the next start goes on as after a crash", store->path,
                  strerror(-r));
}

/* One step of what goes, while nothing else is to be done. */
static void store_bury_some(struct store *store)
{
    int r = store_write_some(store, 0, 0);
    if (r == -EDQUOT)
        r = store_evict(store);
    if (r < 0)
        store_fail(store, r);
}

void *store_run(void *argument)
{
    struct store *store = argument;
    int r = 0;
    while (r == 0 && store_next(store)) {
        if (store->taken.count == 0)
            store_bury_some(store);
        r = store_write_taken(store);
        store->written_ms = now_ms(store);
    }
    if (r == 0)
        store_finish(store);
    else
        log_error(LOG_AREA_DAEMON, NULL, "%zu changes of histories were not written to %s: %s", store->taken.count, store->path, strerror(-r));
    return NULL;
}

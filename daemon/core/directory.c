/*
 * Directory: see directory.h. A stripe is chosen by the upper half of the hash, the slot within its table by the lower.
 */
#include "daemon/core/directory.h"

#include "daemon/config/config.h"
#include "daemon/core/archive.h"
#include "daemon/core/attendance.h"
#include "daemon/core/connection.h"
#include "daemon/core/notice.h"

#include <stdlib.h>
#include <sys/random.h>

static struct bytes place_key(const void *entry)
{
    return place_name(entry);
}

static struct bytes connection_key(const void *entry)
{
    const struct connection *connection = entry;
    return bytes_of(connection->id.bytes, UUID_BYTES);
}

static void stripe_init(struct stripe *stripe, const struct table_seed *seed, struct bytes (*key_of)(const void *))
{
    pthread_mutex_init(&stripe->lock, NULL);
    table_init(&stripe->table, seed, key_of);
    list_init(&stripe->remembered);
    stripe->remembered_count = 0;
}

/* Members are gone by now: groups that are left have a history. */
static void stripe_done(struct stripe *stripe)
{
    LIST_EACH(node, &stripe->remembered) {
        struct remembered *remembered = CONTAINER_OF(node, struct remembered, node);
        history_free(remembered->history);
        place_unref(remembered->place);
        free(remembered);
    }
    table_done(&stripe->table);
    pthread_mutex_destroy(&stripe->lock);
}

struct directory *directory_new(unsigned worker_count, struct lifecycle *lifecycle)
{
    struct directory *directory = aligned_alloc(64, sizeof(*directory));
    if (!directory)
        return NULL;
    directory->worker_count = worker_count;
    directory->lifecycle = lifecycle;
    directory->keeper = NULL;
    atomic_init(&directory->sweep_ms, 0);
    if (getrandom(&directory->seed, sizeof(directory->seed), 0) != (ssize_t)sizeof(directory->seed)) {
        free(directory);
        return NULL;
    }
    for (unsigned i = 0; i < DIRECTORY_STRIPES; i++) {
        for (enum space space = 0; space < SPACE_COUNT; space++)
            stripe_init(&directory->places[space][i], &directory->seed, place_key);
        stripe_init(&directory->connections[i], &directory->seed, connection_key);
    }
    return directory;
}

void directory_free(struct directory *directory)
{
    if (!directory)
        return;
    for (unsigned i = 0; i < DIRECTORY_STRIPES; i++) {
        for (enum space space = 0; space < SPACE_COUNT; space++)
            stripe_done(&directory->places[space][i]);
        stripe_done(&directory->connections[i]);
    }
    free(directory);
}

static uint64_t directory_hash(const struct directory *directory, struct bytes key)
{
    return table_seed_hash(&directory->seed, key);
}

static struct stripe *stripe_of(struct stripe stripes[DIRECTORY_STRIPES], uint64_t hash)
{
    return &stripes[(hash >> 32) % DIRECTORY_STRIPES];
}

static struct place *place_new(enum space space, struct bytes name, unsigned worker_count)
{
    assert(name.length <= NAME_MAX_BYTES);
    size_t rosters = worker_count * sizeof(struct roster *);
    struct place *place = calloc(1, sizeof(*place) + rosters + name.length);
    if (!place)
        return NULL;
    atomic_init(&place->references, 1);
    place->space = (uint8_t)space;
    if (space == SPACE_GROUP)
        place->rule_generation = UINT32_MAX;
    place->name_bytes = (uint8_t)name.length;
    unsigned char *text = (unsigned char *)place->rosters + rosters;
    memcpy(text, name.data, name.length);
    place->name = text;
    return place;
}

void place_ref(struct place *place)
{
    atomic_fetch_add_explicit(&place->references, 1, memory_order_relaxed);
}

void place_unref(struct place *place)
{
    if (place && atomic_fetch_sub_explicit(&place->references, 1, memory_order_acq_rel) == 1) {
        if (place->space == SPACE_GROUP)
            attendance_free(place->attendance);
        free(place);
    }
}

static struct place *place_find_or_make(struct directory *directory, struct stripe *stripe, enum space space,
                                        struct bytes name, uint64_t hash)
{
    struct place *place = table_find_hashed(&stripe->table, name, hash);
    if (place)
        return place;
    place = place_new(space, name, directory->worker_count);
    if (place && table_insert_hashed(&stripe->table, place, hash) < 0) {
        place_unref(place);
        return NULL;
    }
    return place;
}

struct place *directory_enter(struct directory *directory, enum space space, struct bytes name, const struct arrival *arrival,
                              uint64_t *ret_sequence)
{
    uint64_t hash = directory_hash(directory, name);
    struct stripe *stripe = stripe_of(directory->places[space], hash);
    pthread_mutex_lock(&stripe->lock);
    struct place *place = place_find_or_make(directory, stripe, space, name, hash);
    if (place) {
        bool is_first = place->workers == 0;
        place->workers |= UINT64_C(1) << arrival->worker;
        if (is_first && space == SPACE_GROUP)
            notice_occupied(directory->lifecycle, place);
        *ret_sequence = atomic_load_explicit(&place->sequence, memory_order_relaxed);
    }
    if (place && space == SPACE_GROUP && arrival->config->group_count) {
        struct remembered *remembered = archive_open(directory, stripe, place, arrival->config, arrival->now_ms);
        if (arrival->catch_up)
            archive_answer(remembered, arrival->catch_up);
    }
    pthread_mutex_unlock(&stripe->lock);
    return place;
}

void directory_leave(struct directory *directory, struct place *place, unsigned worker)
{
    uint64_t hash = directory_hash(directory, place_name(place));
    struct stripe *stripe = stripe_of(directory->places[place->space], hash);
    pthread_mutex_lock(&stripe->lock);
    place->workers &= ~(UINT64_C(1) << worker);
    if (place->workers == 0 && place->space == SPACE_GROUP)
        notice_vacated(directory->lifecycle, place);
    if (place->workers == 0 && (place->space != SPACE_GROUP || !place->remembered))
        directory_drop(directory, stripe, place);
    pthread_mutex_unlock(&stripe->lock);
}

void directory_open_user(struct directory *directory, struct place *user)
{
    struct stripe *stripe = stripe_of(directory->places[SPACE_USER], directory_hash(directory, place_name(user)));
    pthread_mutex_lock(&stripe->lock);
    if (user->opened_count++ == 0)
        user->generation = notice_online(directory->lifecycle, user);
    pthread_mutex_unlock(&stripe->lock);
}

void directory_close_user(struct directory *directory, struct place *user)
{
    struct stripe *stripe = stripe_of(directory->places[SPACE_USER], directory_hash(directory, place_name(user)));
    pthread_mutex_lock(&stripe->lock);
    if (--user->opened_count == 0)
        notice_offline(directory->lifecycle, user);
    pthread_mutex_unlock(&stripe->lock);
}

void directory_drop(struct directory *directory, struct stripe *stripe, struct place *place)
{
    table_remove_hashed(&stripe->table, place_name(place), directory_hash(directory, place_name(place)));
    place_unref(place);
}

struct place *directory_make(struct directory *directory, struct stripe *stripe, enum space space, struct bytes name)
{
    return place_find_or_make(directory, stripe, space, name, directory_hash(directory, name));
}

struct stripe *directory_lock(struct directory *directory, enum space space, struct bytes name, struct place **ret_place)
{
    uint64_t hash = directory_hash(directory, name);
    struct stripe *stripe = stripe_of(directory->places[space], hash);
    pthread_mutex_lock(&stripe->lock);
    *ret_place = table_find_hashed(&stripe->table, name, hash);
    return stripe;
}

struct stripe *directory_lock_place(struct directory *directory, const struct place *place)
{
    struct stripe *stripe = stripe_of(directory->places[place->space], directory_hash(directory, place_name(place)));
    pthread_mutex_lock(&stripe->lock);
    return stripe;
}

void directory_unlock(struct stripe *stripe)
{
    pthread_mutex_unlock(&stripe->lock);
}

int directory_add_connection(struct directory *directory, struct connection *connection)
{
    struct bytes key = connection_key(connection);
    uint64_t hash = directory_hash(directory, key);
    struct stripe *stripe = stripe_of(directory->connections, hash);
    pthread_mutex_lock(&stripe->lock);
    int r = table_insert_hashed(&stripe->table, connection, hash);
    pthread_mutex_unlock(&stripe->lock);
    return r;
}

void directory_remove_connection(struct directory *directory, struct connection *connection)
{
    struct bytes key = connection_key(connection);
    uint64_t hash = directory_hash(directory, key);
    struct stripe *stripe = stripe_of(directory->connections, hash);
    pthread_mutex_lock(&stripe->lock);
    table_remove_hashed(&stripe->table, key, hash);
    pthread_mutex_unlock(&stripe->lock);
}

uint64_t directory_find_connection(struct directory *directory, const struct uuid *id)
{
    struct bytes key = bytes_of(id->bytes, UUID_BYTES);
    uint64_t hash = directory_hash(directory, key);
    struct stripe *stripe = stripe_of(directory->connections, hash);
    pthread_mutex_lock(&stripe->lock);
    /* Only fields that never change after directory_add_connection are read here: its worker owns the rest. */
    const struct connection *connection = table_find_hashed(&stripe->table, key, hash);
    uint64_t handle = connection ? connection->handle : 0;
    pthread_mutex_unlock(&stripe->lock);
    return handle;
}

size_t directory_count(struct directory *directory, enum space space)
{
    size_t count = 0;
    for (unsigned i = 0; i < DIRECTORY_STRIPES; i++) {
        struct stripe *stripe = &directory->places[space][i];
        pthread_mutex_lock(&stripe->lock);
        count += table_count(&stripe->table);
        pthread_mutex_unlock(&stripe->lock);
    }
    return count;
}

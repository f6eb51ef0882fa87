/*
 * Directory: which worker has what, for the whole process: connection id → connection, group and user → the workers
 * that have members. Shared by all threads behind striped locks; the hash is keyed, so names cannot be chosen to
 * collide.
 *
 * A place is a group or a user as the process sees it. It exists while any worker has a member in it, or it has a history, and numbers
 * what is published to it. Its lock is its stripe's: holding it while posting is what gives a group its one order.
 */
#pragma once

#include "lib/buf.h"
#include "lib/list.h"
#include "lib/table.h"
#include "lib/text.h"

#include <pthread.h>
#include <stdatomic.h>

struct attendance;
struct catch_up;
struct config;
struct connection;
struct keeper;
struct lifecycle;
struct remembered;
struct roster;

enum space { SPACE_GROUP, SPACE_USER, SPACE_COUNT };

enum { DIRECTORY_STRIPES = 64 };

struct place {
    atomic_uint references;
    atomic_uint member_count;           /* of a user: connections, those without a transport too */
    union {
        atomic_uint parked_count;       /* of a user: connections without a transport */
        uint32_t rule_generation;       /* of a group: of the config whose rule is known, under the stripe's lock: */
    };
    uint8_t space;                      /* enum space */
    uint8_t name_bytes;
    uint8_t rule;                       /* from 1; 0: none holds */
    atomic_bool is_watched;             /* the main thread wants to hear, once, that `member_count` has changed */
    _Atomic uint64_t sequence;          /* of the last message published here; written under the stripe's lock */
    uint64_t workers;                   /* bit per worker with members; under the stripe's lock, as what follows */
    union {
        struct {                        /* of a group */
            struct remembered *remembered;      /* with history; NULL: see archive.h */
            struct attendance *attendance;      /* that announces who comes and goes; NULL: see attendance.h. Under the lock with all in it */
        };
        struct {                        /* of a user */
            uint64_t generation;        /* of his presence; stays while `opened_count` is not 0 */
            uint32_t opened_count;      /* connections that were opened and have not ended */
        };
    };
    const unsigned char *name;          /* behind `rosters` */
    struct roster *rosters[];           /* one per worker, each touched by that worker alone */
};

static inline struct bytes place_name(const struct place *place) { return bytes_of(place->name, place->name_bytes); }

struct stripe {
    pthread_mutex_t lock;
    struct table table;
    struct list remembered;             /* groups with history: whichever was used longest ago is first */
    uint32_t remembered_count;
} __attribute__((aligned(64)));

struct directory {
    unsigned worker_count;
    struct lifecycle *lifecycle;        /* whom to tell who comes and goes */
    struct keeper *keeper;              /* of histories; NULL: they are in memory alone. Set before there are other threads */
    _Atomic uint64_t sweep_ms;          /* when archive_sweep() does something next */
    struct table_seed seed;
    struct stripe places[SPACE_COUNT][DIRECTORY_STRIPES];
    struct stripe connections[DIRECTORY_STRIPES];
};

struct directory *directory_new(unsigned worker_count, struct lifecycle *lifecycle);            /* NULL: out of memory */
void directory_free(struct directory *directory);

/* A worker enters a place for a member, making the place if need be, and leaves it after its last one.
 * *ret_sequence: what is published from now on has a higher one. NULL: out of memory. The place stays valid until
 * directory_leave. */
struct arrival {
    unsigned worker;
    const struct config *config;
    uint64_t now_ms;
    struct catch_up *catch_up;          /* of a group: what was missed is put here. NULL: nobody asks */
};
struct place *directory_enter(struct directory *directory, enum space space, struct bytes name, const struct arrival *arrival,
                              uint64_t *ret_sequence);
void directory_leave(struct directory *directory, struct place *place, unsigned worker);

/* A connection of the user was opened, and, once for each such, has ended. */
void directory_open_user(struct directory *directory, struct place *user);
void directory_close_user(struct directory *directory, struct place *user);

/* Locks the stripe of that name; *ret_place is NULL when there is none. Always unlock. */
struct stripe *directory_lock(struct directory *directory, enum space space, struct bytes name, struct place **ret_place);
struct stripe *directory_lock_place(struct directory *directory, const struct place *place);   /* that the caller has a reference to */
void directory_unlock(struct stripe *stripe);
/* With the lock held: makes a place that is not there (NULL: out of memory), and lets one go that has no members. */
struct place *directory_make(struct directory *directory, struct stripe *stripe, enum space space, struct bytes name);
void directory_drop(struct directory *directory, struct stripe *stripe, struct place *place);

void place_ref(struct place *place);
void place_unref(struct place *place);

MUST_CHECK int directory_add_connection(struct directory *directory, struct connection *connection);
void directory_remove_connection(struct directory *directory, struct connection *connection);
/* The handle of the connection with this id; 0 when there is none. */
uint64_t directory_find_connection(struct directory *directory, const struct uuid *id);

/* A place as it was when its stripe was looked at. */
struct listed {
    struct place *place;
    unsigned members;
    uint64_t published;
    uint64_t generation;                /* of a user who is online; else 0 */
    bool is_occupied;                   /* a user who is online, a group that has members */
};
/* Lists places in a stable order behind `after` (empty: from the start), calling `on_place` for each without any lock held, as long as
 * it returns true. The name that was last, to go on behind, is in *ret_last (empty: all are listed). -ENOMEM. */
typedef bool directory_list_fn(const struct listed *listed, void *argument);
MUST_CHECK int directory_list(struct directory *directory, enum space space, struct bytes after, directory_list_fn *on_place, void *argument,
                              struct buf *ret_last);
size_t directory_count(struct directory *directory, enum space space);

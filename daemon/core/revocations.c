/*
 * Revocations: see revocations.h.
 */
#include "daemon/core/revocations.h"

#include "lib/json.h"
#include "lib/table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/random.h>

enum { LINE_DEPTH_MAX = 4, LINE_MEMBERS_MAX = 8 };

struct entry {
    struct revocation revocation;       /* its name is behind it */
    unsigned char name[];
};

struct revocations {
    pthread_mutex_t lock;
    struct table tables[REVOCATION_KIND_COUNT];
    atomic_size_t count;                /* asked without the lock: who was let in just before is found by the visit that follows */
};

const char *revocation_kind_name(enum revocation_kind kind)
{
    return kind == REVOKED_USER ? "user" : "token";
}

static struct bytes entry_key(const void *entry)
{
    return ((const struct entry *)entry)->revocation.name;
}

struct revocations *revocations_new(void)
{
    struct table_seed seed;
    struct revocations *revocations = calloc(1, sizeof(*revocations));
    if (!revocations || getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        free(revocations);
        return NULL;
    }
    pthread_mutex_init(&revocations->lock, NULL);
    for (size_t kind = 0; kind < REVOCATION_KIND_COUNT; kind++)
        table_init(&revocations->tables[kind], &seed, entry_key);
    return revocations;
}

void revocations_free(struct revocations *revocations)
{
    if (!revocations)
        return;
    for (size_t kind = 0; kind < REVOCATION_KIND_COUNT; kind++) {
        size_t slot = 0;
        struct entry *entry;
        while ((entry = table_each(&revocations->tables[kind], &slot)))
            free(entry);
        table_done(&revocations->tables[kind]);
    }
    pthread_mutex_destroy(&revocations->lock);
    free(revocations);
}

static bool is_over(const struct entry *entry, uint64_t now_s)
{
    return entry->revocation.until_s && entry->revocation.until_s <= now_s;
}

static bool revocations_drop(struct revocations *revocations, enum revocation_kind kind, struct bytes name)
{
    struct entry *entry = table_remove(&revocations->tables[kind], name);
    if (!entry)
        return false;
    atomic_fetch_sub(&revocations->count, 1);
    free(entry);
    return true;
}

/* Only when there is no room. Without memory for that there is still none, which is safe. */
static void revocations_drop_over(struct revocations *revocations, uint64_t now_s)
{
    size_t count = 0;
    struct entry **over = calloc(atomic_load(&revocations->count) + 1, sizeof(*over)), *entry;
    for (size_t kind = 0; kind < REVOCATION_KIND_COUNT && over; kind++) {
        size_t slot = 0;
        while ((entry = table_each(&revocations->tables[kind], &slot)))
            if (is_over(entry, now_s))
                over[count++] = entry;
    }
    while (count--)
        revocations_drop(revocations, over[count]->revocation.kind, over[count]->revocation.name);
    free(over);
}

static int revocations_insert(struct revocations *revocations, struct entry *entry, size_t maximum, uint64_t now_s)
{
    const struct revocation *revocation = &entry->revocation;
    struct table *table = &revocations->tables[revocation->kind];
    struct entry *old = table_find(table, revocation->name);
    if (old) {
        old->revocation.before_s = revocation->before_s;
        old->revocation.until_s = revocation->until_s;
        free(entry);
        return 0;
    }
    if (atomic_load(&revocations->count) >= maximum)
        revocations_drop_over(revocations, now_s);
    int r = atomic_load(&revocations->count) >= maximum ? -ENOSPC : table_insert(table, entry);
    if (r < 0)
        free(entry);
    else
        atomic_fetch_add(&revocations->count, 1);
    return r;
}

int revocations_put(struct revocations *revocations, const struct revocation *revocation, size_t maximum, uint64_t now_s)
{
    assert(revocation->name.length && revocation->name.length <= REVOCATION_NAME_MAX);
    struct entry *entry = malloc(sizeof(*entry) + revocation->name.length);
    if (!entry)
        return -ENOMEM;
    memcpy(entry->name, revocation->name.data, revocation->name.length);
    entry->revocation = *revocation;
    entry->revocation.name = bytes_of(entry->name, revocation->name.length);
    pthread_mutex_lock(&revocations->lock);
    int r = revocations_insert(revocations, entry, maximum, now_s);
    pthread_mutex_unlock(&revocations->lock);
    return r;
}

int revocations_lift(struct revocations *revocations, enum revocation_kind kind, struct bytes name)
{
    pthread_mutex_lock(&revocations->lock);
    bool was_there = revocations_drop(revocations, kind, name);
    pthread_mutex_unlock(&revocations->lock);
    return was_there ? 0 : -ENOENT;
}

bool revocations_are_none(const struct revocations *revocations)
{
    return atomic_load(&revocations->count) == 0;
}

bool revocations_concern(struct revocations *revocations, struct bytes user, struct bytes token_id, uint64_t issued_s, uint64_t now_s)
{
    if (revocations_are_none(revocations))
        return false;
    pthread_mutex_lock(&revocations->lock);
    const struct entry *of_user = user.length ? table_find(&revocations->tables[REVOKED_USER], user) : NULL;
    const struct entry *of_token = token_id.length ? table_find(&revocations->tables[REVOKED_TOKEN], token_id) : NULL;
    bool concern = (of_user && !is_over(of_user, now_s) && issued_s <= of_user->revocation.before_s) || (of_token && !is_over(of_token, now_s));
    pthread_mutex_unlock(&revocations->lock);
    return concern;
}

void revocations_each(struct revocations *revocations, uint64_t now_s,
                      void (*on_each)(const struct revocation *revocation, void *argument), void *argument)
{
    pthread_mutex_lock(&revocations->lock);
    for (size_t kind = 0; kind < REVOCATION_KIND_COUNT; kind++) {
        size_t slot = 0;
        const struct entry *entry;
        while ((entry = table_each(&revocations->tables[kind], &slot)))
            if (!is_over(entry, now_s))
                on_each(&entry->revocation, argument);
    }
    pthread_mutex_unlock(&revocations->lock);
}

static void print_one(const struct revocation *revocation, void *argument)
{
    struct buf *out = argument;
    struct json_writer json = json_writer(out);
    json_begin_object(&json);
    json_key(&json, revocation_kind_name(revocation->kind));
    json_add_string(&json, revocation->name);
    json_key(&json, "before");
    json_add_uint(&json, revocation->before_s);
    json_key(&json, "until");
    json_add_uint(&json, revocation->until_s);
    json_end_object(&json);
    buf_add_byte(out, '\n');
}

void revocations_print(struct revocations *revocations, uint64_t now_s, struct buf *out)
{
    revocations_each(revocations, now_s, print_one, out);
}

/* -EBADMSG with a problem. */
static int read_line(struct bytes line, struct buf *scratch, struct revocation *ret, const char **ret_problem)
{
    struct json_scan scan;
    struct bytes object;
    json_scan_init(&scan, line);
    *ret_problem = "it is no JSON object with user or token, before and until";
    if (json_take_all(&scan, LINE_DEPTH_MAX, &object) < 0 || json_type(object) != JSON_OBJECT
        || json_check_members(object, LINE_MEMBERS_MAX) < 0)
        return -EBADMSG;
    struct bytes user = json_member(object, "user"), token = json_member(object, "token");
    ret->kind = user.length ? REVOKED_USER : REVOKED_TOKEN;
    if ((user.length > 0) == (token.length > 0) || json_string(user.length ? user : token, scratch, &ret->name) < 0
        || json_uint(json_member(object, "before"), &ret->before_s) < 0 || json_uint(json_member(object, "until"), &ret->until_s) < 0)
        return -EBADMSG;
    *ret_problem = "its name is empty or too long";
    return ret->name.length && ret->name.length <= REVOCATION_NAME_MAX ? 0 : -EBADMSG;
}

int revocations_read(struct revocations *revocations, struct bytes text, size_t maximum, uint64_t now_s, size_t *ret_line,
                     const char **ret_problem)
{
    struct buf scratch = {0};
    int r = 0;
    for (*ret_line = 1; text.length && r == 0; ++*ret_line) {
        const unsigned char *end = memchr(text.data, '\n', text.length);
        size_t length = end ? (size_t)(end - text.data) : text.length;
        struct revocation revocation;
        buf_clear(&scratch);
        r = end ? read_line(bytes_of(text.data, length), &scratch, &revocation, ret_problem) : -EBADMSG;
        if (!end)
            *ret_problem = "its end is missing";
        if (r == 0 && !(revocation.until_s && revocation.until_s <= now_s))
            r = revocations_put(revocations, &revocation, maximum, now_s);
        size_t used = MIN(length + 1, text.length);
        text = bytes_of(text.data + used, text.length - used);
    }
    --*ret_line;
    buf_done(&scratch);
    return r;
}

/*
 * Answered: see answered.h. Who has among the most is found by the power of two that its weight is: within twice of the heaviest, in no
 * time.
 */
#include "daemon/core/answered.h"

#include "lib/list.h"
#include "lib/table.h"

#include <stdlib.h>
#include <sys/random.h>

enum { CLASSES = 64 };

/* What a caller has of a group. */
struct share {
    struct list node;                   /* among those of its class; while it weighs nothing, in none */
    struct list entries;                /* the answered ones, the oldest first */
    uint64_t weight;
    size_t entry_count;                 /* with those under way */
    size_t name_length;
    unsigned char name[];               /* the caller, NUL, the group */
};

struct answered_entry {
    struct list by_age, in_share;       /* under way: in neither */
    struct share *share;
    uint64_t fingerprint, since_ms, weight;
    bool is_over;
    struct buf answer;
    size_t name_length;
    unsigned char name[];               /* the caller, NUL, the key */
};

struct answered {
    struct table_seed seed;
    struct table entries, shares;
    struct list by_age;                 /* the oldest first */
    struct list classes[CLASSES];
    uint64_t weight;
};

static struct bytes entry_name(const void *entry)
{
    return bytes_of(((const struct answered_entry *)entry)->name, ((const struct answered_entry *)entry)->name_length);
}

static struct bytes share_name(const void *share)
{
    return bytes_of(((const struct share *)share)->name, ((const struct share *)share)->name_length);
}

bool idempotency_key_is_valid(struct bytes key)
{
    for (size_t i = 0; i < key.length; i++)
        if (key.data[i] <= ' ' || key.data[i] > '~')
            return false;
    return key.length > 0 && key.length <= IDEMPOTENCY_KEY_MAX;
}

int idempotency_key_read(struct bytes value, struct buf *ret)
{
    bool is_quoted = value.length > 0 && value.data[0] == '"';
    size_t at = is_quoted, end = value.length - is_quoted;
    if (is_quoted && (value.length < 2 || value.data[end] != '"'))
        return -EINVAL;
    size_t before = ret->length;
    for (; at < end; at++) {
        if (is_quoted && value.data[at] == '"')
            return -EINVAL;
        if (is_quoted && value.data[at] == '\\' && (++at == end || (value.data[at] != '"' && value.data[at] != '\\')))
            return -EINVAL;
        buf_add_byte(ret, value.data[at]);
    }
    if (buf_status(ret) < 0)
        return -ENOMEM;
    if (ret->length == before)
        return -EINVAL;
    return idempotency_key_is_valid(bytes_of(ret->data + before, ret->length - before)) ? 0 : -EINVAL;
}

struct answered *answered_new(void)
{
    struct answered *answered = calloc(1, sizeof(*answered));
    if (!answered || getrandom(&answered->seed, sizeof(answered->seed), 0) != (ssize_t)sizeof(answered->seed)) {
        free(answered);
        return NULL;
    }
    table_init(&answered->entries, &answered->seed, entry_name);
    table_init(&answered->shares, &answered->seed, share_name);
    list_init(&answered->by_age);
    for (size_t i = 0; i < CLASSES; i++)
        list_init(&answered->classes[i]);
    return answered;
}

static void entry_free(struct answered_entry *entry)
{
    buf_done(&entry->answer);
    free(entry);
}

void answered_free(struct answered *answered)
{
    if (!answered)
        return;
    size_t slot = 0;
    for (struct answered_entry *entry; (entry = table_each(&answered->entries, &slot)); )
        entry_free(entry);
    slot = 0;
    for (struct share *share; (share = table_each(&answered->shares, &slot)); )
        free(share);
    table_done(&answered->entries);
    table_done(&answered->shares);
    free(answered);
}

/* A text with both names; only ever behind NUL may the second have one. */
static void name_write(unsigned char *room, struct bytes first, struct bytes second)
{
    memcpy(room, first.data, first.length);
    room[first.length] = '\0';
    if (second.length)
        memcpy(room + first.length + 1, second.data, second.length);
}

static struct share *share_open(struct answered *answered, struct bytes caller, struct bytes group)
{
    size_t length = caller.length + 1 + group.length;
    struct share *share = calloc(1, sizeof(*share) + length);
    if (!share)
        return NULL;
    list_init(&share->node);
    list_init(&share->entries);
    share->name_length = length;
    name_write(share->name, caller, group);
    struct share *present = table_find(&answered->shares, share_name(share));
    if (present || table_insert(&answered->shares, share) < 0) {
        free(share);
        return present;
    }
    return share;
}

static void share_leave(struct answered *answered, struct share *share)
{
    if (--share->entry_count > 0)
        return;
    list_remove(&share->node);
    table_remove(&answered->shares, share_name(share));
    free(share);
}

static void share_weigh(struct answered *answered, struct share *share, uint64_t weight)
{
    answered->weight += weight - share->weight;
    share->weight = weight;
    list_remove(&share->node);
    if (weight)
        list_append(&answered->classes[63 - __builtin_clzll(weight)], &share->node);
}

void answered_drop(struct answered *answered, struct answered_entry *entry)
{
    struct share *share = entry->share;
    if (entry->is_over)
        share_weigh(answered, share, share->weight - entry->weight);
    list_remove(&entry->by_age);
    list_remove(&entry->in_share);
    table_remove(&answered->entries, entry_name(entry));
    entry_free(entry);
    share_leave(answered, share);
}

static struct answered_entry *entry_new(struct answered *answered, const struct answered_call *call, struct bytes name, uint64_t fingerprint)
{
    struct answered_entry *entry = calloc(1, sizeof(*entry) + name.length);
    struct share *share = entry ? share_open(answered, call->caller, call->group) : NULL;
    if (!share) {
        free(entry);
        return NULL;
    }
    share->entry_count++;
    list_init(&entry->by_age);
    list_init(&entry->in_share);
    entry->share = share;
    entry->fingerprint = fingerprint;
    entry->name_length = name.length;
    memcpy(entry->name, name.data, name.length);
    if (table_insert(&answered->entries, entry) == 0)
        return entry;
    free(entry);
    share_leave(answered, share);
    return NULL;
}

static void answered_expire(struct answered *answered, uint64_t window_ms, uint64_t now_ms)
{
    LIST_EACH(node, &answered->by_age) {
        struct answered_entry *entry = CONTAINER_OF(node, struct answered_entry, by_age);
        if (now_ms - entry->since_ms < window_ms)
            return;
        answered_drop(answered, entry);
    }
}

enum answered_state answered_begin(struct answered *answered, const struct answered_call *call, uint64_t window_ms, uint64_t now_ms,
                                   struct answered_entry **ret, struct bytes *ret_answer)
{
    struct buf name = {0};
    answered_expire(answered, window_ms, now_ms);
    buf_add_bytes(&name, call->caller);
    buf_add_byte(&name, '\0');
    buf_add_bytes(&name, call->key);
    uint64_t fingerprint = table_seed_hash(&answered->seed, call->data) + call->command;
    struct answered_entry *entry = buf_status(&name) == 0 ? table_find(&answered->entries, buf_bytes(&name)) : NULL;
    enum answered_state state = ANSWERED_NO_MEMORY;
    *ret = NULL;
    if (entry && entry->fingerprint != fingerprint) {
        state = ANSWERED_OTHERWISE;
    } else if (entry) {
        state = entry->is_over ? ANSWERED_BEFORE : ANSWERED_UNDER_WAY;
        *ret_answer = buf_bytes(&entry->answer);
    } else if (buf_status(&name) == 0 && (*ret = entry_new(answered, call, buf_bytes(&name), fingerprint))) {
        state = ANSWERED_NEW;
    }
    buf_done(&name);
    return state;
}

/* The oldest of one that has among the most. */
static void answered_forget_one(struct answered *answered)
{
    size_t heaviest = CLASSES - 1;
    while (list_is_empty(&answered->classes[heaviest]))
        heaviest--;
    struct share *share = CONTAINER_OF(answered->classes[heaviest].next, struct share, node);
    answered_drop(answered, CONTAINER_OF(share->entries.next, struct answered_entry, in_share));
}

size_t answered_end(struct answered *answered, struct answered_entry *entry, struct bytes answer, uint64_t weight_max, uint64_t now_ms)
{
    size_t forgotten = 0;
    buf_add_bytes(&entry->answer, answer);
    if (buf_status(&entry->answer) < 0) {
        answered_drop(answered, entry);
        return 1;
    }
    entry->is_over = true;
    entry->since_ms = now_ms;
    entry->weight = 1 + answer.length / ANSWERED_WEIGHT_BYTES;
    list_append(&answered->by_age, &entry->by_age);
    list_append(&entry->share->entries, &entry->in_share);
    share_weigh(answered, entry->share, entry->share->weight + entry->weight);
    while (answered->weight > weight_max) {
        answered_forget_one(answered);
        forgotten++;
    }
    return forgotten;
}

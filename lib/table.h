/*
 * Table: a hash table of pointers to entries that carry their own key. The hash is keyed (SipHash-1-3), so nobody can
 * choose names that collide. Owns its slots, never the entries.
 */
#pragma once

#include "lib/buf.h"

/* From a strong source of randomness; several tables may share one, and so a hash computed once. */
struct table_seed { uint64_t key[2]; };
uint64_t table_seed_hash(const struct table_seed *seed, struct bytes key);

struct table {
    struct table_seed seed;
    struct bytes (*key_of)(const void *entry);
    void **entries;                     /* NULL: free */
    uint32_t *tags;                     /* lower half of each entry's hash: most strangers are told apart by it */
    size_t capacity, count;             /* capacity is a power of two, or 0 */
};

void table_init(struct table *table, const struct table_seed *seed, struct bytes (*key_of)(const void *entry));
void table_done(struct table *table);

void *table_find(const struct table *table, struct bytes key);                  /* NULL: there is none */
MUST_CHECK int table_insert(struct table *table, void *entry);                  /* -EEXIST, -ENOMEM */
void *table_remove(struct table *table, struct bytes key);                      /* the entry, or NULL */
static inline size_t table_count(const struct table *table) { return table->count; }

/* The same with the key's hash by table_seed_hash() of the table's seed. */
void *table_find_hashed(const struct table *table, struct bytes key, uint64_t hash);
MUST_CHECK int table_insert_hashed(struct table *table, void *entry, uint64_t hash);
void *table_remove_hashed(struct table *table, struct bytes key, uint64_t hash);

/* Walks all entries in no order: NULL at the end. Start with *slot = 0; the table must not change meanwhile. */
void *table_each(const struct table *table, size_t *slot);

/*
 * Table: see table.h. Open addressing with linear probing; removal closes the gap, so there are no tombstones.
 */
#include "lib/table.h"

#include <endian.h>
#include <stdlib.h>

enum { SMALLEST_TABLE = 8 };

struct sip { uint64_t v0, v1, v2, v3; };

static inline uint64_t rotate(uint64_t value, unsigned bits)
{
    return value << bits | value >> (64 - bits);
}

static inline void sip_round(struct sip *s)
{
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rotate(s->v1, 13) ^ s->v0;
    s->v3 = rotate(s->v3, 16) ^ s->v2;
    s->v0 = rotate(s->v0, 32);
    s->v2 += s->v1;
    s->v0 += s->v3;
    s->v1 = rotate(s->v1, 17) ^ s->v2;
    s->v3 = rotate(s->v3, 21) ^ s->v0;
    s->v2 = rotate(s->v2, 32);
}

static inline void sip_word(struct sip *s, uint64_t word)
{
    s->v3 ^= word;
    sip_round(s);
    s->v0 ^= word;
}

/* SipHash-1-3 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012; one round a word, three at the end). */
uint64_t table_seed_hash(const struct table_seed *seed, struct bytes key)
{
    struct sip s = {
        seed->key[0] ^ UINT64_C(0x736f6d6570736575), seed->key[1] ^ UINT64_C(0x646f72616e646f6d),
        seed->key[0] ^ UINT64_C(0x6c7967656e657261), seed->key[1] ^ UINT64_C(0x7465646279746573),
    };
    size_t whole = key.length & ~(size_t)7;
    uint64_t word;
    for (size_t i = 0; i < whole; i += 8) {
        memcpy(&word, key.data + i, sizeof(word));
        sip_word(&s, le64toh(word));
    }
    word = (uint64_t)key.length << 56;
    for (size_t i = whole; i < key.length; i++)
        word |= (uint64_t)key.data[i] << (8 * (i - whole));
    sip_word(&s, word);
    s.v2 ^= 0xff;
    for (unsigned i = 0; i < 3; i++)
        sip_round(&s);
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

void table_init(struct table *table, const struct table_seed *seed, struct bytes (*key_of)(const void *entry))
{
    *table = (struct table){.seed = *seed, .key_of = key_of};
}

void table_done(struct table *table)
{
    free(table->entries);
    free(table->tags);
    table->entries = NULL;
    table->tags = NULL;
    table->capacity = table->count = 0;
}

static size_t table_slot(const struct table *table, uint32_t tag)
{
    return tag & (table->capacity - 1);
}

static size_t table_next(const struct table *table, size_t slot)
{
    return (slot + 1) & (table->capacity - 1);
}

static void table_place(struct table *table, void *entry, uint32_t tag)
{
    size_t slot = table_slot(table, tag);
    while (table->entries[slot])
        slot = table_next(table, slot);
    table->entries[slot] = entry;
    table->tags[slot] = tag;
}

static int table_resize(struct table *table, size_t capacity)
{
    struct table larger = *table;
    larger.capacity = capacity;
    larger.entries = calloc(capacity, sizeof(*larger.entries));
    larger.tags = malloc(capacity * sizeof(*larger.tags));
    if (!larger.entries || !larger.tags) {
        free(larger.entries);
        free(larger.tags);
        return -ENOMEM;
    }
    for (size_t slot = 0; slot < table->capacity; slot++)
        if (table->entries[slot])
            table_place(&larger, table->entries[slot], table->tags[slot]);
    free(table->entries);
    free(table->tags);
    *table = larger;
    return 0;
}

/* The slot with that key; the capacity when there is none. */
static size_t table_look(const struct table *table, struct bytes key, uint32_t tag)
{
    if (table->count == 0)
        return table->capacity;
    for (size_t slot = table_slot(table, tag); table->entries[slot]; slot = table_next(table, slot))
        if (table->tags[slot] == tag && bytes_equal(table->key_of(table->entries[slot]), key))
            return slot;
    return table->capacity;
}

void *table_find_hashed(const struct table *table, struct bytes key, uint64_t hash)
{
    size_t slot = table_look(table, key, (uint32_t)hash);
    return slot < table->capacity ? table->entries[slot] : NULL;
}

void *table_find(const struct table *table, struct bytes key)
{
    return table_find_hashed(table, key, table_seed_hash(&table->seed, key));
}

int table_insert_hashed(struct table *table, void *entry, uint64_t hash)
{
    if (table_find_hashed(table, table->key_of(entry), hash))
        return -EEXIST;
    if ((table->count + 1) * 8 > table->capacity * 7) {
        int r = table_resize(table, table->capacity ? table->capacity * 2 : SMALLEST_TABLE);
        if (r < 0)
            return r;
    }
    table_place(table, entry, (uint32_t)hash);
    table->count++;
    return 0;
}

int table_insert(struct table *table, void *entry)
{
    return table_insert_hashed(table, entry, table_seed_hash(&table->seed, table->key_of(entry)));
}

/* Entries behind the gap that would not be found across it move up. */
static void table_close_gap(struct table *table, size_t gap)
{
    for (size_t slot = table_next(table, gap); table->entries[slot]; slot = table_next(table, slot)) {
        size_t home = table_slot(table, table->tags[slot]);
        size_t mask = table->capacity - 1;
        if (((slot - home) & mask) < ((slot - gap) & mask))
            continue;
        table->entries[gap] = table->entries[slot];
        table->tags[gap] = table->tags[slot];
        gap = slot;
    }
    table->entries[gap] = NULL;
}

void *table_remove_hashed(struct table *table, struct bytes key, uint64_t hash)
{
    size_t slot = table_look(table, key, (uint32_t)hash);
    if (slot >= table->capacity)
        return NULL;
    void *entry = table->entries[slot];
    table_close_gap(table, slot);
    table->count--;
    /* Memory comes back after a storm; failing to shrink costs nothing but that. */
    if (table->count == 0)
        table_done(table);
    else if (table->capacity > SMALLEST_TABLE && table->count * 8 < table->capacity
             && table_resize(table, table->capacity / 2) < 0)
        return entry;
    return entry;
}

void *table_remove(struct table *table, struct bytes key)
{
    return table_remove_hashed(table, key, table_seed_hash(&table->seed, key));
}

void *table_each(const struct table *table, size_t *slot)
{
    while (*slot < table->capacity) {
        void *entry = table->entries[(*slot)++];
        if (entry)
            return entry;
    }
    return NULL;
}

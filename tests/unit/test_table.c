#include "tests/unit/test.h"

#include "lib/table.h"

struct entry { char name[16]; };

static struct bytes key_of(const void *entry)
{
    return bytes_text(((const struct entry *)entry)->name);
}

static const struct table_seed seed = {{UINT64_C(0x0706050403020100), UINT64_C(0x0f0e0d0c0b0a0908)}};

static void the_hash_depends_on_key_length_and_seed(void **state)
{
    struct table_seed other = {{1, 2}};
    assert_true(table_seed_hash(&seed, BYTES("a")) == table_seed_hash(&seed, BYTES("a")));
    assert_true(table_seed_hash(&seed, BYTES("a")) != table_seed_hash(&other, BYTES("a")));
    assert_true(table_seed_hash(&seed, bytes_of("\0", 1)) != table_seed_hash(&seed, bytes_of("\0\0", 2)));
    /* SipHash-1-3 of the empty string and of the bytes 0..14 under the key 0..15, as other implementations give it. */
    unsigned char bytes[15];
    for (unsigned i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)i;
    assert_true(table_seed_hash(&seed, (struct bytes){0}) == UINT64_C(0xabac0158050fc4dc));
    assert_true(table_seed_hash(&seed, bytes_of(bytes, 15)) == UINT64_C(0xd320d86d2a519956));
}

static void what_is_put_in_is_found_until_it_is_taken_out(void **state)
{
    enum { COUNT = 5000 };
    struct entry *entries = calloc(COUNT, sizeof(*entries));
    struct table table;
    uint32_t random = 7;
    table_init(&table, &seed, key_of);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(entries[i].name, sizeof(entries[i].name), "name %u", i);
        assert_int_equal(table_insert(&table, &entries[i]), 0);
        assert_int_equal(table_insert(&table, &entries[i]), -EEXIST);
    }
    assert_int_equal(table_count(&table), COUNT);
    bool *gone = calloc(COUNT, sizeof(*gone));
    for (unsigned round = 0; round < 3 * COUNT; round++) {
        unsigned i = test_random(&random) % COUNT;
        assert_ptr_equal(table_remove(&table, key_of(&entries[i])), gone[i] ? NULL : &entries[i]);
        gone[i] = true;
    }
    size_t slot = 0, left = 0;
    while (table_each(&table, &slot))
        left++;
    assert_int_equal(left, table_count(&table));
    for (unsigned i = 0; i < COUNT; i++)
        assert_ptr_equal(table_find(&table, key_of(&entries[i])), gone[i] ? NULL : &entries[i]);
    assert_true(table.capacity < COUNT);
    table_done(&table);
    free(entries);
    free(gone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(the_hash_depends_on_key_length_and_seed), TEST(what_is_put_in_is_found_until_it_is_taken_out)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

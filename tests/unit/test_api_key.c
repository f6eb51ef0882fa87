#include "tests/unit/test.h"

#include "daemon/auth/api_keys.h"

#include <stdlib.h>

/* As Python says: base64.urlsafe_b64encode(r + hashlib.sha256(r).digest()[:4]) of r = bytes(range(32)). */
#define KEY "rtck_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh9jDc0p"
#define ZEROS "0000000000000000000000000000000000000000000000000000000000000000"
#define ONES "1111111111111111111111111111111111111111111111111111111111111111"

static void a_key_is_printed_as_another_implementation_does(void **state)
{
    unsigned char random[API_KEY_RANDOM_BYTES];
    struct buf key = {0};
    for (size_t i = 0; i < sizeof(random); i++)
        random[i] = (unsigned char)i;
    api_key_print(random, &key);
    assert_string_equal(buf_text(&key), KEY);
    assert_int_equal(key.length, API_KEY_TEXT);
    buf_done(&key);
}

static void any_other_character_anywhere_is_noticed(void **state)
{
    char text[] = KEY;
    assert_int_equal(api_key_check(BYTES(KEY)), 0);
    for (size_t i = 0; i < API_KEY_TEXT; i++) {
        char was = text[i];
        for (int other = 0; other < 256; other++) {
            text[i] = (char)other;
            if (text[i] != was)
                assert_int_equal(api_key_check(bytes_of(text, API_KEY_TEXT)), -EBADMSG);
        }
        text[i] = was;
        assert_int_equal(api_key_check(bytes_of(text, i)), -EBADMSG);
    }
    assert_int_equal(api_key_check(BYTES(KEY "A")), -EBADMSG);
}

static struct api_keys *keys_of(const char *text, int expected)
{
    struct api_keys *keys = NULL;
    struct buf problems = {0};
    /* At its own size, so that a byte behind it would be noticed. */
    size_t length = strlen(text);
    char *exact = malloc(length + 1);
    memcpy(exact, text, length);
    char *tight = realloc(exact, length ? length : 1);
    assert_int_equal(api_keys_read(bytes_of(tight, length), "/keys", &keys, &problems), expected);
    assert_true((problems.length > 0) == (expected == -EINVAL) && (keys != NULL) == (expected == 0));
    buf_done(&problems);
    free(tight);
    return keys;
}

static void lines_say_who_and_what_he_may(void **state)
{
    struct api_keys *keys = keys_of("# none\n\n \t\na sha256:" ZEROS " join=room.* to=all level=admin expires=1970-01-02\n"
                                    "b\tsha256:" ONES "\tuser=ann", 0);
    struct rights rights = {buf_bytes(&keys->items[0].rights)};
    assert_int_equal(keys->count, 2);
    assert_true(bytes_is(buf_bytes(&keys->items[0].user), "a") && bytes_is(buf_bytes(&keys->items[1].user), "ann"));
    assert_true(bytes_is(buf_bytes(&keys->items[1].id), "api-key:b"));
    assert_true(rights_allow(rights, GROUP_JOIN, BYTES("room.1"), NULL) && !rights_allow(rights, GROUP_PUBLISH, BYTES("room.1"), NULL));
    assert_true(rights_allow_target(rights, TARGET_ALL) && !rights_allow_target(rights, TARGET_USER));
    assert_int_equal(keys->items[0].level, API_KEY_ADMIN);
    assert_int_equal(keys->items[0].expires_s, 86400);
    assert_true(keys->items[1].expires_s == UINT64_MAX && keys->items[1].level == API_KEY_NOTHING);
    assert_true(api_keys_have(keys, keys->items[1].mark) && !api_keys_have(keys, keys->items[1].mark + 1));
    api_keys_free(keys);
}

static void every_beginning_of_a_line_is_read_or_refused(void **state)
{
    const char *line = "a sha256:" ZEROS " user=ann level=viewer publish=a.** history=b presence=c to=user expires=2030-01-01T00:00:00Z";
    char part[256];
    for (size_t length = 0; length <= strlen(line); length++) {
        struct api_keys *keys = NULL;
        struct buf problems = {0};
        memcpy(part, line, length);
        int r = api_keys_read(bytes_of(part, length), "/keys", &keys, &problems);
        assert_true(r == 0 || r == -EINVAL);
        assert_true(r < 0 || keys->count == (length > 0));
        api_keys_free(keys);
        buf_done(&problems);
    }
    api_keys_free(keys_of(line, 0));
}

static void a_key_counts_until_it_expires(void **state)
{
    unsigned char hash[API_KEY_HASH_BYTES];
    struct buf line = {0};
    struct fault fault;
    const struct api_key *found;
    api_key_hash(BYTES(KEY), hash);
    buf_add_text(&line, "a sha256:");
    for (size_t i = 0; i < sizeof(hash); i++)
        buf_add_format(&line, "%02x", hash[i]);
    buf_add_text(&line, " expires=1970-01-02\n");
    struct api_keys *keys = keys_of(buf_text(&line), 0);
    assert_int_equal(api_keys_verify(keys, BYTES(KEY), 86399, &found, &fault), FAULT_NONE);
    assert_ptr_equal(found, &keys->items[0]);
    assert_int_equal(api_keys_verify(keys, BYTES(KEY), 86400, &found, &fault), FAULT_EXPIRED);
    assert_int_equal(api_keys_verify(NULL, BYTES(KEY), 0, &found, &fault), FAULT_INVALID_TOKEN);
    assert_null(found);
    api_keys_free(keys);
    buf_done(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_is_printed_as_another_implementation_does), TEST(any_other_character_anywhere_is_noticed),
        TEST(lines_say_who_and_what_he_may), TEST(every_beginning_of_a_line_is_read_or_refused), TEST(a_key_counts_until_it_expires),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

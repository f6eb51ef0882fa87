#include "tests/unit/test.h"

#include "daemon/core/revocations.h"

enum { NOW_S = 1000 };

static int put(struct revocations *revocations, enum revocation_kind kind, const char *name, uint64_t before_s, uint64_t until_s)
{
    struct revocation revocation = {kind, bytes_text(name), before_s, until_s};
    return revocations_put(revocations, &revocation, 3, NOW_S);
}

static bool concern(struct revocations *revocations, const char *user, const char *token_id, uint64_t issued_s, uint64_t now_s)
{
    return revocations_concern(revocations, bytes_text(user), bytes_text(token_id), issued_s, now_s);
}

static void a_user_is_refused_by_when_his_token_was_issued_and_a_token_by_its_id(void **state)
{
    struct revocations *revocations = revocations_new();
    assert_false(concern(revocations, "eve", "x", 0, NOW_S));
    assert_int_equal(put(revocations, REVOKED_USER, "eve", 500, 0), 0);
    assert_int_equal(put(revocations, REVOKED_TOKEN, "x", 0, 0), 0);
    assert_true(concern(revocations, "eve", "", 0, NOW_S));
    assert_true(concern(revocations, "eve", "", 500, NOW_S));
    assert_false(concern(revocations, "eve", "", 501, NOW_S));
    assert_false(concern(revocations, "ev", "", 0, NOW_S));
    assert_false(concern(revocations, "x", "eve", 0, NOW_S));
    assert_true(concern(revocations, "ann", "x", 501, NOW_S));
    assert_true(concern(revocations, "", "x", 501, NOW_S));
    assert_int_equal(revocations_lift(revocations, REVOKED_TOKEN, BYTES("eve")), -ENOENT);
    assert_int_equal(revocations_lift(revocations, REVOKED_USER, BYTES("eve")), 0);
    assert_false(concern(revocations, "eve", "", 0, NOW_S));
    revocations_free(revocations);
}

static void what_is_over_makes_room_and_nothing_else_does(void **state)
{
    struct revocations *revocations = revocations_new();
    assert_int_equal(put(revocations, REVOKED_TOKEN, "a", 0, NOW_S + 1), 0);
    assert_int_equal(put(revocations, REVOKED_TOKEN, "b", 0, NOW_S), 0);
    assert_int_equal(put(revocations, REVOKED_USER, "c", NOW_S, NOW_S - 1), 0);
    assert_true(concern(revocations, "", "a", 0, NOW_S));
    assert_false(concern(revocations, "", "a", 0, NOW_S + 1));
    assert_false(concern(revocations, "", "b", 0, NOW_S));
    assert_int_equal(put(revocations, REVOKED_USER, "d", NOW_S, 0), 0);
    assert_int_equal(put(revocations, REVOKED_USER, "e", NOW_S, 0), 0);
    assert_int_equal(put(revocations, REVOKED_USER, "f", NOW_S, 0), -ENOSPC);
    /* The same once more needs none. */
    assert_int_equal(put(revocations, REVOKED_USER, "e", NOW_S + 7, 0), 0);
    assert_true(concern(revocations, "e", "", NOW_S + 7, NOW_S));
    revocations_free(revocations);
}

static void what_is_written_down_is_read_back(void **state)
{
    struct revocations *one = revocations_new(), *other = revocations_new();
    struct buf text = {0}, again = {0};
    size_t line;
    const char *problem;
    put(one, REVOKED_USER, "an \"odd\" \xc3\xa4\n name", 7, 0);
    put(one, REVOKED_TOKEN, "t", 0, NOW_S + 9);
    put(one, REVOKED_TOKEN, "over", 0, NOW_S);
    revocations_print(one, NOW_S, &text);
    assert_int_equal(revocations_read(other, buf_bytes(&text), 3, NOW_S, &line, &problem), 0);
    assert_int_equal(line, 2);
    assert_true(concern(other, "an \"odd\" \xc3\xa4\n name", "", 7, NOW_S));
    assert_false(concern(other, "an \"odd\" \xc3\xa4\n name", "", 8, NOW_S));
    assert_false(concern(other, "", "t", 8, NOW_S + 9));
    revocations_print(other, NOW_S, &again);
    assert_int_equal(again.length, text.length);
    /* Cut anywhere but at a line's end it is wrong, and said where. */
    for (size_t length = 1; length < text.length; length++) {
        struct bytes part = bytes_of(text.data, length);
        struct revocations *cut = revocations_new();
        bool is_whole = text.data[length - 1] == '\n';
        assert_int_equal(revocations_read(cut, part, 3, NOW_S, &line, &problem), is_whole ? 0 : -EBADMSG);
        assert_true(is_whole || (problem && line >= 1 && line <= 2));
        revocations_free(cut);
    }
    buf_done(&text);
    buf_done(&again);
    revocations_free(one);
    revocations_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_user_is_refused_by_when_his_token_was_issued_and_a_token_by_its_id), TEST(what_is_over_makes_room_and_nothing_else_does),
        TEST(what_is_written_down_is_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

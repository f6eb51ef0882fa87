#include "tests/unit/test.h"

#include "daemon/config/groups.h"
#include "daemon/config/rights.h"
#include "daemon/core/policy.h"

#include <string.h>

static struct rights read_rights(const char *claim, struct buf *packed)
{
    struct fault fault = {0};
    if (rights_read(bytes_text(claim), "rtc", packed, &fault) != DECODE_DONE)
        fail_msg("%s: %s", claim, fault_message(&fault));
    return (struct rights){buf_bytes(packed)};
}

static void each_list_allows_its_own_action_alone(void **state)
{
    struct buf packed = {0};
    struct bytes pattern;
    struct rights rights = read_rights("{\"publish\":[\"x\",\"room.7\"],\"join\":[\"room.*\"],\"to\":[\"all\"],\"other\":1}", &packed);
    assert_true(rights_allow(rights, GROUP_JOIN, BYTES("room.8"), &pattern));
    assert_true(bytes_is(pattern, "room.*"));
    assert_true(rights_allow(rights, GROUP_PUBLISH, BYTES("room.7"), NULL));
    assert_false(rights_allow(rights, GROUP_PUBLISH, BYTES("room.8"), NULL));
    assert_false(rights_allow(rights, GROUP_HISTORY, BYTES("room.7"), NULL));
    assert_true(rights_allow_target(rights, TARGET_ALL));
    assert_false(rights_allow_target(rights, TARGET_USER));
    assert_false(rights_allow((struct rights){0}, GROUP_JOIN, BYTES("room.8"), NULL));
    assert_false(rights_allow_target((struct rights){0}, TARGET_ALL));
    buf_done(&packed);
}

static void there_is_an_end_to_patterns(void **state)
{
    struct buf packed = {0};
    const char *problem = NULL;
    char text[255];
    for (unsigned i = 0; i < RIGHTS_PATTERNS_MAX; i++)
        assert_int_equal(rights_add(&packed, GROUP_JOIN, BYTES("a"), &problem), 0);
    assert_int_equal(rights_add(&packed, GROUP_PUBLISH, BYTES("a"), &problem), -EINVAL);
    assert_non_null(problem);
    assert_int_equal(rights_add_target(&packed, BYTES("all"), &problem), -EINVAL);
    buf_clear(&packed);
    memset(text, 'x', sizeof(text));
    while (rights_add(&packed, GROUP_JOIN, bytes_of(text, sizeof(text)), &problem) == 0)
        continue;
    assert_true(packed.length <= RIGHTS_BYTES_MAX && packed.length + 2 + sizeof(text) > RIGHTS_BYTES_MAX);
    assert_int_equal(rights_add(&packed, GROUP_JOIN, BYTES("***"), &problem), -EINVAL);
    buf_done(&packed);
}

/* Every word against every way to have a right: what is allowed, and by what. */
static void each_word_includes_those_before_it(void **state)
{
    struct buf packed = {0};
    struct rights none = {0}, some = read_rights("{\"publish\":[\"g\"]}", &packed);
    struct config config = {.may = {[GROUP_PUBLISH] = WHO_NOBODY}};
    for (enum config_who who = WHO_NOBODY; who <= WHO_DEFAULT; who++) {
        struct group_rule rule = {.match = (char *)"g", .may = {[GROUP_PUBLISH] = who}};
        for (unsigned way = 0; way < 4; way++) {
            bool is_member = way & 1, has_right = way & 2;
            struct judgement judgement;
            struct fault fault = {0};
            policy_judge(&config, &rule, GROUP_PUBLISH, BYTES("g"), is_member, has_right ? some : none, &judgement);
            bool is_by_word = who == WHO_ANYONE || (who == WHO_MEMBERS && is_member);
            bool is_by_right = !is_by_word && has_right && (who == WHO_TOKEN || who == WHO_MEMBERS);
            assert_int_equal(judgement.is_allowed, is_by_word || is_by_right);
            assert_int_equal(judgement.is_by_token, is_by_right);
            policy_explain(&judgement, &fault);
            assert_non_null(strstr(fault_message(&fault), who == WHO_DEFAULT ? "publish.to-group" : "groups: g"));
        }
    }
    buf_done(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_list_allows_its_own_action_alone), TEST(there_is_an_end_to_patterns), TEST(each_word_includes_those_before_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

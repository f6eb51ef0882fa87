#include "tests/unit/test.h"

#include "lib/admin_commands.h"

static void every_synopsis_and_every_column_can_be_read(void **state)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct admin_command *command = &admin_commands[i];
        const char *rest = command->synopsis;
        struct admin_argument argument;
        unsigned count = 0, open = 0;
        for (const char *at = command->synopsis; *at; at++)
            open += *at == '[';
        while (admin_next_argument(&rest, &argument)) {
            count++;
            open -= argument.is_optional + argument.may_lack_value;
            assert_true(argument.name[0] >= 'a' && argument.name[0] <= 'z');
            assert_true(argument.is_flag == (argument.word[0] == '-'));
        }
        assert_int_equal(open, 0);
        struct admin_column column;
        rest = command->columns;
        while (admin_next_column(&rest, &column))
            assert_true(column.name[0]);
        assert_int_equal(strspn(rest, " "), strlen(rest));
        assert_true(command->summary[strlen(command->summary) - 1] == '.');
    }
}

static void arguments_have_the_names_that_the_request_uses(void **state)
{
    const char *rest = "CONNECTION count N [--except-self] [--limit N] [DATA...]";
    struct admin_argument a;
    assert_true(admin_next_argument(&rest, &a) && !a.is_optional && a.takes_value && !a.is_flag);
    assert_string_equal(a.name, "connection");
    assert_true(admin_next_argument(&rest, &a) && a.is_keyword && a.takes_value && !a.is_flag && !a.is_optional);
    assert_string_equal(a.name, "count");
    assert_string_equal(a.value, "N");
    assert_true(admin_next_argument(&rest, &a) && a.is_optional && a.is_flag && !a.takes_value);
    assert_string_equal(a.name, "exceptSelf");
    assert_true(admin_next_argument(&rest, &a) && a.is_flag && a.takes_value);
    assert_string_equal(a.name, "limit");
    assert_true(admin_next_argument(&rest, &a) && a.repeats && a.is_optional);
    assert_false(admin_next_argument(&rest, &a));
}

static void commands_are_found_by_event_name(void **state)
{
    assert_ptr_equal(admin_command_by_event(BYTES("list.connections")), &admin_commands[ADMIN_list_connections]);
    assert_null(admin_command_by_event(BYTES("list")));
    assert_null(admin_command_by_event(BYTES("list connections")));
    /* What rtcctl does by itself is nothing to ask the daemon for. */
    assert_null(admin_command_by_event(BYTES("bench")));
    assert_null(admin_command_by_event(BYTES("")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_synopsis_and_every_column_can_be_read), TEST(arguments_have_the_names_that_the_request_uses),
        TEST(commands_are_found_by_event_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/unit/test.h"

#include "lib/filter.h"

static const char COLUMNS[] = "user:text state:text queued:bytes age:span groups:count slow:flag data:json until:time";
enum { USER, STATE, QUEUED, AGE, GROUPS, SLOW, DATA, UNTIL, COLUMN_COUNT };

static struct row_columns columns;

static int read_columns(void **state)
{
    row_columns_read(COLUMNS, &columns);
    return columns.count == COLUMN_COUNT ? 0 : -1;
}

/* ann, parked, 1 KiB queued, an hour and a half old, in 3 groups, slow, without data or until. */
static const struct cell *row(void)
{
    static struct cell cells[COLUMN_COUNT];
    cells[USER] = cell_text(BYTES("ann"));
    cells[STATE] = cell_text(BYTES("parked"));
    cells[QUEUED] = cell_number(1024);
    cells[AGE] = cell_number(5400000);
    cells[GROUPS] = cell_number(3);
    cells[SLOW] = cell_number(1);
    cells[DATA] = cell_text(BYTES("{\"a\":1}"));
    cells[UNTIL] = cell_empty();
    return cells;
}

static bool holds(const char *text)
{
    struct filter filter = {0};
    struct fault fault = {0};
    if (filter_read(bytes_text(text), &columns, &filter, &fault) != DECODE_DONE)
        fail_msg("%s: %s", text, fault_message(&fault));
    bool answer = filter_wants(&filter, row());
    filter_done(&filter);
    return answer;
}

static void comparisons_go_by_the_kind_of_the_column(void **state)
{
    static const struct { const char *text; bool holds; } cases[] = {
        {"user=ann", true}, {"user = ann", true}, {"user==ann", true}, {"user=Ann", false}, {"user!=ann", false}, {"user!=''", true},
        {"user=''", false}, {"user<b", true}, {"user<ann", false}, {"user<=ann", true}, {"user<annb", true}, {"user>an", true}, {"user>=ann", true},
        {"user~a*", true}, {"user~*.*", false}, {"user ~ 'a*'", true}, {"user='ann'", true}, {"user=\"ann\"", true}, {"user='a\\nn'", true},
        {"user='a\\'nn'", false}, {"user!='an n'", true}, {"user=and", false}, {"user=not", false}, {"user='('", false},
        {"queued=1024", true}, {"queued=1KiB", true}, {"queued>1KiB", false}, {"queued>=1KiB", true}, {"queued<1MiB", true}, {"queued!=0", true},
        {"age=90min", true}, {"age=1h30m", true}, {"age>=1h30min", true}, {"age>5m", true}, {"age<5400001ms", true}, {"age>1d", false}, {"age>0", true},
        {"age=1h29m60s", true}, {"groups=3", true}, {"groups>03", false}, {"groups<10", true}, {"slow=true", true}, {"slow=false", false},
        {"slow!=true", false}, {"data='{\"a\":1}'", true}, {"data~'**a**'", true},
        {"until=5", false}, {"until!=5", true}, {"until<5", false}, {"until>5", false}, {"not until>5", true},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++)
        if (holds(cases[i].text) != cases[i].holds)
            fail_msg("%s is %s", cases[i].text, cases[i].holds ? "false" : "true");
}

static void not_binds_before_and_and_that_before_or(void **state)
{
    /* T and F stand for comparisons that hold and do not. */
    static const struct { const char *text; bool holds; } cases[] = {
        {"T", true}, {"F", false}, {"not T", false}, {"not F", true}, {"not not T", true}, {"T and T", true}, {"T and F", false}, {"F or T", true},
        {"F or F", false}, {"T or T and F", true}, {"F and F or T", true}, {"F and (F or T)", false}, {"not F and F", false}, {"not (F and F)", true},
        {"not T or T", true}, {"not (T or T)", false}, {"((T))", true}, {"(T)and(T)", true}, {"T AND NOT F", true}, {"T or F or F", true},
        {"T and T and F", false}, {"(F or T) and (T or F) and not (F or F)", true}, {"T and not (T and (F or not F))", false},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct buf text = {0};
        for (const char *at = cases[i].text; *at; at++) {
            bool starts = at == cases[i].text || at[-1] == ' ' || at[-1] == '(';
            bool is_test = starts && (*at == 'T' || *at == 'F');
            if (is_test)
                buf_add_text(&text, *at == 'T' ? "groups=3" : "groups=4");
            else
                buf_add_byte(&text, (unsigned char)*at);
        }
        if (holds(buf_text(&text)) != cases[i].holds)
            fail_msg("%s is %s", cases[i].text, cases[i].holds ? "false" : "true");
        buf_done(&text);
    }
}

static void what_is_wrong_is_told_with_its_place(void **state)
{
    static const struct { const char *text, *problem; } cases[] = {
        {"", "ends too early: a column's name is expected"}, {"frogs=1", "byte 1 (frogs=1): there is no such column; there are: user state"},
        {"user", "ends too early: one of ="}, {"user ann", "byte 6 (ann): one of ="}, {"user=", "ends too early: a value is missing"},
        {"user=()", "byte 6 (()): a value is missing"}, {"user='ann", "byte 6 ('ann): the closing quote"}, {"queued>x", "byte 8 (x): a size is expected"},
        {"queued>1.5KiB", "a size is expected"}, {"age>5", "byte 5 (5): a time is expected"}, {"age>5m3", "a time is expected"}, {"age>''", "a time is expected"}, {"queued>''", "a size"},
        {"age>99999999999999999999h", "a time is expected"}, {"age>18446744073709551615ms1ms", "a time is expected"},
        {"groups=-1", "a whole number"}, {"groups=''", "a whole number"}, {"slow=maybe", "true or false"}, {"queued~1*", "~ is for columns with text"},
        {"user~***", "a pattern"}, {"user~''", "a pattern"}, {"user=ann state=open", "byte 10 (state=open): and or or"}, {"user=ann)", "byte 9 ()): and or or"},
        {"(user=ann", "(user=ann): its closing bracket is missing"}, {"(user=ann state=open)", "and, or or a closing bracket"}, {"user=ann and", "ends too early"},
        {"and user=ann", "no such column"}, {"not", "ends too early"}, {"user=ann or or user=ann", "byte 13 (or user=ann)"}, {"user=\"ann", "quote"},
        {"user<>ann and (", "ends too early"}, {"user=caf\xc3\xa9 caf\xc3\xa9", "byte 12 (caf\xc3\xa9): and or or"},
    };
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        struct filter filter = {0};
        struct fault fault = {0};
        if (filter_read(bytes_text(cases[i].text), &columns, &filter, &fault) != DECODE_BAD)
            fail_msg("%s is taken", cases[i].text);
        if (fault.id != FAULT_BAD_ENVELOPE || !strstr(fault_message(&fault), cases[i].problem))
            fail_msg("%s: %s", cases[i].text, fault_message(&fault));
        assert_null(filter.texts.data);
    }
}

static struct fault read_repeated(const char *front, const char *part, unsigned count, const char *last, enum decode expected)
{
    struct filter filter = {0};
    struct fault fault = {0};
    struct buf text = {0};
    buf_add_text(&text, front);
    for (unsigned i = 0; i < count; i++)
        buf_add_text(&text, part);
    buf_add_text(&text, last);
    if (filter_read(buf_bytes(&text), &columns, &filter, &fault) != expected)
        fail_msg("%s: %s", buf_text(&text), fault_message(&fault));
    filter_done(&filter);
    buf_done(&text);
    return fault;
}

static void length_depth_and_number_are_bounded(void **state)
{
    struct fault fault = read_repeated("", "(", 16, "user=a", DECODE_BAD);
    assert_non_null(strstr(fault_message(&fault), "closing bracket is missing"));
    fault = read_repeated("", "(", 17, "user=a", DECODE_BAD);
    assert_non_null(strstr(fault_message(&fault), "inside one another"));
    fault = read_repeated("", "not ", 16, "user=a", DECODE_DONE);
    fault = read_repeated("", "not ", 17, "user=a", DECODE_BAD);
    assert_non_null(strstr(fault_message(&fault), "inside one another"));
    fault = read_repeated("user=a", " or user=a", 31, "", DECODE_DONE);
    fault = read_repeated("user=a", " or user=a", 32, "", DECODE_BAD);
    assert_non_null(strstr(fault_message(&fault), "the filter has more than 64 comparisons"));
    fault = read_repeated("user=", "a", FILTER_BYTES_MAX - 5, "", DECODE_DONE);
    fault = read_repeated("user=", "a", FILTER_BYTES_MAX - 4, "", DECODE_BAD);
    assert_int_equal(fault.id, FAULT_TOO_LARGE);
    /* As many results as can wait for what joins them. */
    read_repeated("user=a", " or (user=b and user=c", 15, ")))))))))))))))", DECODE_DONE);
}

/* A filter made at random, with what it says of the row. */
static bool make(struct buf *out, uint32_t *seed, unsigned depth)
{
    static const char *const true_tests[] = {"user=ann", "age>=1h", "queued<2KiB", "slow=true"};
    static const char *const false_tests[] = {"user~b**", "age<1h", "queued>2KiB", "until>=0"};
    uint32_t what = depth == 0 ? 0 : test_random(seed) % 4;
    if (what == 0) {
        bool is_true = test_random(seed) % 2;
        buf_add_text(out, (is_true ? true_tests : false_tests)[test_random(seed) % 4]);
        return is_true;
    }
    buf_add_text(out, what == 1 ? "not (" : "(");
    bool a = make(out, seed, depth - 1);
    if (what == 1) {
        buf_add_byte(out, ')');
        return !a;
    }
    buf_add_text(out, what == 2 ? " and " : " or ");
    bool b = make(out, seed, depth - 1);
    buf_add_byte(out, ')');
    return what == 2 ? a && b : a || b;
}

static void random_expressions_mean_what_they_say(void **state)
{
    uint32_t seed = 11;
    unsigned trues = 0;
    for (unsigned round = 0; round < 20000; round++) {
        struct buf text = {0};
        bool expected = make(&text, &seed, 4);
        if (holds(buf_text(&text)) != expected)
            fail_msg("%s is %s", buf_text(&text), expected ? "false" : "true");
        trues += expected;
        buf_done(&text);
    }
    assert_true(trues > 5000 && trues < 15000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(comparisons_go_by_the_kind_of_the_column), TEST(not_binds_before_and_and_that_before_or), TEST(what_is_wrong_is_told_with_its_place),
        TEST(length_depth_and_number_are_bounded), TEST(random_expressions_mean_what_they_say),
    };
    return cmocka_run_group_tests(tests, read_columns, NULL);
}

#include "tests/unit/test.h"

#include "lib/log.h"

#include <fcntl.h>
#include <unistd.h>

/* What goes to stderr while `write_lines` runs. */
static void capture(void (*write_lines)(void), struct buf *ret)
{
    int ends[2], before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    write_lines();
    dup2(before, STDERR_FILENO);
    close(before);
    unsigned char *room = buf_room(ret, 65536);
    ssize_t got = read(ends[0], room, 65536);
    ret->length += got > 0 ? (size_t)got : 0;
    close(ends[0]);
}

static void write_odd_bytes(void)
{
    log_warning(LOG_AREA_NET, LOG_FIELDS({"user", "eve\nforged line"}, {"group", NULL}), "said \"%s\"", "\x1b[2J\r\n");
    log_debug(LOG_AREA_NET, NULL, "not on");
}

static void a_peers_bytes_cannot_forge_a_line(void **state)
{
    struct buf out = {0};
    capture(write_odd_bytes, &out);
    const char *text = buf_text(&out);
    assert_non_null(strstr(text, "warning net: said \"\\x1b[2J\\r\\n\" user=eve\\nforged line\n"));
    assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
    buf_done(&out);
}

static void write_many(void)
{
    for (unsigned i = 0; i < 100; i++)
        log_error(LOG_AREA_CORE, NULL, "the same trouble %u", i);
}

static void a_flood_is_cut_and_counted(void **state)
{
    struct buf out = {0};
    uint64_t before = log_dropped_count();
    capture(write_many, &out);
    unsigned lines = 0;
    for (size_t i = 0; i < out.length; i++)
        lines += out.data[i] == '\n';
    assert_int_equal(lines, 20);
    assert_int_equal(log_dropped_count() - before, 80);
    buf_done(&out);
}

static char formats[200][8];

static void write_many_kinds(void)
{
    for (unsigned i = 0; i < 100; i++)
        for (size_t kind = 0; kind < COUNT_OF(formats); kind += 10)
            log_error(LOG_AREA_CORE, NULL, (const char *)formats[kind]);
}

static void each_message_of_a_flood_is_cut_by_itself(void **state)
{
    struct buf out = {0};
    unsigned lines = 0;
    for (size_t i = 0; i < COUNT_OF(formats); i++)
        snprintf(formats[i], sizeof(formats[i]), "kind");
    capture(write_many_kinds, &out);
    for (size_t i = 0; i < out.length; i++)
        lines += out.data[i] == '\n';
    assert_int_equal(lines, 20 * COUNT_OF(formats) / 10);
    buf_done(&out);
}

static void write_to_a_full_pipe(void)
{
    char filling[4096] = {0};
    int flags = fcntl(STDERR_FILENO, F_GETFL);
    fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
    while (write(STDERR_FILENO, filling, sizeof(filling)) > 0)
        ;
    fcntl(STDERR_FILENO, F_SETFL, flags);
    uint64_t before = log_dropped_count();
    alarm(10);
    log_error(LOG_AREA_NET, NULL, "nobody reads this");
    alarm(0);
    assert_int_equal(log_dropped_count() - before, 1);
}

static void who_does_not_read_the_log_holds_nobody_up(void **state)
{
    struct buf out = {0};
    capture(write_to_a_full_pipe, &out);
    assert_null(strstr(buf_text(&out), "nobody"));
    buf_done(&out);
}

static void write_a_long_one(void)
{
    char text[3000], field[600];
    memset(text, 'x', sizeof(text) - 1);
    for (size_t i = 0; i + 2 < sizeof(field); i += 2)
        memcpy(field + i, "\303\251", 2);
    text[sizeof(text) - 1] = field[598] = '\0';
    log_error(LOG_AREA_NET, LOG_FIELDS({"a", field}, {"b", field}, {"c", field}), "%s", text);
}

static void a_long_line_is_cut_between_characters(void **state)
{
    struct buf out = {0};
    capture(write_a_long_one, &out);
    assert_in_range(out.length, 4094, 4096);
    assert_int_equal(out.data[out.length - 1], '\n');
    assert_int_equal(out.data[out.length - 2], 0xa9);
    buf_done(&out);
}

static void levels_are_kept_by_area(void **state)
{
    log_set_level(LOG_AREA_ADMIN, LOG_LEVEL_ERROR);
    assert_false(log_is_on(LOG_LEVEL_WARNING, LOG_AREA_ADMIN));
    assert_true(log_is_on(LOG_LEVEL_INFO, LOG_AREA_NET));
    log_set_level(LOG_AREA_ADMIN, LOG_LEVEL_DEBUG);
    assert_true(log_is_on(LOG_LEVEL_DEBUG, LOG_AREA_ADMIN));
}

int main(void)
{
    const struct CMUnitTest tests[] = {TEST(a_peers_bytes_cannot_forge_a_line), TEST(a_flood_is_cut_and_counted), TEST(each_message_of_a_flood_is_cut_by_itself),
        TEST(who_does_not_read_the_log_holds_nobody_up), TEST(a_long_line_is_cut_between_characters), TEST(levels_are_kept_by_area)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

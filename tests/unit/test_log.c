#include "tests/unit/test.h"

#include "lib/log.h"

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
    assert_non_null(strstr(text, "warning net: said \\\"\\x1b[2J\\r\\n\\\" user=eve\\nforged line\n"));
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
    const struct CMUnitTest tests[] = {TEST(a_peers_bytes_cannot_forge_a_line), TEST(a_flood_is_cut_and_counted), TEST(levels_are_kept_by_area)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * Render: see render.h.
 */
#include "cli/render.h"

#include "lib/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { COLUMNS_MAX = 32, CELL_MAX = 1024, GAP = 2 };

struct render {
    enum output_format format;
    bool has_header, is_terminal;
    struct admin_column columns[COLUMNS_MAX];
    unsigned column_count;
    unsigned chosen[COLUMNS_MAX], chosen_count;
    unsigned widths[COLUMNS_MAX];
    bool has_widths;
    uint64_t row_count;
};

static enum output_format pick_format(const struct invocation *invocation)
{
    if (invocation->format != OUTPUT_AUTO)
        return invocation->format;
    return isatty(STDOUT_FILENO) ? OUTPUT_TABLE : OUTPUT_TSV;
}

static bool choose_columns(struct render *render, const char *wanted)
{
    do {
        size_t length = strcspn(wanted, ",");
        unsigned column = 0;
        while (column < render->column_count && (strlen(render->columns[column].name) != length
               || memcmp(render->columns[column].name, wanted, length) != 0))
            column++;
        if (column == render->column_count) {
            fprintf(stderr, "rtcctl: there is no column \"%.*s\"; there are:", (int)length, wanted);
            for (unsigned i = 0; i < render->column_count; i++)
                fprintf(stderr, " %s", render->columns[i].name);
            fprintf(stderr, "\n");
            return false;
        }
        if (render->chosen_count < COLUMNS_MAX)
            render->chosen[render->chosen_count++] = column;
        wanted += length + (wanted[length] == ',');
    } while (*wanted);
    return true;
}

/* The daemon leaves the others out. */
static void keep_chosen(struct render *render)
{
    struct admin_column kept[COLUMNS_MAX] = {0};
    for (unsigned i = 0; i < render->chosen_count; i++) {
        kept[i] = render->columns[render->chosen[i]];
        render->chosen[i] = i;
    }
    memcpy(render->columns, kept, render->chosen_count * sizeof(kept[0]));
    render->column_count = render->chosen_count;
}

struct render *render_new(const struct invocation *invocation, const char *columns)
{
    struct render *render = calloc(1, sizeof(*render));
    if (!render)
        return NULL;
    render->format = pick_format(invocation);
    render->has_header = render->format == OUTPUT_TABLE && !invocation->no_header;
    render->is_terminal = isatty(STDOUT_FILENO);
    while (render->column_count < COLUMNS_MAX && admin_next_column(&columns, &render->columns[render->column_count]))
        render->column_count++;
    if (!invocation->columns) {
        for (unsigned i = 0; i < render->column_count; i++)
            render->chosen[render->chosen_count++] = i;
    } else if (!choose_columns(render, invocation->columns)) {
        free(render);
        return NULL;
    } else if (arguments_takes(invocation, "columns")) {
        keep_chosen(render);
    }
    return render;
}

void render_free(struct render *render)
{
    free(render);
}

/* For people: 1536 is "1.5KiB", 200000 ms is "3m20s". */
static void add_human_size(struct buf *out, uint64_t bytes)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    double value = (double)bytes;
    size_t unit = 0;
    while (value >= 1024 && unit + 1 < COUNT_OF(units)) {
        value /= 1024;
        unit++;
    }
    buf_add_format(out, unit == 0 || value >= 100 ? "%.0f%s" : "%.1f%s", value, units[unit]);
}

static void add_human_span(struct buf *out, uint64_t ms)
{
    uint64_t s = ms / 1000;
    if (ms < 1000)
        buf_add_format(out, "%llums", (unsigned long long)ms);
    else if (s < 60)
        buf_add_format(out, "%llu.%llus", (unsigned long long)s, (unsigned long long)(ms % 1000 / 100));
    else if (s < 3600)
        buf_add_format(out, "%llum%02llus", (unsigned long long)s / 60, (unsigned long long)s % 60);
    else if (s < 86400)
        buf_add_format(out, "%lluh%02llum", (unsigned long long)s / 3600, (unsigned long long)s % 3600 / 60);
    else
        buf_add_format(out, "%llud%02lluh", (unsigned long long)s / 86400, (unsigned long long)s % 86400 / 3600);
}

/* In the time zone of who looks at it. */
static void add_human_time(struct buf *out, uint64_t ms)
{
    char text[32];
    struct tm parts;
    time_t seconds = (time_t)(ms / 1000);
    if (localtime_r(&seconds, &parts) && strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &parts))
        buf_add_text(out, text);
    else
        buf_add_decimal(out, ms);
}

/* A cell as text: people get units, programs the plain value. Control bytes are escaped for both. */
static void add_cell(struct buf *out, struct bytes value, enum admin_kind kind, bool for_people)
{
    struct buf scratch = {0};
    struct bytes text;
    uint64_t number;
    if (json_string(value, &scratch, &text) == 0)
        text_add_escaped(out, text, CELL_MAX);
    else if (for_people && kind == ADMIN_KIND_BYTES && json_uint(value, &number) == 0)
        add_human_size(out, number);
    else if (for_people && kind == ADMIN_KIND_SPAN && json_uint(value, &number) == 0)
        add_human_span(out, number);
    else if (for_people && kind == ADMIN_KIND_TIME && json_uint(value, &number) == 0)
        add_human_time(out, number);
    else if (json_type(value) != JSON_NULL)
        buf_add_bytes(out, value);
    buf_done(&scratch);
}

static bool is_number(enum admin_kind kind)
{
    return kind == ADMIN_KIND_COUNT_ || kind == ADMIN_KIND_BYTES || kind == ADMIN_KIND_SPAN;
}

/* Columns on a terminal: continuation bytes of UTF-8 take none. */
static unsigned display_width(struct bytes text)
{
    unsigned width = 0;
    for (size_t i = 0; i < text.length; i++)
        width += (text.data[i] & 0xc0) != 0x80;
    return width;
}

static void print_padded(struct bytes text, unsigned width, bool to_right, bool is_last)
{
    unsigned used = display_width(text);
    size_t length = text.length;
    bool is_cut = used > width;
    if (is_cut) {
        unsigned kept = 0;
        for (length = 0; length < text.length && (kept < width - 1 || (text.data[length] & 0xc0) == 0x80); length++)
            kept += (text.data[length] & 0xc0) != 0x80;
        used = width;
    }
    printf("%*s%.*s%s%*s", to_right ? (int)(width - used) : 0, "", (int)length, (const char *)text.data, is_cut ? "…" : "",
           is_last ? 0 : (int)((to_right ? 0 : width - used) + GAP), "");
}

/* The values of a row: how many there were. */
static unsigned read_row(struct bytes row, struct bytes values[static COLUMNS_MAX])
{
    struct json_scan scan;
    unsigned count = 0;
    json_scan_init(&scan, row);
    int r = json_enter(&scan, '[');
    while (r == 0 && count < COLUMNS_MAX && json_next_element(&scan, JSON_DEPTH_MAX, &values[count]) == 1)
        count++;
    return count;
}

typedef void row_fn(struct render *render, struct bytes *values);

static void each_row(struct render *render, struct bytes rows, row_fn *on_row)
{
    struct json_scan scan;
    struct bytes row, values[COLUMNS_MAX];
    json_scan_init(&scan, rows);
    int r = json_enter(&scan, '[');
    while (r == 0 && json_next_element(&scan, JSON_DEPTH_MAX, &row) == 1)
        if (read_row(row, values) >= render->column_count)
            on_row(render, values);
}

static void measure_row(struct render *render, struct bytes *values)
{
    for (unsigned i = 0; i < render->chosen_count; i++) {
        struct buf cell = {0};
        unsigned column = render->chosen[i];
        add_cell(&cell, values[column], render->columns[column].kind, true);
        render->widths[i] = MAX(render->widths[i], display_width(buf_bytes(&cell)));
        buf_done(&cell);
    }
}

/* The widest columns give way until the table fits the terminal. */
static void fit_widths(struct render *render)
{
    struct winsize size;
    if (!render->is_terminal || ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
        return;
    while (true) {
        unsigned total = 0, widest = 0;
        for (unsigned i = 0; i < render->chosen_count; i++) {
            total += render->widths[i] + (i ? GAP : 0);
            if (render->widths[i] > render->widths[widest])
                widest = i;
        }
        if (total <= size.ws_col || render->widths[widest] <= 8)
            return;
        render->widths[widest]--;
    }
}

static void print_header(struct render *render)
{
    for (unsigned i = 0; i < render->chosen_count; i++) {
        char name[32];
        const struct admin_column *column = &render->columns[render->chosen[i]];
        memcpy(name, column->name, sizeof(name));
        for (char *letter = name; *letter; letter++)
            if (*letter >= 'a' && *letter <= 'z')
                *letter = (char)(*letter - 32);
        print_padded(bytes_text(name), render->widths[i], is_number(column->kind), i + 1 == render->chosen_count);
    }
    printf("\n");
}

static void print_table_row(struct render *render, struct bytes *values)
{
    for (unsigned i = 0; i < render->chosen_count; i++) {
        struct buf cell = {0};
        const struct admin_column *column = &render->columns[render->chosen[i]];
        add_cell(&cell, values[render->chosen[i]], column->kind, true);
        print_padded(cell.length ? buf_bytes(&cell) : BYTES("-"), render->widths[i], is_number(column->kind),
                     i + 1 == render->chosen_count);
        buf_done(&cell);
    }
    printf("\n");
    render->row_count++;
}

static void print_tsv_row(struct render *render, struct bytes *values)
{
    struct buf line = {0};
    for (unsigned i = 0; i < render->chosen_count; i++) {
        if (i)
            buf_add_byte(&line, '\t');
        add_cell(&line, values[render->chosen[i]], render->columns[render->chosen[i]].kind, false);
    }
    buf_add_byte(&line, '\n');
    fwrite(line.data, 1, line.length, stdout);
    buf_done(&line);
    render->row_count++;
}

static void print_json_row(struct render *render, struct bytes *values)
{
    struct buf line = {0};
    struct json_writer json = json_writer(&line);
    json_begin_object(&json);
    for (unsigned i = 0; i < render->chosen_count; i++) {
        json_key(&json, render->columns[render->chosen[i]].name);
        json_add_raw(&json, values[render->chosen[i]]);
    }
    json_end_object(&json);
    if (render->format == OUTPUT_NDJSON)
        printf("%.*s\n", (int)line.length, (const char *)line.data);
    else
        printf("%s\n%.*s", render->row_count ? "," : "[", (int)line.length, (const char *)line.data);
    buf_done(&line);
    render->row_count++;
}

static void print_table(struct render *render, struct bytes rows)
{
    if (!render->has_widths) {
        /* Later pages use the first one's widths: a table of a million rows is not held back for its last one. */
        for (unsigned i = 0; i < render->chosen_count; i++)
            render->widths[i] = render->has_header ? (unsigned)strlen(render->columns[render->chosen[i]].name) : 1;
        each_row(render, rows, measure_row);
        fit_widths(render);
        render->has_widths = true;
        if (render->has_header)
            print_header(render);
    }
    each_row(render, rows, print_table_row);
}

uint64_t render_rows(struct render *render, struct bytes rows)
{
    uint64_t before = render->row_count;
    if (render->format == OUTPUT_TABLE)
        print_table(render, rows);
    else
        each_row(render, rows, render->format == OUTPUT_TSV ? print_tsv_row : print_json_row);
    fflush(stdout);
    return render->row_count - before;
}

int render_finish(struct render *render, struct bytes cursor, uint64_t matched)
{
    if (render->format == OUTPUT_JSON)
        printf("%s\n]\n", render->row_count ? "" : "[");
    fflush(stdout);
    if (cursor.length)
        fprintf(stderr, "There is more: go on with --cursor '%.*s'\n", (int)cursor.length, (const char *)cursor.data);
    if (matched > render->row_count)
        fprintf(stderr, "These are the first %llu of %llu; --limit shows more.\n", (unsigned long long)render->row_count,
                (unsigned long long)matched);
    return ferror(stdout) ? EX_IOERR : 0;
}

/*
 * Filter: see filter.h. Read by descending from `or` over `and` to `not` and brackets, as deep as FILTER_DEPTH_MAX.
 */
#include "lib/filter.h"

#include "lib/pattern.h"
#include "lib/text.h"

#include <strings.h>

struct reader {
    struct bytes text;
    size_t at;
    const struct row_columns *columns;
    struct filter *filter;
    struct fault *fault;
    unsigned depth;
};

static const struct { const char *text; enum filter_sign sign; } signs[] = {
    {"!=", FILTER_UNEQUAL}, {"<=", FILTER_LESS_EQUAL}, {">=", FILTER_MORE_EQUAL}, {"==", FILTER_EQUAL},
    {"=", FILTER_EQUAL}, {"<", FILTER_LESS}, {">", FILTER_MORE}, {"~", FILTER_LIKE},
};

/* With the place, and what stands there. */
static int refuse_at(struct reader *reader, size_t at, const char *problem)
{
    size_t left = MIN(reader->text.length - at, (size_t)16);
    while (left && left < reader->text.length - at && (reader->text.data[at + left] & 0xc0) == 0x80)
        left--;
    if (left == 0)
        fault_set(reader->fault, FAULT_BAD_ENVELOPE, "the filter ends too early: %s", problem);
    else
        fault_set(reader->fault, FAULT_BAD_ENVELOPE, "the filter, at byte %zu (%.*s): %s", at + 1, (int)left,
                  (const char *)reader->text.data + at, problem);
    return -EBADMSG;
}

static int refuse(struct reader *reader, const char *problem)
{
    return refuse_at(reader, reader->at, problem);
}

static int refuse_column(struct reader *reader, struct bytes name)
{
    struct buf text = {0};
    buf_add_text(&text, name.length ? "there is no such column; there are: " : "a column's name is expected, one of: ");
    row_columns_add_names(reader->columns, &text);
    int r = refuse_at(reader, reader->at - name.length, buf_text(&text));
    buf_done(&text);
    return r;
}

static void skip_blanks(struct reader *reader)
{
    while (reader->at < reader->text.length && strchr(" \t\r\n", reader->text.data[reader->at]) && reader->text.data[reader->at])
        reader->at++;
}

static bool is_word_byte(unsigned char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') || byte == '-' || byte == '_';
}

/* The word that stands here, without passing it. */
static struct bytes see_word(const struct reader *reader)
{
    size_t end = reader->at;
    while (end < reader->text.length && is_word_byte(reader->text.data[end]))
        end++;
    return bytes_of(reader->text.data + reader->at, end - reader->at);
}

/* Passes the word if it stands here. */
static bool take_keyword(struct reader *reader, const char *keyword)
{
    skip_blanks(reader);
    struct bytes word = see_word(reader);
    if (word.length != strlen(keyword) || strncasecmp((const char *)word.data, keyword, word.length) != 0)
        return false;
    reader->at += word.length;
    return true;
}

static int add_step(struct reader *reader, const struct filter_step *step)
{
    struct filter *filter = reader->filter;
    if (filter->count == FILTER_STEPS_MAX) {
        fault_set(reader->fault, FAULT_BAD_ENVELOPE, "the filter has more than %d comparisons, ands, ors and nots", FILTER_STEPS_MAX);
        return -EBADMSG;
    }
    filter->steps[filter->count++] = *step;
    return 0;
}

static bool take_sign(struct reader *reader, enum filter_sign *ret)
{
    skip_blanks(reader);
    for (size_t i = 0; i < COUNT_OF(signs); i++) {
        size_t length = MIN(strlen(signs[i].text), reader->text.length - reader->at);
        if (!bytes_is(bytes_of(reader->text.data + reader->at, length), signs[i].text))
            continue;
        reader->at += length;
        *ret = signs[i].sign;
        return true;
    }
    return false;
}

/* In quotes; a backslash stands before a quote or a backslash. */
static int take_quoted(struct reader *reader, struct buf *out)
{
    size_t start = reader->at;
    unsigned char quote = reader->text.data[reader->at++];
    while (reader->at < reader->text.length && reader->text.data[reader->at] != quote) {
        if (reader->text.data[reader->at] == '\\' && reader->at + 1 < reader->text.length)
            reader->at++;
        buf_add_byte(out, reader->text.data[reader->at++]);
    }
    if (reader->at == reader->text.length)
        return refuse_at(reader, start, "the closing quote is missing");
    reader->at++;
    return 0;
}

static int take_value(struct reader *reader, struct buf *out)
{
    skip_blanks(reader);
    size_t start = reader->at;
    if (reader->at < reader->text.length && (reader->text.data[reader->at] == '\'' || reader->text.data[reader->at] == '"'))
        return take_quoted(reader, out);
    while (reader->at < reader->text.length && !(strchr(" \t\r\n()'\"", reader->text.data[reader->at]) && reader->text.data[reader->at]))
        buf_add_byte(out, reader->text.data[reader->at++]);
    return reader->at > start ? 0 : refuse(reader, "a value is missing; the empty text is ''");
}

/* As the tables show it: 1h30m, and as options take it: 5min. */
static int read_span(struct bytes text, uint64_t *ret)
{
    uint64_t sum = 0, part;
    size_t at = 0;
    do {
        size_t start = at;
        while (at < text.length && text.data[at] >= '0' && text.data[at] <= '9')
            at++;
        while (at < text.length && !(text.data[at] >= '0' && text.data[at] <= '9'))
            at++;
        char word[40];
        size_t length = at - start;
        if (length == 0 || length >= sizeof(word) - 2)
            return -EBADMSG;
        memcpy(word, text.data + start, length);
        bool is_short_minute = length > 1 && word[length - 1] == 'm';
        memcpy(word + length, "in", 2);
        int r = text_parse_span(bytes_of(word, length + (is_short_minute ? 2 : 0)), &part);
        if (r < 0 || __builtin_add_overflow(sum, part, &sum))
            return -EBADMSG;
    } while (at < text.length);
    *ret = sum;
    return 0;
}

static bool value_is(struct bytes value, const char *text)
{
    return bytes_is(value, text);
}

/* Sets the step's value; NULL, or what is wrong with it. */
static const char *read_number(struct filter_step *step, struct bytes value)
{
    switch (step->kind) {
    case ADMIN_KIND_BYTES:
        return text_parse_size(value, &step->number) < 0 ? "a size is expected, such as 512, 64KiB or 1MiB" : NULL;
    case ADMIN_KIND_SPAN:
        return read_span(value, &step->number) < 0 ? "a time is expected, such as 250ms, 30s, 5m or 1h30m" : NULL;
    case ADMIN_KIND_FLAG:
        step->number = value_is(value, "true");
        return step->number || value_is(value, "false") ? NULL : "true or false is expected";
    default:
        return text_parse_uint(value, &step->number) < 0 ? "a whole number is expected" : NULL;
    }
}

static const char *read_value(struct filter *filter, struct filter_step *step, struct bytes value)
{
    if (!kind_is_text(step->kind))
        return step->sign == FILTER_LIKE ? "~ is for columns with text" : read_number(step, value);
    step->text_at = (uint32_t)filter->texts.length;
    step->text_length = (uint32_t)value.length;
    buf_add_bytes(&filter->texts, value);
    if (step->sign != FILTER_LIKE)
        return NULL;
    filter->pattern_bytes += step->text_length;
    return pattern_problem(value);
}

static int read_test(struct reader *reader)
{
    struct filter_step step = {.what = FILTER_TEST};
    struct buf value = {0};
    struct bytes name = see_word(reader);
    int column = row_columns_find(reader->columns, name);
    reader->at += name.length;
    if (column < 0)
        return refuse_column(reader, name);
    step.column = (uint8_t)column;
    step.kind = reader->columns->columns[column].kind;
    if (!take_sign(reader, &step.sign))
        return refuse(reader, "one of = != < <= > >= ~ is expected");
    skip_blanks(reader);
    size_t start = reader->at;
    int r = take_value(reader, &value);
    if (r == 0 && buf_status(&value) == 0) {
        const char *problem = read_value(reader->filter, &step, buf_bytes(&value));
        r = problem ? refuse_at(reader, start, problem) : add_step(reader, &step);
    } else if (r == 0) {
        buf_fail(&reader->filter->texts);
    }
    buf_done(&value);
    return r;
}

static int read_or(struct reader *reader);

static int read_operand(struct reader *reader)
{
    skip_blanks(reader);
    if (reader->at == reader->text.length || reader->text.data[reader->at] != '(')
        return read_test(reader);
    size_t start = reader->at++;
    int r = read_or(reader);
    if (r < 0)
        return r;
    if (reader->at == reader->text.length || reader->text.data[reader->at] != ')')
        return refuse_at(reader, reader->at < reader->text.length ? reader->at : start,
                         reader->at < reader->text.length ? "and, or or a closing bracket is expected" : "its closing bracket is missing");
    reader->at++;
    return 0;
}

static int read_not(struct reader *reader)
{
    if (reader->depth++ > FILTER_DEPTH_MAX)
        return refuse(reader, "too many brackets and nots stand inside one another");
    int r;
    if (take_keyword(reader, "not")) {
        r = read_not(reader);
        if (r == 0)
            r = add_step(reader, &(struct filter_step){.what = FILTER_NOT});
    } else {
        r = read_operand(reader);
    }
    reader->depth--;
    return r;
}

static int read_and(struct reader *reader)
{
    int r = read_not(reader);
    while (r == 0 && take_keyword(reader, "and")) {
        r = read_not(reader);
        if (r == 0)
            r = add_step(reader, &(struct filter_step){.what = FILTER_AND});
    }
    return r;
}

/* Behind it stand no blanks. */
static int read_or(struct reader *reader)
{
    int r = read_and(reader);
    while (r == 0 && take_keyword(reader, "or")) {
        r = read_and(reader);
        if (r == 0)
            r = add_step(reader, &(struct filter_step){.what = FILTER_OR});
    }
    return r;
}

enum decode filter_read(struct bytes text, const struct row_columns *columns, struct filter *ret, struct fault *fault)
{
    struct reader reader = {.text = text, .columns = columns, .filter = ret, .fault = fault};
    if (text.length > FILTER_BYTES_MAX)
        return fault_set(fault, FAULT_TOO_LARGE, "a filter may have %d bytes", FILTER_BYTES_MAX);
    int r = read_or(&reader);
    if (r == 0 && reader.at < text.length)
        r = refuse(&reader, "and or or is expected here");
    if (r == 0 && buf_status(&ret->texts) < 0) {
        fault_set(fault, FAULT_INTERNAL, "out of memory");
        r = -ENOMEM;
    }
    if (r < 0)
        filter_done(ret);
    return r < 0 ? DECODE_BAD : DECODE_DONE;
}

void filter_done(struct filter *filter)
{
    buf_done(&filter->texts);
    filter->count = 0;
}

static bool step_holds(const struct filter *filter, const struct filter_step *step, const struct cell *cell)
{
    struct cell value = {.number = step->number};
    if (step->text_length)
        value.text = bytes_of(filter->texts.data + step->text_at, step->text_length);
    if (cell->is_empty)
        return step->sign == FILTER_UNEQUAL;
    if (step->sign == FILTER_LIKE)
        return pattern_matches(value.text, cell->text);
    int order = cell_compare(step->kind, cell, &value);
    switch (step->sign) {
    case FILTER_EQUAL:
        return order == 0;
    case FILTER_UNEQUAL:
        return order != 0;
    case FILTER_LESS:
        return order < 0;
    case FILTER_LESS_EQUAL:
        return order <= 0;
    case FILTER_MORE:
        return order > 0;
    default:
        return order >= 0;
    }
}

bool filter_wants(const struct filter *filter, const struct cell *cells)
{
    _Static_assert(FILTER_STEPS_MAX <= 64, "the results that wait for what joins them fit in one word");
    uint64_t results = 1;               /* the last one lowest */
    for (unsigned i = 0; i < filter->count; i++) {
        const struct filter_step *step = &filter->steps[i];
        uint64_t last = results & 1, rest = results >> 1;
        if (step->what == FILTER_TEST)
            results = results << 1 | step_holds(filter, step, &cells[step->column]);
        else if (step->what == FILTER_NOT)
            results ^= 1;
        else
            results = step->what == FILTER_AND ? rest & (last | ~UINT64_C(1)) : rest | last;
    }
    return results & 1;
}

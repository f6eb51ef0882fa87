/*
 * gen_man: makes a manual page from its template. Lines such as @OPTIONS@ become the list of that name, made from the same
 * rows that drive the programs. Runs while rtcd is built; knows nothing of the daemon but its tables.
 *
 * gen_man TEMPLATE VERSION CONFIG-FILE > PAGE
 */
#include "daemon/config/config_file.h"
#include "daemon/config/groups.h"
#include "daemon/config/webhooks.h"
#include "lib/admin_commands.h"
#include "lib/text.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_WIDTH = 78 };       /* mandoc's lint complains beyond 80 */

struct inserts {
    const char *version, *config_path;
};

/* One word of running text: what roff would take for an order or an escape is made harmless. */
static void print_word(const char *word, size_t length, bool starts_line)
{
    if (starts_line && (word[0] == '.' || word[0] == '\''))
        printf("\\&");
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)word[i];
        if (byte == '\\')
            printf("\\e");
        else if (byte == '-')
            printf("\\-");
        else if (byte == 0xe2 && i + 2 < length && memcmp(word + i, "…", 3) == 0) {
            printf("\\&...");
            i += 2;
        } else
            putchar(byte);
    }
}

/* As it stands in the page. */
static size_t word_width(const char *word, size_t length)
{
    size_t width = length;
    for (size_t i = 0; i < length; i++)
        width += word[i] == '-' || word[i] == '\\';
    return width;
}

/* Running text, broken at blanks, and after each sentence as mdoc wants it. */
static void print_text(const char *text)
{
    size_t column = 0;
    bool ends_sentence = false;
    while (*text) {
        size_t length = strcspn(text, " ");
        size_t width = word_width(text, length);
        if (column && (ends_sentence || column + 1 + width > LINE_WIDTH)) {
            putchar('\n');
            column = 0;
        }
        if (column)
            putchar(' ');
        print_word(text, length, column == 0);
        column += width + 1;
        ends_sentence = strchr(".!?", text[length - 1]) != NULL;
        text += length;
        text += strspn(text, " ");
    }
    if (column)
        putchar('\n');
}

/* The tables write sentences for the middle of a line; here they stand alone. */
static void print_sentence(const char *format, ...) PRINTF_LIKE(1, 2);
static void print_sentence(const char *format, ...)
{
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    text[0] = (char)toupper((unsigned char)text[0]);
    print_text(text);
}

/* rtcd.yaml(5): options */

static void add_amount(const struct config_option *option, uint64_t value, struct buf *out)
{
    if (option->kind == OPTION_SIZE)
        text_add_size(out, value);
    else if (option->kind == OPTION_SPAN)
        text_add_span(out, value);
    else
        buf_add_format(out, option->is_octal ? "0%llo" : "%llu", (unsigned long long)value);
}

/* "a size from 128 to 64MiB" */
static void add_allowed(const struct config_option *option, struct buf *out)
{
    static const char *const kinds[] = {
        [OPTION_FLAG] = "true or false", [OPTION_NUMBER] = "a whole number", [OPTION_SIZE] = "a size",
        [OPTION_SPAN] = "a time", [OPTION_TEXT] = "text", [OPTION_LIST] = "a list", [OPTION_CHOICE] = "one of ",
    };
    if (option->special)
        buf_add_format(out, "%s or ", option->special);
    buf_add_text(out, option->is_octal ? "an octal number" : kinds[option->kind]);
    for (const char *at = option->kind == OPTION_CHOICE ? option->choices : ""; *at; at++) {
        bool is_last = *at == ' ' && !strchr(at + 1, ' ');
        buf_add_text(out, is_last ? " and " : *at == ' ' ? ", " : "");
        if (*at != ' ')
            buf_add_byte(out, (unsigned char)*at);
    }
    if (!option->max)
        return;
    buf_add_text(out, option->min ? " from " : " of at most ");
    if (option->min) {
        add_amount(option, option->min, out);
        buf_add_text(out, " to ");
    }
    add_amount(option, option->max, out);
}

static void print_option(const struct config_option *option)
{
    static const char *const reloads[] = {
        [RELOAD_NOW] = "A reload takes it up at once.",
        [RELOAD_NEW] = "A reload takes it up for new connections.",
        [RELOAD_RESTART] = "Only a restart takes it up.",
    };
    struct buf allowed = {0};
    add_allowed(option, &allowed);
    printf(".It Ic %s\n", option->path);
    print_text(option->summary);
    print_text(option->details);
    printf(".Pp\n");
    print_sentence(option->fallback ? "%s; the default is" : "%s.", buf_text(&allowed));
    if (!option->fallback)
        printf("It must be given.\n");
    else if (!option->fallback[0])
        printf("%s.\n", option->kind == OPTION_LIST ? "an empty list" : "empty");
    else if (option->kind == OPTION_LIST)
        printf(".Ql [\\(dq%s\\(dq] .\n", option->fallback);
    else
        printf(".Ql %s .\n", option->fallback);
    print_text(reloads[option->reload]);
    buf_done(&allowed);
}

/* The part of a path in front of its dot; empty for an option of the top level. */
static struct bytes option_section(const struct config_option *option)
{
    const char *dot = strchr(option->path, '.');
    return bytes_of(option->path, dot ? (size_t)(dot - option->path) : 0);
}

static void print_options(void)
{
    struct bytes section = {0};
    for (size_t i = 0; i < option_count; i++) {
        struct bytes next = option_section(&options[i]);
        if (i == 0 || !bytes_equal(section, next)) {
            printf("%s.Ss %.*s\n.Bl -tag -width Ds\n", i ? ".El\n" : "", next.length ? (int)next.length : 9,
                   next.length ? (const char *)next.data : "Top level");
            section = next;
        }
        print_option(&options[i]);
    }
    printf(".El\n");
}

static void print_table(const struct option_table *table)
{
    printf(".Bl -tag -width Ds\n");
    for (size_t i = 0; i < table->count; i++)
        print_option(&table->rows[i]);
    printf(".El\n");
}

static void print_group_options(void)
{
    print_table(&group_option_table);
}

static void print_webhook_options(void)
{
    print_table(&webhook_option_table);
}

static void print_rules(void)
{
    printf(".Bl -tag -width Ds\n");
    for (size_t i = 0; i < config_rule_count; i++) {
        printf(".It Ic %s\n", config_rules[i].option);
        print_sentence("%s.", config_rules[i].sentence);
    }
    printf(".El\n");
}

/* rtcctl(1): commands */

static void print_argument(const struct admin_argument *argument)
{
    printf(argument->is_optional ? ".Op " : argument->is_flag || argument->is_keyword ? "" : ".Ar ");
    if (argument->is_keyword)
        printf("%sCm %s Ar %s", argument->is_optional ? "" : ".", argument->word, argument->value);
    else if (argument->is_flag)
        printf("%sFl %s%s%s", argument->is_optional ? "" : ".", argument->word + 1,
               argument->may_lack_value ? " Ns Op = Ns Ar " : argument->takes_value ? " Ar " : "", argument->value);
    else
        printf("%s%s", argument->is_optional ? "Ar " : "", argument->word);
    printf("%s\n", argument->repeats ? " ..." : "");
}

static void print_command(const struct admin_command *command)
{
    struct admin_argument argument;
    struct admin_column column;
    const char *arguments = command->synopsis, *columns = command->columns;
    bool has_arguments = command->synopsis[0] != '\0';
    printf(has_arguments ? ".It Xo\n.Ic %s\n" : ".It Ic %s\n", command->words);
    while (admin_next_argument(&arguments, &argument))
        print_argument(&argument);
    printf("%s", has_arguments ? ".Xc\n" : "");
    print_text(command->summary);
    print_text(command->details);

    struct buf list = {0};
    while (admin_next_column(&columns, &column))
        buf_add_format(&list, "%s %s", list.length ? "," : "Its columns are", column.name);
    if (list.length)
        buf_add_text(&list, ".");
    print_text(buf_text(&list));
    buf_done(&list);
    if (command->access != ADMIN_VIEWER)
        print_sentence("Needs the level %s.", admin_access_name(command->access));
}

static void print_commands(void)
{
    printf(".Bl -tag -width Ds\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        print_command(&admin_commands[i]);
    printf(".El\n");
}

/* rtc-protocol(7): faults; rtcctl(1): counters */

static void print_faults(void)
{
    static const struct { const char *name, *code, *sentence; unsigned close, status; bool reconnect; } rows[] = {
#define FAULT(id, name, code, close, status, reconnect, sentence) {name, code, sentence, close, status, reconnect},
#include "lib/faults.def"
#undef FAULT
    };
    printf(".Bl -tag -width Ds\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        printf(".It Cm %s\n", rows[i].name);
        print_sentence("%s.", rows[i].sentence);
        printf("Code\n.Ql %s ,\n", rows[i].code);
        printf("close code %u, HTTP status %u%s.\n", rows[i].close, rows[i].status,
               rows[i].reconnect ? "; coming back makes sense" : "");
    }
    printf(".El\n");
}

static void print_counters(void)
{
    static const struct { const char *name, *unit, *help; } rows[] = {
#define METRIC(id, name, unit, help) {name, unit, help},
#include "daemon/core/metrics.def"
#undef METRIC
    };
    printf(".Bl -tag -width Ds\n");
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        printf(".It Cm %s\n", rows[i].name);
        print_sentence("%s (unit: %s).", rows[i].help, rows[i].unit);
    }
    printf(".El\n");
}

/* Templates */

static const struct { const char *line; void (*print)(void); } lists[] = {
    {"@OPTIONS@\n", print_options}, {"@GROUPOPTIONS@\n", print_group_options}, {"@WEBHOOKOPTIONS@\n", print_webhook_options},
    {"@RULES@\n", print_rules}, {"@COMMANDS@\n", print_commands}, {"@FAULTS@\n", print_faults}, {"@COUNTERS@\n", print_counters},
};

/* false: the line names a list or a word that there is not. */
static bool print_line(const char *line, const struct inserts *inserts)
{
    const struct { const char *mark, *text; } words[] = {
        {"@VERSION@", inserts->version}, {"@CONFIG@", inserts->config_path},
    };
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        if (strcmp(lists[i].line, line) == 0) {
            lists[i].print();
            return true;
        }
    }
    while (*line) {
        size_t skip = 0;
        for (size_t i = 0; i < COUNT_OF(words) && !skip; i++) {
            if (strncmp(line, words[i].mark, strlen(words[i].mark)) != 0)
                continue;
            skip = strlen(words[i].mark);
            printf("%s", words[i].text);
        }
        /* An at sign and a capital can only be a mark that nobody knows. */
        if (!skip && line[0] == '@' && line[1] >= 'A' && line[1] <= 'Z' && strchr(line + 1, '@'))
            return false;
        if (!skip)
            putchar(line[0]);
        line += skip ? skip : 1;
    }
    return true;
}

int main(int argc, char **argv)
{
    char line[1024];
    unsigned number = 0;
    if (argc != 4) {
        fprintf(stderr, "Usage: gen_man TEMPLATE VERSION CONFIG-FILE\n");
        return EXIT_FAILURE;
    }
    const struct inserts inserts = {.version = argv[2], .config_path = argv[3]};
    FILE *template = fopen(argv[1], "r");
    if (!template) {
        fprintf(stderr, "gen_man: %s: %s\n", argv[1], strerror(errno));
        return EXIT_FAILURE;
    }
    while (fgets(line, sizeof(line), template)) {
        number++;
        if (!print_line(line, &inserts)) {
            fprintf(stderr, "%s:%u: there is no such list: %s", argv[1], number, line);
            fclose(template);
            return EXIT_FAILURE;
        }
    }
    bool has_failed = ferror(template) != 0;
    fclose(template);
    return has_failed || fflush(stdout) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

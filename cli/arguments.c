/*
 * Arguments: see arguments.h. Options may stand anywhere; `--` ends them.
 */
#include "cli/arguments.h"

#include "cli/commands.h"
#include "lib/text.h"

#include <stdio.h>
#include <sysexits.h>

enum { LOCAL_FORMAT, LOCAL_SOCKET, LOCAL_COLUMNS, LOCAL_NO_HEADER, LOCAL_HELP, LOCAL_VERSION };

static const struct { const char *word; int id; bool takes_value; } local_options[] = {
    {"--output", LOCAL_FORMAT, true}, {"-o", LOCAL_FORMAT, true}, {"--socket", LOCAL_SOCKET, true},
    {"--columns", LOCAL_COLUMNS, true}, {"--no-header", LOCAL_NO_HEADER, false},
    {"--help", LOCAL_HELP, false}, {"-h", LOCAL_HELP, false}, {"--version", LOCAL_VERSION, false}, {"-V", LOCAL_VERSION, false},
};

const struct admin_command *arguments_command(const char *words)
{
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strcmp(admin_commands[i].words, words) == 0)
            return &admin_commands[i];
    return NULL;
}

const char *arguments_value(const struct invocation *invocation, const char *name)
{
    for (unsigned i = 0; i < invocation->argument_count; i++)
        if (strcmp(invocation->arguments[i].name, name) == 0)
            return invocation->values[i];
    return NULL;
}

bool arguments_takes(const struct invocation *invocation, const char *name)
{
    for (unsigned i = 0; i < invocation->argument_count; i++)
        if (strcmp(invocation->arguments[i].name, name) == 0)
            return true;
    return false;
}

static int usage(const struct invocation *invocation, const char *format, const char *word)
{
    fprintf(stderr, "rtcctl: ");
    fprintf(stderr, format, word);
    fprintf(stderr, "\n");
    if (invocation->command)
        help_usage(stderr, invocation->command);
    else
        fprintf(stderr, "Try 'rtcctl help'.\n");
    return EX_USAGE;
}

static int read_format(struct invocation *ret, const char *text)
{
    assert(text);
    static const struct { const char *name; enum output_format format; } formats[] = {
        {"table", OUTPUT_TABLE}, {"tsv", OUTPUT_TSV}, {"json", OUTPUT_JSON}, {"ndjson", OUTPUT_NDJSON},
    };
    for (size_t i = 0; i < COUNT_OF(formats); i++) {
        if (strcmp(formats[i].name, text) == 0) {
            ret->format = formats[i].format;
            return 0;
        }
    }
    return usage(ret, "the output format \"%s\" is not one of table, tsv, json and ndjson", text);
}

static int take_local(struct invocation *ret, int id, const char *value)
{
    switch (id) {
    case LOCAL_FORMAT:
        return read_format(ret, value);
    case LOCAL_SOCKET:
        ret->socket = value;
        break;
    case LOCAL_COLUMNS:
        ret->columns = value;
        break;
    case LOCAL_NO_HEADER:
        ret->no_header = true;
        break;
    case LOCAL_HELP:
        ret->wants_help = true;
        break;
    default:
        ret->wants_version = true;
        break;
    }
    return 0;
}

/* An option: `word` without its value, `value` behind '=' or NULL. Uses the next argument up if need be. */
static int read_option(struct invocation *ret, const char *word, const char *value, int argc, char **argv, int *index)
{
    bool takes_value = false, may_lack_value = false;
    int local = -1, own = -1;
    for (size_t i = 0; i < COUNT_OF(local_options) && local < 0; i++) {
        if (strcmp(local_options[i].word, word) == 0) {
            local = local_options[i].id;
            takes_value = local_options[i].takes_value;
        }
    }
    for (unsigned i = 0; i < ret->argument_count && local < 0 && own < 0; i++) {
        if (ret->arguments[i].is_flag && strcmp(ret->arguments[i].word, word) == 0) {
            own = (int)i;
            takes_value = ret->arguments[i].takes_value;
            may_lack_value = ret->arguments[i].may_lack_value;
        }
    }
    if (local < 0 && own < 0)
        return usage(ret, "there is no option %s here", word);
    if (takes_value && !value && !may_lack_value) {
        if (*index + 1 >= argc)
            return usage(ret, "%s needs a value", word);
        value = argv[++*index];
    } else if (!takes_value && value) {
        return usage(ret, "%s takes no value", word);
    }
    if (local >= 0)
        return take_local(ret, local, value);
    ret->values[own] = value ? value : "";
    return 0;
}

struct positionals {
    const char *words[ARGUMENTS_MAX];
    unsigned count;
};

static int read_positional(struct invocation *ret, struct positionals *given, const char *word)
{
    if (!ret->command) {
        if (ret->word_count == COUNT_OF(ret->words))
            return usage(ret, "\"%s\" is too many", word);
        ret->words[ret->word_count++] = word;
        return 0;
    }
    if (given->count == ARGUMENTS_MAX)
        return usage(ret, "\"%s\" is not expected", word);
    given->words[given->count++] = word;
    return 0;
}

/* In the synopsis' order; what may be left out is, where there are not enough for all. */
static int assign_positionals(struct invocation *ret, const struct positionals *given)
{
    unsigned needed = 0, used = 0;
    for (unsigned i = 0; i < ret->argument_count; i++)
        needed += ret->arguments[i].is_flag || ret->arguments[i].is_optional ? 0 : 1 + ret->arguments[i].is_keyword;
    for (unsigned i = 0; i < ret->argument_count && used < given->count; i++) {
        const struct admin_argument *argument = &ret->arguments[i];
        if (argument->is_flag || (argument->is_optional && given->count - used <= needed))
            continue;
        if (argument->is_keyword && (strcmp(given->words[used], argument->word) != 0 || ++used == given->count))
            return usage(ret, "%s needs a value", argument->word);
        needed -= argument->is_optional ? 0 : 1 + argument->is_keyword;
        ret->values[i] = given->words[used++];
    }
    return used == given->count ? 0 : usage(ret, "\"%s\" is not expected", given->words[used]);
}

static const struct admin_command *nearest_command(const char *typed)
{
    const struct admin_command *nearest = NULL;
    unsigned best = 1 + (unsigned)strlen(typed) / 3;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        unsigned distance = text_distance(typed, admin_commands[i].words, best);
        if (distance <= best && (!nearest || distance < best)) {
            nearest = &admin_commands[i];
            best = distance;
        }
    }
    return nearest;
}

/* Those of which it is the first word. */
static bool say_rest(const char *typed)
{
    size_t length = strcspn(typed, " ");
    bool is_first = true;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const char *words = admin_commands[i].words;
        if (strncmp(words, typed, length) != 0 || words[length] != ' ')
            continue;
        fprintf(stderr, "%s%s", is_first ? "; there are: " : ", ", words);
        is_first = false;
    }
    return !is_first;
}

int arguments_suggest(const char *typed)
{
    const struct admin_command *nearest = nearest_command(typed);
    bool has_two_words = strchr(typed, ' ') != NULL;
    fprintf(stderr, "rtcctl: there is no command \"%s\"", typed);
    bool is_told = !(has_two_words && nearest) && say_rest(typed);
    if (nearest && !is_told)
        fprintf(stderr, "; did you mean \"%s\"?", nearest->words);
    fprintf(stderr, "\nTry 'rtcctl help'.\n");
    return EX_USAGE;
}

/* The command is the first one or two words; options may stand between and before them. Returns how many words it has. */
static unsigned find_command(int argc, char **argv, const struct admin_command **ret, char typed[static 64])
{
    const char *words[2] = {NULL, NULL};
    unsigned count = 0;
    for (int i = 1; i < argc && count < 2; i++) {
        bool skips_value = strcmp(argv[i], "-o") == 0 || strcmp(argv[i], "--output") == 0
            || strcmp(argv[i], "--socket") == 0 || strcmp(argv[i], "--columns") == 0;
        if (skips_value)
            i++;
        else if (argv[i][0] != '-')
            words[count++] = argv[i];
        else if (count == 1)
            break;
    }
    *ret = NULL;
    typed[0] = '\0';
    if (count == 2) {
        snprintf(typed, 64, "%s %s", words[0], words[1]);
        *ret = arguments_command(typed);
    }
    if (*ret || count == 0)
        return *ret ? 2 : 0;
    char pair[64];
    memcpy(pair, typed, sizeof(pair));
    snprintf(typed, 64, "%s", words[0]);
    *ret = arguments_command(typed);
    if (!*ret && count == 2)
        memcpy(typed, pair, sizeof(pair));
    return *ret ? 1 : 0;
}

static bool is_local_word(const char *typed)
{
    struct bytes first = bytes_of(typed, strcspn(typed, " "));
    return bytes_is(first, "help") || bytes_is(first, "completion");
}

int arguments_read(int argc, char **argv, struct invocation *ret)
{
    char typed[64];
    *ret = (struct invocation){0};
    unsigned skip = find_command(argc, argv, &ret->command, typed);
    if (ret->command) {
        const char *rest = ret->command->synopsis;
        while (ret->argument_count < ARGUMENTS_MAX && admin_next_argument(&rest, &ret->arguments[ret->argument_count]))
            ret->argument_count++;
    } else if (typed[0] && !is_local_word(typed)) {
        return arguments_suggest(typed);
    }
    bool options_over = false;
    struct positionals given = {.count = 0};
    for (int i = 1; i < argc; i++) {
        char word[64];
        const char *equals = strchr(argv[i], '=');
        int r = 0;
        if (!options_over && strcmp(argv[i], "--") == 0) {
            options_over = true;
        } else if (!options_over && argv[i][0] == '-' && argv[i][1] != '\0') {
            bool is_long = argv[i][1] == '-';
            snprintf(word, sizeof(word), "%.*s", is_long && equals ? (int)(equals - argv[i]) : 63, argv[i]);
            r = read_option(ret, word, is_long && equals ? equals + 1 : NULL, argc, argv, &i);
        } else if (skip > 0) {
            skip--;
        } else {
            r = read_positional(ret, &given, argv[i]);
        }
        if (r)
            return r;
    }
    int r = assign_positionals(ret, &given);
    if (r)
        return r;
    for (unsigned i = 0; i < ret->argument_count && !ret->wants_help; i++)
        if (!ret->arguments[i].is_optional && !ret->values[i])
            return usage(ret, "%s is missing", ret->arguments[i].word);
    return 0;
}

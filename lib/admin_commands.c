/*
 * Admin commands: the rows, and the readers of the small languages in them. A row that these readers
 * cannot read is our own mistake: an assert says so, and a test reads every row.
 */
#include "lib/admin_commands.h"

#include <ctype.h>

const struct admin_command admin_commands[COMMAND_COUNT] = {
#define ADMIN_COMMAND(id, words, synopsis, access, columns, summary, details) \
    [ADMIN_##id] = {words, synopsis, ADMIN_##access, columns, summary, details},
#include "lib/admin_commands.def"
#include "lib/own_commands.def"
#undef ADMIN_COMMAND
};

const char *admin_access_name(enum admin_access access)
{
    static const char *const names[ADMIN_ACCESS_COUNT] = {
        [ADMIN_VIEWER] = "viewer", [ADMIN_OPERATOR] = "operator", [ADMIN_ADMIN] = "admin",
    };
    return names[access];
}

static bool event_is_words(struct bytes event_name, const char *words)
{
    size_t i = 0;
    while (i < event_name.length && words[i] && event_name.data[i] == (words[i] == ' ' ? '.' : words[i]))
        i++;
    return i == event_name.length && !words[i];
}

const struct admin_command *admin_command_by_event(struct bytes event_name)
{
    for (size_t i = 0; i < ADMIN_COMMAND_COUNT; i++)
        if (event_is_words(event_name, admin_commands[i].words))
            return &admin_commands[i];
    return NULL;
}

static const char *skip_blanks(const char *at)
{
    return at + strspn(at, " ");
}

/* Takes bytes up to one of `stops` or the end. */
static const char *take_word(const char *at, const char *stops, char *ret_word, size_t size)
{
    size_t length = strcspn(at, stops);
    assert(length > 0 && length < size);
    memcpy(ret_word, at, length);
    ret_word[length] = '\0';
    return at + length;
}

/* "--except-self" → "exceptSelf", "EVENT" → "event". */
static void name_of_word(const char *word, char *ret_name)
{
    bool is_raised = false;
    for (word += strspn(word, "-"); *word; word++) {
        if (*word == '-') {
            is_raised = true;
            continue;
        }
        *ret_name++ = (char)(is_raised ? toupper((unsigned char)*word) : tolower((unsigned char)*word));
        is_raised = false;
    }
    *ret_name = '\0';
}

bool admin_next_argument(const char **rest, struct admin_argument *ret)
{
    const char *at = skip_blanks(*rest);
    if (*at == '\0')
        return false;

    *ret = (struct admin_argument){.is_optional = *at == '['};
    if (ret->is_optional)
        at++;
    at = take_word(at, " ].[", ret->word, sizeof(ret->word));
    ret->is_flag = strncmp(ret->word, "--", 2) == 0;
    ret->is_keyword = islower((unsigned char)ret->word[0]);
    assert(!ret->is_keyword || *at == ' ');
    if (!ret->is_flag && !ret->is_keyword) {
        memcpy(ret->value, ret->word, sizeof(ret->value));
    } else if (strncmp(at, "[=", 2) == 0) {
        at = take_word(at + 2, "]", ret->value, sizeof(ret->value)) + 1;
        ret->may_lack_value = true;
    } else if (*at == ' ' && isupper((unsigned char)at[1])) {
        at = take_word(at + 1, " ].", ret->value, sizeof(ret->value));
    }
    ret->takes_value = ret->value[0] != '\0';
    ret->repeats = strncmp(at, "...", 3) == 0;
    if (ret->repeats)
        at += 3;
    assert(!ret->is_optional || *at == ']');
    if (ret->is_optional)
        at++;
    assert(*at == ' ' || *at == '\0');

    name_of_word(ret->word, ret->name);
    ret->name_length = strlen(ret->name);
    *rest = at;
    return true;
}

void admin_grammar_read(const char *synopsis, struct admin_grammar *ret)
{
    const char *rest = synopsis;
    struct admin_argument argument;
    ret->count = 0;
    while (admin_next_argument(&rest, &argument)) {
        assert(ret->count < ADMIN_ARGUMENTS_MAX);
        ret->arguments[ret->count++] = argument;
    }
}

const struct admin_argument *admin_grammar_find(const struct admin_grammar *grammar, struct bytes name)
{
    for (unsigned i = 0; i < grammar->count; i++) {
        const struct admin_argument *argument = &grammar->arguments[i];
        if (bytes_equal(name, bytes_of(argument->name, argument->name_length)))
            return argument;
    }
    return NULL;
}

static enum admin_kind kind_by_name(const char *name)
{
    static const char *const names[] = {
        [ADMIN_KIND_TEXT] = "text", [ADMIN_KIND_COUNT_] = "count", [ADMIN_KIND_BYTES] = "bytes",
        [ADMIN_KIND_SPAN] = "span", [ADMIN_KIND_TIME] = "time",    [ADMIN_KIND_FLAG] = "flag",
        [ADMIN_KIND_JSON] = "json",
    };
    size_t i = 0;
    while (i < COUNT_OF(names) && strcmp(names[i], name) != 0)
        i++;
    assert(i < COUNT_OF(names));
    return (enum admin_kind)i;
}

bool admin_next_column(const char **rest, struct admin_column *ret)
{
    const char *at = skip_blanks(*rest);
    if (*at == '\0')
        return false;

    char kind[16];
    at = take_word(at, ": ", ret->name, sizeof(ret->name));
    assert(*at == ':');
    *rest = take_word(at + 1, " ", kind, sizeof(kind));
    ret->kind = kind_by_name(kind);
    return true;
}

/*
 * Admin commands: see admin_commands.h.
 */
#include "lib/admin_commands.h"

#include <ctype.h>
#include <stdio.h>

const struct admin_command admin_commands[ADMIN_COMMAND_COUNT] = {
#define ADMIN_COMMAND(id, words, synopsis, access, columns, summary, details) \
    [ADMIN_##id] = {words, synopsis, ADMIN_##access, columns, summary, details},
#include "lib/admin_commands.def"
#undef ADMIN_COMMAND
};

const struct admin_command *admin_command_by_event(struct bytes event_name)
{
    for (size_t i = 0; i < ADMIN_COMMAND_COUNT; i++) {
        const char *words = admin_commands[i].words;
        size_t at = 0;
        while (at < event_name.length && words[at]
               && event_name.data[at] == (unsigned char)(words[at] == ' ' ? '.' : words[at]))
            at++;
        if (at == event_name.length && words[at] == '\0')
            return &admin_commands[i];
    }
    return NULL;
}

/* "--except-self" → "exceptSelf", "CONNECTION" → "connection". */
static void argument_name(const char *word, char ret[static 32])
{
    size_t length = 0;
    bool is_upper = false;
    for (word += strspn(word, "-"); *word && length < 31; word++) {
        if (*word == '-') {
            is_upper = true;
            continue;
        }
        ret[length++] = (char)(is_upper ? toupper((unsigned char)*word) : tolower((unsigned char)*word));
        is_upper = false;
    }
    ret[length] = '\0';
}

static const char *next_word(const char *at, char ret[static 32])
{
    at += strspn(at, " ");
    size_t length = strcspn(at, " []");
    snprintf(ret, 32, "%.*s", (int)length, at);
    return at + length;
}

bool admin_next_argument(const char **rest, struct admin_argument *ret)
{
    const char *at = *rest + strspn(*rest, " ]");
    if (!*at)
        return false;
    *ret = (struct admin_argument){.is_optional = *at == '['};
    at += *at == '[';
    at = next_word(at, ret->word);
    ret->is_flag = ret->word[0] == '-';
    ret->takes_value = !ret->is_flag;
    size_t length = strlen(ret->word);
    if (length > 3 && strcmp(ret->word + length - 3, "...") == 0) {
        ret->repeats = true;
        ret->word[length - 3] = '\0';
    }
    if (ret->is_flag && *at == ' ') {
        char value[32];
        const char *after = next_word(at, value);
        if (value[0] && value[0] != '-' && value[0] != '[') {
            ret->takes_value = true;
            at = after;
        }
    }
    argument_name(ret->word, ret->name);
    *rest = at + (*at == ']');
    return true;
}

bool admin_next_column(const char **rest, struct admin_column *ret)
{
    static const struct { const char *name; enum admin_kind kind; } kinds[] = {
        {"text", ADMIN_KIND_TEXT}, {"count", ADMIN_KIND_COUNT_}, {"bytes", ADMIN_KIND_BYTES},
        {"span", ADMIN_KIND_SPAN}, {"time", ADMIN_KIND_TIME}, {"flag", ADMIN_KIND_FLAG}, {"json", ADMIN_KIND_JSON},
    };
    const char *at = *rest + strspn(*rest, " ");
    size_t length = strcspn(at, ":");
    if (!at[length])
        return false;
    snprintf(ret->name, sizeof(ret->name), "%.*s", (int)length, at);
    at += length + 1;
    length = strcspn(at, " ");
    ret->kind = ADMIN_KIND_TEXT;
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (strlen(kinds[i].name) == length && strncmp(kinds[i].name, at, length) == 0)
            ret->kind = kinds[i].kind;
    *rest = at + length;
    return true;
}

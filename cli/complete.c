/*
 * completion: scripts for three shells, made from the rows of admin_commands.def and own_commands.def.
 */
#include "cli/commands.h"

#include <stdio.h>
#include <sysexits.h>

static const char local_options[] = "--socket --output --columns --no-header --help";

static void print_flags(const struct admin_command *command)
{
    const char *rest = command->synopsis;
    struct admin_argument argument;
    while (admin_next_argument(&rest, &argument))
        if (argument.is_flag)
            printf("%s ", argument.word);
    printf("%s", local_options);
}

/* What may follow --columns and --sort. */
static void print_columns(const struct admin_command *command)
{
    const char *rest = command->columns;
    struct admin_column column;
    for (bool is_first = true; admin_next_column(&rest, &column); is_first = false)
        printf("%s%s", is_first ? "" : " ", column.name);
}

static size_t first_length(const char *words)
{
    return strcspn(words, " ");
}

/* Is it the first row with its first word? */
static bool begins_word(size_t row)
{
    size_t length = first_length(admin_commands[row].words);
    for (size_t i = 0; i < row; i++)
        if (first_length(admin_commands[i].words) == length && memcmp(admin_commands[i].words, admin_commands[row].words, length) == 0)
            return false;
    return true;
}

/* "list) reply="connections groups users" ;;" */
static void complete_second_words(size_t row)
{
    const char *first = admin_commands[row].words;
    size_t length = first_length(first);
    if (!first[length] || !begins_word(row))
        return;
    printf("    %.*s) reply=\"", (int)length, first);
    for (size_t i = row; i < COMMAND_COUNT; i++)
        if (first_length(admin_commands[i].words) == length && memcmp(admin_commands[i].words, first, length) == 0)
            printf("%s%s", i == row ? "" : " ", admin_commands[i].words + length + 1);
    printf("\" ;;\n");
}

static void complete_bash(void)
{
    printf("_rtcctl() {\n    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} columns= front= reply= first=1\n"
           "    while [[ first -lt COMP_CWORD && ${COMP_WORDS[first]} == -* ]]; do\n"
           "        case \"${COMP_WORDS[first]}\" in\n        --socket|--output|-o|--columns) ((first += 2)) ;;\n        *) ((first += 1)) ;;\n"
           "        esac\n    done\n    ((first > COMP_CWORD)) && first=$COMP_CWORD\n"
           "    local line=\"${COMP_WORDS[*]:first:COMP_CWORD-first}\"\n    case \"$line\" in\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("    \"%s\"*) reply=\"", admin_commands[i].words);
        print_flags(&admin_commands[i]);
        printf("\" columns=\"");
        print_columns(&admin_commands[i]);
        printf("\" ;;\n");
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        complete_second_words(i);
    printf("    completion) reply=\"bash zsh fish\" ;;\n    *) reply=\"");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (begins_word(i))
            printf("%.*s ", (int)first_length(admin_commands[i].words), admin_commands[i].words);
    printf("help completion %s\" ;;\n    esac\n    case \"$before\" in\n"
           "    --columns|--sort) reply=$columns front=${word%%\"${word##*[,-]}\"} ;;\n    --filter) reply=$columns ;;\n"
           "    --output|-o) reply=\"table tsv json ndjson\" ;;\n    esac\n"
           "    COMPREPLY=($(compgen -P \"$front\" -W \"$reply\" -- \"${word#\"$front\"}\"))\n}\n"
           "complete -o default -F _rtcctl rtcctl\n", local_options);
}

static void complete_zsh(void)
{
    printf("#compdef rtcctl\nautoload -U +X bashcompinit && bashcompinit\n");
    complete_bash();
}

static void complete_fish_flag(const struct admin_command *command, const struct admin_argument *argument, const char *word)
{
    bool takes_columns = strcmp(argument->name, "columns") == 0 || strcmp(argument->name, "sort") == 0;
    printf("complete -c rtcctl -n '__fish_seen_subcommand_from %s' -l %s%s", word, argument->word + 2, argument->takes_value && !argument->may_lack_value ? " -r" : "");
    if (takes_columns) {
        printf(" -a '");
        print_columns(command);
        printf("'");
    }
    printf("\n");
}

static void complete_fish(void)
{
    printf("complete -c rtcctl -f\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const struct admin_command *command = &admin_commands[i];
        const char *second = strchr(command->words, ' '), *rest = command->synopsis;
        struct admin_argument argument;
        if (second)
            printf("complete -c rtcctl -n __fish_use_subcommand -a %.*s\n"
                   "complete -c rtcctl -n '__fish_seen_subcommand_from %.*s' -a %s -d '%s'\n",
                   (int)(second - command->words), command->words, (int)(second - command->words), command->words,
                   second + 1, command->summary);
        else
            printf("complete -c rtcctl -n __fish_use_subcommand -a %s -d '%s'\n", command->words, command->summary);
        while (admin_next_argument(&rest, &argument))
            if (argument.is_flag)
                complete_fish_flag(command, &argument, second ? second + 1 : command->words);
    }
    printf("complete -c rtcctl -l socket -r\ncomplete -c rtcctl -s o -l output -r -a 'table tsv json ndjson'\n");
}

int command_completion(const struct invocation *invocation)
{
    static const struct { const char *shell; void (*print)(void); } shells[] = {
        {"bash", complete_bash}, {"zsh", complete_zsh}, {"fish", complete_fish},
    };
    for (size_t i = 0; i < COUNT_OF(shells) && invocation->word_count == 2; i++) {
        if (strcmp(shells[i].shell, invocation->words[1]) == 0) {
            shells[i].print();
            return fflush(stdout) == 0 ? 0 : EX_IOERR;
        }
    }
    fprintf(stderr, "Usage: rtcctl completion bash|zsh|fish\n");
    return EX_USAGE;
}

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

static bool begins_alike(const char *words, const char *others)
{
    size_t length = strcspn(words, " ") + 1;
    return strncmp(words, others, length) == 0;
}

/* The first command that begins with the same word as this one, of those with two. */
static size_t first_of_word(size_t command)
{
    size_t first = 0;
    while (!begins_alike(admin_commands[command].words, admin_commands[first].words))
        first++;
    return first;
}

static void print_second_words(size_t command)
{
    const char *words = admin_commands[command].words, *separator = "";
    printf("    %.*s) reply=\"", (int)strcspn(words, " "), words);
    for (size_t i = command; i < COMMAND_COUNT; i++) {
        if (begins_alike(words, admin_commands[i].words)) {
            printf("%s%s", separator, strchr(admin_commands[i].words, ' ') + 1);
            separator = " ";
        }
    }
    printf("\" ;;\n");
}

static void complete_bash(void)
{
    printf("_rtcctl() {\n    local word=${COMP_WORDS[COMP_CWORD]} line=\"${COMP_WORDS[*]:1:COMP_CWORD-1}\" reply=\n"
           "    case \"$line\" in\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        printf("    \"%s\"*) reply=\"", admin_commands[i].words);
        print_flags(&admin_commands[i]);
        printf("\" ;;\n");
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        if (strchr(admin_commands[i].words, ' ') && first_of_word(i) == i)
            print_second_words(i);
    printf("    completion) reply=\"bash zsh fish\" ;;\n    *) reply=\"");
    const char *before = "";
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        size_t length = strcspn(admin_commands[i].words, " ");
        if (strncmp(before, admin_commands[i].words, length) != 0 || before[length] != ' ')
            printf("%.*s ", (int)length, admin_commands[i].words);
        before = admin_commands[i].words;
    }
    printf("help completion %s\" ;;\n    esac\n    COMPREPLY=($(compgen -W \"$reply\" -- \"$word\"))\n}\n"
           "complete -F _rtcctl rtcctl\n", local_options);
}

static void complete_zsh(void)
{
    printf("#compdef rtcctl\nautoload -U +X bashcompinit && bashcompinit\n");
    complete_bash();
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
                printf("complete -c rtcctl -n '__fish_seen_subcommand_from %s' -l %s%s\n",
                       second ? second + 1 : command->words, argument.word + 2, argument.takes_value ? " -r" : "");
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

/*
 * help: from the rows of admin_commands.def and own_commands.def.
 */
#include "cli/commands.h"

#include <stdio.h>
#include <sysexits.h>

enum { LINE_WIDTH = 78 };

static void help_all(void)
{
    printf("Usage: rtcctl COMMAND [ARGUMENT]... [OPTION]...\nDrive a running rtcd.\n\nCommands:\n");
    for (size_t i = 0; i < COMMAND_COUNT; i++)
        printf("  %-18s %s\n", admin_commands[i].words, admin_commands[i].summary);
    printf("  %-18s %s\n  %-18s %s\n", "help [COMMAND]", "Show this, or more about a command.", "completion SHELL",
           "Print completion for bash, zsh or fish.");
    printf("\nOptions:\n"
           "      --socket PATH      the admin socket (default: $RTCD_SOCKET, $XDG_RUNTIME_DIR/rtcd/admin.sock,\n"
           "                         /run/rtcd/admin.sock)\n"
           "  -o, --output FORMAT    table, tsv, json or ndjson (default: table on a terminal, else tsv)\n"
           "      --columns A,B      show these columns\n"
           "      --no-header        show a table without its header\n"
           "  -h, --help             show help; after a command, about that command\n"
           "  -V, --version          show the version of rtcctl\n"
           "\nrtcctl(1) says more.\n");
}

/* To the next blank outside of brackets. */
static size_t word_length(const char *text)
{
    size_t length = 0;
    for (int depth = 0; text[length] && (text[length] != ' ' || depth > 0); length++)
        depth += text[length] == '[' ? 1 : text[length] == ']' ? -1 : 0;
    return length;
}

/* Breaks the text at blanks; lines after the first are indented. */
static void print_wrapped(FILE *out, const char *text, size_t column, int indent)
{
    bool is_first = true;
    while (*text) {
        size_t length = word_length(text);
        if (!is_first && column + 1 + length > LINE_WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            column = (size_t)indent;
            is_first = true;
        }
        column += (size_t)fprintf(out, "%s%.*s", is_first ? "" : " ", (int)length, text);
        is_first = false;
        text += length;
        text += strspn(text, " ");
    }
    fprintf(out, "\n");
}

void help_usage(FILE *out, const struct admin_command *command)
{
    int indent = fprintf(out, "Usage: rtcctl %s%s", command->words, command->synopsis[0] ? " " : "");
    print_wrapped(out, command->synopsis, (size_t)indent, indent);
}

static void help_one(const struct admin_command *command)
{
    struct admin_column column;
    const char *rest = command->columns;
    help_usage(stdout, command);
    printf("\n%s\n", command->summary);
    if (command->details[0]) {
        printf("\n");
        print_wrapped(stdout, command->details, 0, 0);
    }
    for (bool is_first = true; admin_next_column(&rest, &column); is_first = false)
        printf("%s%s", is_first ? "\nColumns: " : ", ", column.name);
    if (command->columns[0])
        printf("\n");
    if (command->access != ADMIN_VIEWER)
        printf("\nNeeds the level %s.\n", admin_access_name(command->access));
}

int command_help(const struct invocation *invocation)
{
    char words[64] = "";
    if (invocation->command) {
        help_one(invocation->command);
        return 0;
    }
    if (invocation->word_count >= 2)
        snprintf(words, sizeof(words), "%s%s%s", invocation->words[1], invocation->word_count > 2 ? " " : "",
                 invocation->word_count > 2 ? invocation->words[2] : "");
    const struct admin_command *command = words[0] ? arguments_command(words) : NULL;
    if (words[0] && !command)
        return arguments_suggest(words);
    if (command)
        help_one(command);
    else
        help_all();
    return invocation->word_count || invocation->wants_help ? 0 : EX_USAGE;
}

/*
 * Token: see token.h. An argument shows in the list of processes; a file does not.
 */
#include "cli/token.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

int token_read(const char *text, char room[static TOKEN_MAX], const char **ret)
{
    *ret = text;
    if (!text || text[0] != '@')
        return 0;
    FILE *file = fopen(text + 1, "re");
    size_t length = file ? fread(room, 1, TOKEN_MAX - 1, file) : 0;
    bool is_read = file && !ferror(file);
    if (!is_read)
        fprintf(stderr, "rtcctl: cannot read %s: %s\n", text + 1, strerror(errno));
    if (file)
        fclose(file);
    if (!is_read)
        return EX_NOINPUT;
    room[length] = '\0';
    room[strcspn(room, " \r\n")] = '\0';
    *ret = room;
    return 0;
}

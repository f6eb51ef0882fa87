/*
 * Token: --token, as it was given or from a file.
 */
#pragma once

enum { TOKEN_MAX = 8192 };

/* The token of `text` ("@FILE" reads the file's first word into `room`); NULL for NULL. 0, or an exit status after saying what is
 * wrong. */
int token_read(const char *text, char room[static TOKEN_MAX], const char **ret);

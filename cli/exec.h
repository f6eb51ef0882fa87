/*
 * Exec: the commands of --exec, which the shell runs for an envelope.
 */
#pragma once

#include "lib/json.h"

/*
 * In the child, after fork: becomes the shell. `input` is its standard input, `output` its standard output (-1: rtcctl's own). Signals
 * are as rtcctl itself found them.
 */
_Noreturn void exec_command(const char *command, struct bytes line, int input, int output);
/* "status 3", "signal 9": how a child ended, by waitpid(). */
void exec_add_end(struct buf *out, int result);

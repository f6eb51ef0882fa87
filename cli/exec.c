/*
 * Exec: see exec.h.
 */
#include "cli/exec.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

static void set_variable(const char *name, struct bytes json)
{
    struct buf scratch = {0}, text = {0};
    struct bytes value;
    if (json_string(json, &scratch, &value) == 0)
        buf_add_bytes(&text, value);
    setenv(name, buf_text(&text), 1);
    buf_done(&scratch);
    buf_done(&text);
}

void exec_command(const char *command, struct bytes line, int input, int output)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    dup2(input, STDIN_FILENO);
    if (output >= 0)
        dup2(output, STDOUT_FILENO);
    set_variable("RTCD_EVENT", json_member(line, "eventName"));
    set_variable("RTCD_CONNECTION", json_member(json_member(line, "from"), "connectionId"));
    execl("/bin/sh", "sh", "-c", command, (char *)NULL);
    _exit(EX_OSERR);
}

void exec_add_end(struct buf *out, int result)
{
    buf_add_text(out, WIFEXITED(result) ? "status " : "signal ");
    buf_add_decimal(out, (uint64_t)(WIFEXITED(result) ? WEXITSTATUS(result) : WTERMSIG(result)));
}

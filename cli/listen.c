/*
 * listen: envelopes from the daemon to standard output, or each to a command's standard input.
 */
#include "cli/commands.h"
#include "cli/exec.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

/* Until it has ended. True: rtcctl is to end, and the command was asked to. */
static bool wait_for_command(pid_t child, int *ret_result)
{
    sigset_t watched;
    bool is_over = false;
    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGCHLD);
    while (waitpid(child, ret_result, WNOHANG) == 0) {
        int number = sigwaitinfo(&watched, NULL);
        if (number != SIGINT && number != SIGTERM)
            continue;
        is_over = true;
        kill(child, SIGTERM);
    }
    return is_over;
}

/* One at a time: the next envelope waits until the command has ended. True: rtcctl is to end. */
static bool run_command(const char *command, struct bytes line)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0) {
        fprintf(stderr, "rtcctl: cannot run the command: %s\n", strerror(errno));
        return false;
    }
    pid_t child = fork();
    if (child == 0)
        exec_command(command, line, ends[0], -1);
    close(ends[0]);
    for (size_t sent = 0; child > 0 && sent < line.length;) {
        ssize_t r = write(ends[1], line.data + sent, line.length - sent);
        if (r < 0)
            break;          /* the command does not read it: its own choice */
        sent += (size_t)r;
    }
    if (write(ends[1], "\n", 1) < 0 && errno != EPIPE)
        fprintf(stderr, "rtcctl: cannot write to the command: %s\n", strerror(errno));
    close(ends[1]);
    int result = 0;
    struct buf end = {0};
    bool is_over = child > 0 && wait_for_command(child, &result);
    if (result != 0 && !is_over) {
        exec_add_end(&end, result);
        fprintf(stderr, "rtcctl: the command ended with %s\n", buf_text(&end));
    }
    buf_done(&end);
    return is_over;
}

/* false: standard output is gone. */
static bool print_line(struct bytes line)
{
    return fwrite(line.data, 1, line.length, stdout) == line.length && putchar('\n') != EOF && fflush(stdout) == 0;
}

static int start(const struct invocation *invocation, struct session *session)
{
    static const char *const skip[] = {"exec", "jobs", NULL};
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    struct reply reply;
    json_begin_object(&json);
    command_add_arguments(invocation, skip, &json);
    json_end_object(&json);
    int status = session_call(session, invocation->command->words, buf_bytes(&data), &reply);
    if (status == 0)
        session_drop_line(session);
    reply_done(&reply);
    buf_done(&data);
    return status;
}

int command_listen(const struct invocation *invocation, struct session *session)
{
    const char *command = arguments_value(invocation, "exec");
    sigset_t stops, child;
    sigemptyset(&stops);
    sigaddset(&stops, SIGINT);
    sigaddset(&stops, SIGTERM);
    sigprocmask(SIG_BLOCK, &stops, NULL);
    sigemptyset(&child);
    sigaddset(&child, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child, NULL);
    int signals = signalfd(-1, &stops, SFD_NONBLOCK | SFD_CLOEXEC);
    int status = start(invocation, session);
    bool is_over = false;
    while (status == 0 && !is_over) {
        struct bytes line;
        struct signalfd_siginfo info;
        while (!is_over && session_line(session, &line)) {
            is_over = command ? run_command(command, line) : !print_line(line);
            session_drop_line(session);
        }
        if (!is_over && read(signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
            is_over = true;
        if (!is_over)
            status = session_turn(session, signals, NULL);
    }
    if (signals >= 0)
        close(signals);
    return status;
}

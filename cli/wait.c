/*
 * wait ready: for a daemon that may not be there yet.
 */
#include "cli/commands.h"
#include "lib/text.h"

#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { AGAIN_MS = 50, ANSWER_MS = 1000 };

static int say_late(void)
{
    static const char text[] = "rtcctl: rtcd is not ready still\n";
    ssize_t r = write(STDERR_FILENO, text, sizeof(text) - 1);
    return r < 0 ? EX_IOERR : EX_TEMPFAIL;
}

static void on_alarm(int signal_number)
{
    _exit(say_late());
}

/* The time runs for all of it: until the socket is there, until the daemon lets us in, until it answers. With 0, a daemon that is ready
 * has time for its answer. */
static int set_alarm(const char *span, bool *ret_is_once)
{
    uint64_t ms;
    if (!span)
        return 0;
    if (text_parse_span(bytes_text(span), &ms) < 0) {
        fprintf(stderr, "rtcctl: --timeout needs a time such as 30s or 5min\n");
        return EX_USAGE;
    }
    *ret_is_once = ms == 0;
    if (ms == 0)
        ms = ANSWER_MS;
    struct itimerval timer = {.it_value = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000 * 1000)}};
    signal(SIGALRM, on_alarm);
    setitimer(ITIMER_REAL, &timer, NULL);
    return 0;
}

/* A daemon that starts makes its socket, in a directory that may not be there either: so it is tried again, some times a second. */
int command_wait_ready(const struct invocation *invocation)
{
    static const struct timespec pause = {.tv_nsec = AGAIN_MS * 1000000L};
    bool is_once = false;
    int status = set_alarm(arguments_value(invocation, "timeout"), &is_once);
    while (status == 0) {
        struct session session;
        struct reply reply = {0};
        status = session_try(&session, invocation->socket);
        if (status == 0)
            status = session_call(&session, "wait ready", (struct bytes){0}, &reply);
        session_close(&session);
        reply_done(&reply);
        if (status != EX_UNAVAILABLE)
            return status;
        if (is_once)
            return say_late();
        nanosleep(&pause, NULL);
        status = 0;
    }
    return status;
}

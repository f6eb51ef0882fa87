/*
 * handle: each envelope from the daemon to a command's standard input, its standard output back as the reply. So many commands at once;
 * what comes beyond them waits here, a bounded number of it.
 */
#include "cli/commands.h"
#include "cli/exec.h"
#include "cli/jobs.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>

enum { WAITING_MAX = 256, JOBS_MAX = 1024 };

/* An envelope for which no command is free. */
struct waiting {
    struct list node;
    uint64_t call, due_ms;
    size_t length;
    char line[];
};

struct handling {
    struct session *session;
    struct jobs jobs;
    uint64_t jobs_max;
    struct list waiting;
    unsigned waiting_count;
    int signals, clock;
    uint64_t asked;                 /* the last request's id */
    bool is_over;
};

static uint64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void handling_reply(struct handling *handling, uint64_t call, struct bytes data, const char *code, const char *message)
{
    struct buf request = {0};
    struct json_writer json = json_writer(&request);
    json_begin_object(&json);
    json_key(&json, "call");
    json_add_uint(&json, call);
    json_key(&json, code ? "error" : "data");
    if (code)
        json_add_text(&json, code);
    else
        json_add_raw(&json, data);
    if (code) {
        json_key(&json, "message");
        json_add_text(&json, message);
    }
    json_end_object(&json);
    session_ask(handling->session, "reply", ++handling->asked, buf_bytes(&request));
    buf_done(&request);
}

/* What went wrong with a command: told here, and to the client, if it waits. */
static void handling_fail(struct handling *handling, uint64_t call, const char *code, const char *message)
{
    fprintf(stderr, "rtcctl: %s\n", message);
    if (call)
        handling_reply(handling, call, (struct bytes){0}, code, message);
}

/* Is the output one JSON value, or nothing? Then the value stands in *ret, without blanks. */
static bool output_read(struct job *job, struct buf *ret, struct buf *ret_problem)
{
    struct json_scan scan;
    struct bytes value;
    struct bytes text = buf_bytes(&job->out);
    while (text.length && memchr(" \t\r\n", text.data[text.length - 1], 4))
        text.length--;
    if (text.length == 0)
        return true;
    json_scan_init(&scan, text);
    if (json_take_all(&scan, JSON_DEPTH_MAX - 2, &value) == 0) {
        json_add_compact(ret, value);
        return true;
    }
    buf_add_text(ret_problem, "the command's output is no JSON value: at byte ");
    buf_add_decimal(ret_problem, (uint64_t)(scan.at - scan.start));
    buf_add_text(ret_problem, ": ");
    buf_add_text(ret_problem, scan.problem);
    return false;
}

/* The command has ended. Of one that was killed for its time the daemon has told the client already. */
static void handling_finish(struct handling *handling, struct job *job, int result)
{
    struct buf value = {0}, problem = {0};
    if (job->is_late) {
        fprintf(stderr, "rtcctl: a command took too long and was killed\n");
    } else if (job->is_too_long) {
        buf_add_text(&problem, "the command's output is longer than ");
        buf_add_decimal(&problem, handling->jobs.output_max);
        buf_add_text(&problem, " bytes");
        handling_fail(handling, job->call, "too-large", buf_text(&problem));
    } else if (result != 0) {
        buf_add_text(&problem, "the command ended with ");
        exec_add_end(&problem, result);
        handling_fail(handling, job->call, "internal", buf_text(&problem));
    } else if (job->call && !output_read(job, &value, &problem)) {
        handling_fail(handling, job->call, "internal", buf_text(&problem));
    } else if (job->call) {
        handling_reply(handling, job->call, buf_bytes(&value), NULL, NULL);
    }
    buf_done(&value);
    buf_done(&problem);
}

/* For whose reply nobody waits any more, no command is run. */
static void handling_run(struct handling *handling, struct bytes line, uint64_t call, uint64_t due_ms)
{
    struct buf problem = {0};
    if (due_ms && due_ms <= now_ms()) {
        fprintf(stderr, "rtcctl: an event waited too long for a command to end (--jobs)\n");
        return;
    }
    int r = jobs_start(&handling->jobs, line, call, due_ms);
    if (r < 0) {
        buf_add_text(&problem, "the command cannot be run: ");
        buf_add_text(&problem, strerror(-r));
        handling_fail(handling, call, "internal", buf_text(&problem));
    }
    buf_done(&problem);
}

static void handling_keep(struct handling *handling, struct bytes line, uint64_t call, uint64_t due_ms)
{
    struct waiting *waiting = malloc(sizeof(*waiting) + line.length);
    if (!waiting) {
        handling_fail(handling, call, "internal", "the command cannot be run: out of memory");
        return;
    }
    *waiting = (struct waiting){.call = call, .due_ms = due_ms, .length = line.length};
    memcpy(waiting->line, line.data, line.length);
    list_append(&handling->waiting, &waiting->node);
    handling->waiting_count++;
}

/* An event; or what the daemon says of a reply that it did not take. */
static void handling_take(struct handling *handling, struct bytes line)
{
    uint64_t call = 0, timeout_ms = 0;
    struct reply reply;
    struct bytes name = json_member(line, "eventName");
    if (json_string_is(name, "rtc.reply") || json_string_is(name, "rtc.error")) {
        if (reply_read(line, &reply) == 0 && reply.code.data)
            reply_fail(&reply);
        reply_done(&reply);
        return;
    }
    bool is_call = json_uint(json_member(line, "call"), &call) == 0 && json_uint(json_member(line, "timeoutMs"), &timeout_ms) == 0;
    uint64_t due_ms = is_call ? now_ms() + timeout_ms : 0;
    if (handling->jobs.count < handling->jobs_max && handling->waiting_count == 0)
        handling_run(handling, line, is_call ? call : 0, due_ms);
    else
        handling_keep(handling, line, is_call ? call : 0, due_ms);
}

static void handling_run_waiting(struct handling *handling)
{
    while (handling->jobs.count < handling->jobs_max && handling->waiting_count) {
        struct waiting *waiting = CONTAINER_OF(handling->waiting.next, struct waiting, node);
        list_remove(&waiting->node);
        handling->waiting_count--;
        handling_run(handling, bytes_of(waiting->line, waiting->length), waiting->call, waiting->due_ms);
        free(waiting);
    }
}

/* Signals, outputs, and time. */
static void handling_look(struct handling *handling)
{
    struct signalfd_siginfo info;
    struct job *job;
    int result;
    while (read(handling->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
        handling->is_over = handling->is_over || info.ssi_signo != SIGCHLD;
    jobs_read(&handling->jobs);
    while ((job = jobs_reap(&handling->jobs, &result))) {
        handling_finish(handling, job, result);
        job_free(job);
    }
    jobs_kill_late(&handling->jobs, now_ms());
}

static void handling_set_clock(const struct handling *handling)
{
    uint64_t due_ms = jobs_due_ms(&handling->jobs);
    struct itimerspec when = {0};
    if (due_ms != UINT64_MAX)
        when.it_value = (struct timespec){.tv_sec = (time_t)(due_ms / 1000), .tv_nsec = (long)(due_ms % 1000 * 1000000) + 1};
    timerfd_settime(handling->clock, TFD_TIMER_ABSTIME, &when, NULL);
}

/* Everything that is not the daemon stands in the one set that session_turn() looks at. */
static int handling_watch(struct handling *handling, int descriptor)
{
    struct epoll_event event = {.events = EPOLLIN};
    return descriptor < 0 || epoll_ctl(handling->jobs.events, EPOLL_CTL_ADD, descriptor, &event) < 0 ? EX_OSERR : 0;
}

static int handling_begin(struct handling *handling, const char *command, size_t output_max)
{
    sigset_t watched;
    struct sigaction hang_up;
    sigemptyset(&watched);
    sigaddset(&watched, SIGINT);
    sigaddset(&watched, SIGTERM);
    sigaddset(&watched, SIGCHLD);
    /* A terminal that goes reaches no other process group than this one; nohup(1) wants none of it. */
    if (sigaction(SIGHUP, NULL, &hang_up) == 0 && hang_up.sa_handler != SIG_IGN)
        sigaddset(&watched, SIGHUP);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    list_init(&handling->waiting);
    int r = jobs_init(&handling->jobs, command, output_max);
    handling->signals = signalfd(-1, &watched, SFD_NONBLOCK | SFD_CLOEXEC);
    handling->clock = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    if (r == 0 && handling_watch(handling, handling->signals) == 0 && handling_watch(handling, handling->clock) == 0)
        return 0;
    fprintf(stderr, "rtcctl: cannot watch over commands: %s\n", strerror(errno));
    return EX_OSERR;
}

static void handling_end(struct handling *handling)
{
    jobs_done(&handling->jobs);
    LIST_EACH(node, &handling->waiting)
        free(CONTAINER_OF(node, struct waiting, node));
    if (handling->signals >= 0)
        close(handling->signals);
    if (handling->clock >= 0)
        close(handling->clock);
}

static int handling_loop(struct handling *handling)
{
    int status = 0;
    while (status == 0 && !handling->is_over) {
        struct bytes line;
        while (handling->waiting_count < WAITING_MAX && session_line(handling->session, &line)) {
            handling_take(handling, line);
            session_drop_line(handling->session);
        }
        handling->session->is_paused = handling->waiting_count >= WAITING_MAX;
        handling_set_clock(handling);
        status = session_turn(handling->session, handling->jobs.events, NULL);
        handling_look(handling);
        handling_run_waiting(handling);
    }
    return status;
}

/* How many commands at once; 0: what was given is no such number. */
static uint64_t handling_read_jobs(const struct invocation *invocation)
{
    const char *given = arguments_value(invocation, "jobs");
    uint64_t jobs = 0;
    if (!given)
        return (uint64_t)MAX(1L, sysconf(_SC_NPROCESSORS_ONLN));
    if (json_uint(bytes_text(given), &jobs) < 0 || jobs > JOBS_MAX)
        jobs = 0;
    if (jobs == 0)
        fprintf(stderr, "rtcctl: --jobs needs a whole number from 1 to %d\n", JOBS_MAX);
    return jobs;
}

int command_handle(const struct invocation *invocation, struct session *session)
{
    static const char *const skip[] = {"exec", "jobs", NULL};
    const char *command = arguments_value(invocation, "exec");
    struct handling handling = {.session = session, .jobs_max = handling_read_jobs(invocation)};
    struct buf data = {0};
    struct json_writer json = json_writer(&data);
    struct reply reply;
    uint64_t output_max = 0;
    if (!command)
        return command_listen(invocation, session);
    if (handling.jobs_max == 0)
        return EX_USAGE;
    json_begin_object(&json);
    command_add_arguments(invocation, skip, &json);
    json_end_object(&json);
    int status = session_call(session, "handle", buf_bytes(&data), &reply);
    if (status == 0 && json_uint(json_member(reply.data, "replyBytes"), &output_max) == 0)
        session_drop_line(session);
    reply_done(&reply);
    buf_done(&data);
    if (status)
        return status;
    status = handling_begin(&handling, command, output_max);
    if (status == 0)
        status = handling_loop(&handling);
    handling_end(&handling);
    return status;
}

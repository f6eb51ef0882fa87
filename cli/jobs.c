/*
 * Jobs: see jobs.h.
 */
#include "cli/jobs.h"

#include "cli/exec.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024, EVENTS_PER_READ = 64 };

int jobs_init(struct jobs *jobs, const char *command, size_t output_max)
{
    *jobs = (struct jobs){.command = command, .output_max = output_max, .events = epoll_create1(EPOLL_CLOEXEC)};
    list_init(&jobs->all);
    return jobs->events < 0 ? -errno : 0;
}

/* It leaves the set by name: a child on its way to its command may have the descriptor still, which would keep it there. */
static void job_close(const struct jobs *jobs, struct job *job)
{
    if (job->output < 0)
        return;
    epoll_ctl(jobs->events, EPOLL_CTL_DEL, job->output, NULL);
    close(job->output);
    job->output = -1;
}

void jobs_done(struct jobs *jobs)
{
    LIST_EACH(node, &jobs->all) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        kill(-job->pid, SIGTERM);
        list_remove(node);
        job_close(jobs, job);
        job_free(job);
    }
    if (jobs->events >= 0)
        close(jobs->events);
}

void job_free(struct job *job)
{
    buf_done(&job->out);
    free(job);
}

/* The envelope as a file, so that nobody waits for a command that does not read it. Negative errno. */
static int envelope_file(struct bytes line)
{
    int file = memfd_create("envelope", MFD_CLOEXEC);
    for (size_t written = 0; file >= 0 && written < line.length;) {
        ssize_t r = write(file, line.data + written, line.length - written);
        if (r < 0) {
            int error = errno;
            close(file);
            return -error;
        }
        written += (size_t)r;
    }
    if (file < 0)
        return -errno;
    if (write(file, "\n", 1) == 1 && lseek(file, 0, SEEK_SET) == 0)
        return file;
    int error = errno;
    close(file);
    return -error;
}

/* Only this end does not block: the other one is the command's. */
static int output_pipe(int ret[2])
{
    if (pipe2(ret, O_CLOEXEC) < 0)
        return -errno;
    fcntl(ret[0], F_SETFL, O_NONBLOCK);
    return 0;
}

static int job_run(struct jobs *jobs, struct job *job, struct bytes line)
{
    int ends[2], r = output_pipe(ends);
    if (r < 0)
        return r;
    job->output = ends[0];
    int input = envelope_file(line);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = job};
    if (input < 0)
        r = input;
    else if (epoll_ctl(jobs->events, EPOLL_CTL_ADD, job->output, &event) < 0 || (job->pid = fork()) < 0)
        r = -errno;
    if (r == 0 && job->pid == 0) {
        setpgid(0, 0);
        exec_command(jobs->command, line, input, ends[1]);
    }
    /* Here as well: it may be killed before it has come so far. */
    if (r == 0)
        setpgid(job->pid, job->pid);
    if (input >= 0)
        close(input);
    close(ends[1]);
    return r;
}

int jobs_start(struct jobs *jobs, struct bytes line, uint64_t call, uint64_t due_ms)
{
    struct job *job = calloc(1, sizeof(*job));
    if (!job)
        return -ENOMEM;
    *job = (struct job){.output = -1, .call = call, .due_ms = due_ms};
    int r = job_run(jobs, job, line);
    if (r < 0) {
        job_close(jobs, job);
        job_free(job);
        return r;
    }
    list_append(&jobs->all, &job->node);
    jobs->count++;
    return 0;
}

/* Up to where there is nothing more now. */
static void job_read(const struct jobs *jobs, struct job *job)
{
    while (job->output >= 0) {
        unsigned char *room = buf_room(&job->out, READ_BYTES);
        ssize_t got = room ? read(job->output, room, READ_BYTES) : 0;
        if (got < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        job->out.length += got > 0 ? (size_t)got : 0;
        /* Nobody's: it is only taken out of the command's way, which may write on and on. */
        if (got > 0 && !job->call) {
            buf_clear(&job->out);
            return;
        }
        job->is_too_long = job->out.length > jobs->output_max;
        if (job->is_too_long)
            kill(-job->pid, SIGKILL);
        if (job->is_too_long || got <= 0)
            job_close(jobs, job);
    }
}

void jobs_read(struct jobs *jobs)
{
    struct epoll_event events[EVENTS_PER_READ];
    int count = epoll_wait(jobs->events, events, EVENTS_PER_READ, 0);
    for (int i = 0; i < count; i++)
        if (events[i].data.ptr)
            job_read(jobs, events[i].data.ptr);
}

struct job *jobs_reap(struct jobs *jobs, int *ret_result)
{
    pid_t pid;
    while ((pid = waitpid(-1, ret_result, WNOHANG)) > 0) {
        LIST_EACH(node, &jobs->all) {
            struct job *job = CONTAINER_OF(node, struct job, node);
            if (job->pid != pid)
                continue;
            job_read(jobs, job);
            job_close(jobs, job);
            list_remove(node);
            jobs->count--;
            return job;
        }
    }
    return NULL;
}

uint64_t jobs_due_ms(const struct jobs *jobs)
{
    uint64_t due_ms = UINT64_MAX;
    LIST_EACH(node, &jobs->all) {
        const struct job *job = CONTAINER_OF(node, struct job, node);
        if (job->due_ms && !job->is_late)
            due_ms = MIN(due_ms, job->due_ms);
    }
    return due_ms;
}

void jobs_kill_late(struct jobs *jobs, uint64_t now_ms)
{
    LIST_EACH(node, &jobs->all) {
        struct job *job = CONTAINER_OF(node, struct job, node);
        if (!job->due_ms || job->due_ms > now_ms || job->is_late)
            continue;
        job->is_late = true;
        kill(-job->pid, SIGKILL);
    }
}

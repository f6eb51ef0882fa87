/*
 * Jobs: commands that run at the same time, each with one envelope on its standard input, until they end or their time is over. Knows
 * no daemon.
 */
#pragma once

#include "lib/buf.h"
#include "lib/list.h"

#include <sys/types.h>

struct jobs {
    const char *command;
    struct list all;
    unsigned count;
    int events;                     /* readable, when jobs_read() has something to do */
    size_t output_max;              /* a job with a longer output is killed */
};

struct job {
    struct list node;
    pid_t pid;                      /* also its process group */
    int output;
    struct buf out;
    bool is_too_long, is_late;      /* why it was killed */
    uint64_t call;                  /* the daemon's number; 0: nobody waits for a reply */
    uint64_t due_ms;                /* 0: it may take its time */
};

MUST_CHECK int jobs_init(struct jobs *jobs, const char *command, size_t output_max);        /* negative errno */
void jobs_done(struct jobs *jobs);          /* asks those that run to end (SIGTERM) */

MUST_CHECK int jobs_start(struct jobs *jobs, struct bytes line, uint64_t call, uint64_t due_ms);   /* negative errno */
/* Takes what they have written. */
void jobs_read(struct jobs *jobs);
/* One that has ended, with how (waitpid()) and all of its output; the caller frees it. NULL: there is none. */
struct job *jobs_reap(struct jobs *jobs, int *ret_result);
void job_free(struct job *job);

uint64_t jobs_due_ms(const struct jobs *jobs);                  /* UINT64_MAX: none has an end to its time */
void jobs_kill_late(struct jobs *jobs, uint64_t now_ms);

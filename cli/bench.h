/*
 * Bench: what the parts of `rtcctl bench` tell each other: what to do, and what came of it.
 */
#pragma once

#include "cli/arguments.h"
#include "cli/histogram.h"

#include <stdio.h>

enum { BENCH_DATA_MIN = 64, BENCH_DATA_MAX = 1024 * 1024, BENCH_PUBLISHERS_MAX = 64, BENCH_CONNECTIONS_MAX = 1000000 };

struct bench_settings {
    const char *url;
    const char *group;                  /* its name */
    const char *token;                  /* NULL: none */
    uint64_t connections, publishers;
    uint64_t rate;                      /* messages a second; 0: as many as go */
    uint64_t window;                    /* then: messages under way */
    uint64_t data_bytes;
    uint64_t duration_ms;
    bool is_msgpack;
    char group_room[32];
};

/* The first thing that went wrong: the exit status (0: nothing has), and a sentence without its full stop. */
struct bench_failure {
    int status;
    char text[640];
};
/* Keeps the first. */
void bench_fail(struct bench_failure *failure, int status, const char *format, ...) PRINTF_LIKE(3, 4);

struct bench_result {
    uint64_t opened, connections_lost;
    uint64_t open_ns;                   /* until all were open */
    uint64_t published, unsent;         /* unsent: due in time, but the daemon did not take them */
    uint64_t publish_ns;                /* from the first to the end of publishing */
    uint64_t expected, delivered;       /* each message to each connection; delivered ones once */
    uint64_t deliver_ns;                /* from the first publish to the last delivery */
    uint64_t doubled, late;
    uint64_t received_bytes;            /* from publish to delivery, with framing */
    uint64_t cpu_ns, cpu_wait_ns;       /* rtcctl's own, while it published: used, and waited for */
    bool was_interrupted;
    struct bench_failure failure;
    struct histogram latency_ns;
};

/* Opens, publishes, counts. Everything that goes wrong is in ret->failure. */
void bench_run(const struct bench_settings *settings, struct bench_result *ret);

/* For people or for programs, as the invocation says. 0, or EX_IOERR. */
MUST_CHECK int bench_report(const struct invocation *invocation, const struct bench_settings *settings,
                            const struct bench_result *result);

/*
 * Measure: clocks, CPU time and memory of a server's processes, and percentiles. What the load generator reports is made of
 * these.
 */
#pragma once

#include "lib/base.h"

#include <sys/types.h>

enum { MEASURE_PROCESSES_MAX = 8 };

/* The processes of one server. */
struct servers {
    pid_t pids[MEASURE_PROCESSES_MAX];
    unsigned count;
};

uint64_t measure_now_ns(void);                          /* CLOCK_MONOTONIC */

/* CPU time so far, in nanoseconds (proc(5), task/TID/schedstat): of all threads together, and of each thread; and how long
 * they were ready to run while others had the processor. */
enum { MEASURE_THREADS_MAX = 64 };
struct cpu {
    uint64_t all_ns, waited_ns;
    uint64_t thread_ns[MEASURE_THREADS_MAX];
};
struct cpu measure_cpu(const struct servers *servers);
static inline uint64_t measure_cpu_ns(const struct servers *servers) { return measure_cpu(servers).all_ns; }
/* What the busiest thread has used since `before`. */
uint64_t measure_busiest_ns(const struct servers *servers, const struct cpu *before);

/* Resident memory in bytes (proc(5), smaps_rollup). */
uint64_t measure_rss_bytes(const struct servers *servers);

/* The value that `share` (0 to 1) of the samples do not exceed. Sorts them. */
uint64_t measure_percentile(uint64_t *samples, size_t count, double share);

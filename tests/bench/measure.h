/*
 * Measure: clocks, a process's CPU time and memory, and percentiles. What the load generator reports is made of these.
 */
#pragma once

#include "lib/base.h"

#include <sys/types.h>

uint64_t measure_now_ns(void);                          /* CLOCK_MONOTONIC */
/* CPU time of all threads of a process so far, in nanoseconds (proc(5), task/TID/schedstat); 0: no such process. */
uint64_t measure_cpu_ns(pid_t process);
/* Resident memory in bytes (proc(5), smaps_rollup); 0: no such process. */
uint64_t measure_rss_bytes(pid_t process);

/* The value that `share` (0 to 1) of the samples do not exceed. Sorts them. */
uint64_t measure_percentile(uint64_t *samples, size_t count, double share);

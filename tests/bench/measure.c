/*
 * Measure: see measure.h.
 */
#include "tests/bench/measure.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

uint64_t measure_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t first_number(const char *path, const char *format)
{
    char line[256];
    uint64_t value = 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file) && sscanf(line, format, &value) != 1)
        ;
    fclose(file);
    return value;
}

static void add_threads(pid_t process, struct cpu *cpu, unsigned *thread_count)
{
    char path[300];
    snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    if (!threads)
        return;
    /* They come in order of age, so a thread has the same place the next time. */
    for (struct dirent *thread; (thread = readdir(threads)); ) {
        if (thread->d_name[0] == '.')
            continue;
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)process, thread->d_name);
        uint64_t ns = first_number(path, "%" SCNu64);
        cpu->all_ns += ns;
        cpu->waited_ns += first_number(path, "%*u %" SCNu64);
        if (*thread_count < MEASURE_THREADS_MAX)
            cpu->thread_ns[(*thread_count)++] = ns;
    }
    closedir(threads);
}

struct cpu measure_cpu(const struct servers *servers)
{
    struct cpu cpu = {0};
    unsigned thread_count = 0;
    for (unsigned i = 0; i < servers->count; i++)
        add_threads(servers->pids[i], &cpu, &thread_count);
    return cpu;
}

uint64_t measure_busiest_ns(const struct servers *servers, const struct cpu *before)
{
    struct cpu now = measure_cpu(servers);
    uint64_t most = 0;
    for (unsigned i = 0; i < MEASURE_THREADS_MAX; i++) {
        uint64_t used = now.thread_ns[i] - before->thread_ns[i];
        most = now.thread_ns[i] >= before->thread_ns[i] && used > most ? used : most;
    }
    return most;
}

uint64_t measure_rss_bytes(const struct servers *servers)
{
    char path[64];
    uint64_t sum = 0;
    for (unsigned i = 0; i < servers->count; i++) {
        snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)servers->pids[i]);
        sum += first_number(path, "Rss: %" SCNu64) * 1024;
    }
    return sum;
}

static int compare(const void *a, const void *b)
{
    const uint64_t *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

uint64_t measure_percentile(uint64_t *samples, size_t count, double share)
{
    if (count == 0)
        return 0;
    qsort(samples, count, sizeof(*samples), compare);
    size_t index = (size_t)(share * (double)count);
    return samples[MIN(index, count - 1)];
}

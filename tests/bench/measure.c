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

uint64_t measure_cpu_ns(pid_t process)
{
    char path[300];
    uint64_t sum = 0;
    snprintf(path, sizeof(path), "/proc/%d/task", (int)process);
    DIR *threads = opendir(path);
    if (!threads)
        return 0;
    for (struct dirent *thread; (thread = readdir(threads)); ) {
        snprintf(path, sizeof(path), "/proc/%d/task/%s/schedstat", (int)process, thread->d_name);
        if (thread->d_name[0] != '.')
            sum += first_number(path, "%" SCNu64);
    }
    closedir(threads);
    return sum;
}

uint64_t measure_rss_bytes(pid_t process)
{
    char path[64];
    snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", (int)process);
    return first_number(path, "Rss: %" SCNu64) * 1024;
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

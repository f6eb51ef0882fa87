/*
 * The whole life of connections with memory that fails: plays each input of the fuzz target's corpus again and again, each time
 * with another allocation of its steps failing. Whatever that does to a client, the target's own checks hold afterwards: nobody
 * and nothing is left.
 */
#include "tests/fuzz/fuzz_connection.h"
#include "tests/scarce/scarce.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

enum { INPUT_MAX = 1 << 20, RUNS_EACH = 400 };

static unsigned number;
static bool has_failed;

static void on_steps(bool begin)
{
    if (begin)
        scarce_begin(number);
    else
        has_failed = scarce_end();
}

/* How often one failed. */
static unsigned play(const unsigned char *data, size_t size)
{
    unsigned count = 0, step, failed = 0;
    /* First how many there are: by halving what is left. */
    unsigned above = 1 << 20;
    while (count + 1 < above) {
        number = count + (above - count) / 2;
        LLVMFuzzerTestOneInput(data, size);
        if (has_failed)
            count = number;
        else
            above = number;
    }
    step = 1 + count / RUNS_EACH;
    for (number = 1; number <= count; number += step) {
        LLVMFuzzerTestOneInput(data, size);
        failed += has_failed;
    }
    return failed;
}

int main(int argc, char **argv)
{
    static unsigned char data[INPUT_MAX];
    unsigned failed = 0;
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    if (!directory) {
        fprintf(stderr, "the corpus %s cannot be opened\n", argc == 2 ? argv[1] : "(none)");
        return 1;
    }
    fuzz_connection_on_steps = on_steps;
    for (struct dirent *entry; (entry = readdir(directory));) {
        char path[4096];
        snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        FILE *file = entry->d_name[0] == '.' ? NULL : fopen(path, "rb");
        if (!file)
            continue;
        failed += play(data, fread(data, 1, sizeof(data), file));
        fclose(file);
    }
    closedir(directory);
    printf("%u allocations failed\n", failed);
    return failed < 1000;
}

/*
 * Replay: runs a fuzz target over every file of its corpus, for builds without libFuzzer.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int replay_file(const char *directory, const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", directory, name);
    FILE *file = fopen(path, "rb");
    if (!file)
        return 0;
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    /* Just as large as the input, so that a sanitizer sees one byte too many. */
    unsigned char *data = malloc(size > 0 ? (size_t)size : 1);
    int is_read = data && fread(data, 1, (size_t)size, file) == (size_t)size;
    if (is_read)
        LLVMFuzzerTestOneInput(data, (size_t)size);
    free(data);
    fclose(file);
    return is_read;
}

int main(int argc, char **argv)
{
    DIR *directory = argc == 2 ? opendir(argv[1]) : NULL;
    if (!directory) {
        fprintf(stderr, "the corpus %s cannot be opened\n", argc == 2 ? argv[1] : "(none)");
        return 1;
    }
    int count = 0;
    for (struct dirent *entry; (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            count += replay_file(argv[1], entry->d_name);
    closedir(directory);
    printf("%d inputs\n", count);
    return count == 0;
}

/*
 * Replay: runs a fuzz target over every file of its corpus, for builds without libFuzzer: whole, and each of its beginnings,
 * always so that the byte behind the last is on a page that cannot be read. Then over things nested a million deep. All that
 * on the smallest of stacks.
 */
#include <dirent.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __SANITIZE_ADDRESS__
enum { STACK_BYTES = 1024 * 1024 };     /* its frames are much larger */
#else
enum { STACK_BYTES = 128 * 1024 };
#endif
enum { INPUT_MAX = 8 * 1024 * 1024, BEGINNINGS_MAX = 4096, NESTED = 1000000 };

static const char *corpus;
static unsigned char *room_end;         /* where the page begins that cannot be read */
static int count;

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size);

static int room_open(void)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    unsigned char *room = mmap(NULL, INPUT_MAX + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (room == MAP_FAILED || mprotect(room + INPUT_MAX, page, PROT_NONE) < 0)
        return -1;
    room_end = room + INPUT_MAX;
    return 0;
}

static void replay(const unsigned char *data, size_t size)
{
    memmove(room_end - size, data, size);
    LLVMFuzzerTestOneInput(room_end - size, size);
}

static void replay_file(const char *name)
{
    char path[4096];
    snprintf(path, sizeof(path), "%s/%s", corpus, name);
    FILE *file = fopen(path, "rb");
    unsigned char *data = malloc(INPUT_MAX);
    size_t size = file && data ? fread(data, 1, INPUT_MAX, file) : 0;
    size_t step = 1 + size / BEGINNINGS_MAX;
    for (size_t length = 0; length < size; length += step)
        replay(data, length);
    if (file) {
        replay(data, size);
        fclose(file);
        count++;
    }
    free(data);
}

/* The beginning of what would be as deep as that. */
static void replay_nested(const char *one, size_t size)
{
    unsigned char *data = malloc(NESTED * size);
    for (size_t i = 0; data && i < NESTED; i++)
        memcpy(data + i * size, one, size);
    if (data)
        replay(data, NESTED * size);
    free(data);
}

static void *replay_all(void *argument)
{
    DIR *directory = opendir(corpus);
    for (struct dirent *entry; directory && (entry = readdir(directory));)
        if (entry->d_name[0] != '.')
            replay_file(entry->d_name);
    if (directory)
        closedir(directory);
    replay_nested("[", 1);
    replay_nested("{\"a\":", 5);
    replay_nested("\x91", 1);
    replay_nested("\x81\xa1" "a", 3);
    replay_nested("\xdc\x00\x01", 3);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    pthread_attr_t attributes;
    corpus = argc == 2 ? argv[1] : "(none)";
    if (room_open() < 0 || pthread_attr_init(&attributes) || pthread_attr_setstacksize(&attributes, STACK_BYTES)
        || pthread_create(&thread, &attributes, replay_all, NULL) || pthread_join(thread, NULL)) {
        perror("replay");
        return 1;
    }
    if (count == 0)
        fprintf(stderr, "the corpus %s cannot be opened\n", corpus);
    printf("%d inputs, whole and in part\n", count);
    return count == 0;
}

/*
 * stall PID NAME: stops the one thread of that name, and holds it until killed. What a worker stuck in an endless
 * loop looks like to the others.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static int find_thread(const char *process, const char *name)
{
    char path[300], comm[32];
    snprintf(path, sizeof(path), "/proc/%s/task", process);
    DIR *tasks = opendir(path);
    int found = 0;
    for (struct dirent *entry; tasks && !found && (entry = readdir(tasks));) {
        snprintf(path, sizeof(path), "/proc/%s/task/%s/comm", process, entry->d_name);
        FILE *file = fopen(path, "r");
        if (file && fgets(comm, sizeof(comm), file) && strncmp(comm, name, strlen(name)) == 0)
            found = atoi(entry->d_name);
        if (file)
            fclose(file);
    }
    if (tasks)
        closedir(tasks);
    return found;
}

int main(int argc, char **argv)
{
    int thread = argc == 3 ? find_thread(argv[1], argv[2]) : 0;
    if (!thread || ptrace(PTRACE_SEIZE, thread, NULL, NULL) < 0 || ptrace(PTRACE_INTERRUPT, thread, NULL, NULL) < 0) {
        perror("stall");
        return 1;
    }
    if (waitpid(thread, NULL, __WALL) != thread)
        return 1;
    puts("stalled");
    fflush(stdout);
    while (waitpid(thread, NULL, __WALL) == thread)
        ;
    return 0;
}

/*
 * Config files: any text is read or refused with a reason, never worse.
 */
#include "daemon/config/config_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    char path[64];
    struct config *config = NULL;
    struct buf problems = {0};
    int file = memfd_create("config", MFD_CLOEXEC);
    if (file < 0 || write(file, data, size) != (ssize_t)size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    int r = config_load(path, NULL, 0, &config, &problems);
    if ((r < 0) != (problems.length > 0) || (r == 0) != (config != NULL))
        abort();
    config_unref(config);
    buf_done(&problems);
    close(file);
    return 0;
}

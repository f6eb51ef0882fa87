/*
 * File: see file.h.
 */
#include "lib/file.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE_BYTES = 64 * 1024 };

int file_read_all(int descriptor, struct buf *out)
{
    while (true) {
        unsigned char *room = buf_room(out, PIECE_BYTES);
        ssize_t length = room ? read(descriptor, room, PIECE_BYTES) : -1;
        if (!room)
            return -ENOMEM;
        if (length < 0 && errno != EINTR)
            return -errno;
        if (length == 0)
            return 0;
        out->length += length > 0 ? (size_t)length : 0;
    }
}

int file_sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    assert(slash);
    snprintf(folder, sizeof(folder), "%.*s", (int)MAX(slash - path, 1), path);
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r = descriptor < 0 || fsync(descriptor) < 0 ? -errno : 0;
    if (descriptor >= 0)
        close(descriptor);
    return r;
}

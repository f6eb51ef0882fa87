/*
 * File: see file.h.
 */
#include "lib/file.h"

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

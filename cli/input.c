/*
 * Input: see input.h.
 */
#include "cli/input.h"

#include "lib/json.h"

#include <fcntl.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

enum { INPUT_MAX = 64 * 1024 * 1024 };

static int slurp(int descriptor, const char *name, struct buf *ret)
{
    while (ret->length <= INPUT_MAX) {
        unsigned char *room = buf_room(ret, 65536);
        ssize_t got = room ? read(descriptor, room, 65536) : -1;
        if (got == 0)
            return 0;
        if (got < 0) {
            fprintf(stderr, "rtcctl: cannot read %s: %s\n", name, strerror(room ? errno : ENOMEM));
            return EX_IOERR;
        }
        ret->length += (size_t)got;
    }
    fprintf(stderr, "rtcctl: %s has more than %d bytes\n", name, INPUT_MAX);
    return EX_DATAERR;
}

int input_read_file(const char *path, struct buf *ret)
{
    int descriptor = open(path, O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) {
        fprintf(stderr, "rtcctl: cannot open %s: %s\n", path, strerror(errno));
        return EX_NOINPUT;
    }
    int status = slurp(descriptor, path, ret);
    close(descriptor);
    return status;
}

int input_read(const char *text, struct buf *ret)
{
    if (strcmp(text, "-") == 0)
        return slurp(STDIN_FILENO, "standard input", ret);
    if (text[0] == '@')
        return input_read_file(text + 1, ret);
    buf_add_text(ret, text);
    return 0;
}

int input_check_json(struct bytes data, struct buf *ret)
{
    struct json_scan scan;
    struct bytes value;
    json_scan_init(&scan, data);
    if (json_take_all(&scan, JSON_DEPTH_MAX - 2, &value) < 0) {
        fprintf(stderr, "rtcctl: DATA is not JSON: at byte %zu: %s. A string needs its quotes: '\"text\"'\n",
                (size_t)(scan.at - scan.start), scan.problem);
        return EX_DATAERR;
    }
    json_add_compact(ret, value);
    return 0;
}

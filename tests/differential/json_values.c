/*
 * JSON values: reads texts (a length in four bytes, little end first, then so many bytes) from standard input, and writes for each
 * what the scanner makes of it: a length and the value as MessagePack; length 0: refused. test_json.py compares it with
 * Python's own.
 */
#include "lib/json.h"
#include "lib/transcode.h"

#include <stdio.h>
#include <stdlib.h>

static int put(struct bytes bytes)
{
    unsigned char length[4];
    for (unsigned i = 0; i < 4; i++)
        length[i] = (unsigned char)(bytes.length >> (8 * i));
    return fwrite(length, 1, 4, stdout) == 4 && fwrite(bytes.data, 1, bytes.length, stdout) == bytes.length ? 0 : -EIO;
}

/* In memory of just its size, so that a sanitizer sees one byte too many. */
static int answer(const unsigned char *text, size_t length)
{
    struct json_scan scan;
    struct bytes whole;
    struct buf out = {0};
    json_scan_init(&scan, bytes_of(text, length));
    bool is_taken = json_take_all(&scan, JSON_DEPTH_MAX, &whole) == 0;
    if (is_taken && transcode_to_msgpack(&out, whole, NULL) < 0) {
        fprintf(stderr, "the scanner took %.*s, and it could not be written as MessagePack\n", (int)length, (const char *)text);
        buf_done(&out);
        return -EBADMSG;
    }
    int r = put(is_taken ? buf_bytes(&out) : BYTES(""));
    buf_done(&out);
    return r;
}

int main(void)
{
    unsigned char head[4];
    while (fread(head, 1, 4, stdin) == 4) {
        size_t length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
        unsigned char *text = malloc(length ? length : 1);
        int r = text && fread(text, 1, length, stdin) == length ? answer(text, length) : -EIO;
        free(text);
        if (r < 0)
            return 1;
    }
    return fflush(stdout) == 0 ? 0 : 1;
}

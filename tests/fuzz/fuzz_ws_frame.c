/*
 * WebSocket frames: the same bytes give the same events, whole and in pieces (the first byte says how they are cut).
 */
#include "lib/ws_frame.h"

#include <stdlib.h>

struct outcome { enum decode last; uint64_t hash; };

/* Control frames come whole; of data only the bytes count, since pieces may be cut anywhere. */
static struct outcome feed(const unsigned char *data, size_t size, size_t step, bool takes_packed)
{
    struct ws_reader reader;
    struct ws_piece piece;
    struct fault fault;
    struct buf in = {0};
    struct outcome outcome = {DECODE_MORE, 14695981039346656037u};
    ws_reader_init(&reader, true, 4096, 64);
    reader.takes_packed = takes_packed;
    for (size_t at = 0; at < size && outcome.last != DECODE_BAD; at += MIN(step, size - at)) {
        size_t used;
        buf_add(&in, data + at, MIN(step, size - at));
        while (in.length && (outcome.last = ws_read(&reader, in.data, in.length, &used, &piece, &fault)) == DECODE_DONE) {
            for (size_t i = 0; i < piece.length; i++)
                outcome.hash = (outcome.hash ^ piece.data[i]) * 1099511628211u;
            if (piece.is_last)
                outcome.hash = (outcome.hash ^ (piece.opcode + 256u)) * 1099511628211u;
            buf_consume(&in, used);
        }
        if (outcome.last == DECODE_MORE && in.length > WS_HEADER_MAX + WS_CONTROL_MAX)
            abort();
    }
    buf_done(&in);
    return outcome;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (size < 2)
        return 0;
    struct outcome whole = feed(data + 1, size - 1, size, data[0] & 16),
        pieces = feed(data + 1, size - 1, data[0] % 16 + 1u, data[0] & 16);
    if ((whole.last == DECODE_BAD) != (pieces.last == DECODE_BAD) || (whole.last != DECODE_BAD && whole.hash != pieces.hash))
        abort();
    return 0;
}

/*
 * Envelopes: whatever either codec takes, both can write, and read again as the same event.
 */
#include "lib/envelope.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    for (enum codec_id from = 0; from < CODEC_COUNT; from++) {
        struct buf scratch = {0};
        struct envelope envelope;
        struct fault fault = {0};
        if (codecs[from]->decode(bytes_of(data, size), &scratch, &envelope, &fault) != DECODE_DONE) {
            if (fault.id == FAULT_NONE)
                abort();
            buf_done(&scratch);
            continue;
        }
        for (enum codec_id to = 0; to < CODEC_COUNT; to++) {
            struct buf out = {0}, room = {0};
            struct envelope again;
            if (codecs[to]->encode(&out, &envelope) == 0
                && (codecs[to]->decode(buf_bytes(&out), &room, &again, &fault) != DECODE_DONE
                    || !bytes_equal(again.event_name, envelope.event_name) || memchr(out.data, '\n', to == CODEC_JSON ? out.length : 0)))
                abort();
            buf_done(&out);
            buf_done(&room);
        }
        buf_done(&scratch);
    }
    return 0;
}

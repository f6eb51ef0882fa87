/*
 * Fuzzes the records of the spool file: what is taken off is within the text, and is the same once it is written again.
 */
#include "daemon/hook/spool_record.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes rest = bytes_of(data, size);
    struct spool_record record;
    struct buf again = {0};
    struct bytes before = rest;
    while (spool_record_take(&rest, &record) == DECODE_DONE) {
        buf_clear(&again);
        spool_record_add(&again, &record);
        struct bytes taken = bytes_of(before.data, before.length - rest.length);
        if (buf_status(&again) == 0 && !bytes_equal(buf_bytes(&again), taken))
            abort();
        before = rest;
    }
    if (!bytes_equal(before, rest))
        abort();
    buf_done(&again);
    return 0;
}

/*
 * Store records: the first byte says which kind, the rest is one without its checksum. What is read is written the same again.
 */
#include "daemon/store/store_record.h"

#include "daemon/core/message.h"

#include <stdlib.h>

static void expect_same(const struct buf *written, struct bytes record)
{
    if (buf_status(written) == 0 && !bytes_equal(buf_bytes(written), record))
        abort();
}

static void try_group(struct bytes record)
{
    struct store_group_record group;
    struct buf again = {0};
    if (store_read_group(record, &group) == 0) {
        store_write_group(&group, &again);
        expect_same(&again, record);
    }
    buf_done(&again);
}

static void try_message(struct bytes record)
{
    SCOPED(message) message = NULL;
    struct buf again = {0};
    uint64_t at_ms;
    if (store_read_message(record, BYTES("g"), 7, &message, &at_ms) == 0) {
        store_write_message(message, at_ms, &again);
        expect_same(&again, record);
    }
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    struct buf record = {0};
    if (size == 0)
        return 0;
    buf_add(&record, data + 1, size - 1);
    try_group(buf_bytes(&record));
    try_message(buf_bytes(&record));
    store_seal(&record, 0);
    if (data[0] % 2)
        try_group(buf_bytes(&record));
    else
        try_message(buf_bytes(&record));
    buf_done(&record);
    return 0;
}

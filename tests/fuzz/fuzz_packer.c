/*
 * Compressed messages and bodies: never more than the bound comes out, what comes out goes in again, and one packer serves all inputs as
 * if each were its first. The first byte says what the rest is, and how much may come out of it.
 */
#include "lib/packer.h"

#include <stdlib.h>

static struct packer *packer;

static void must(bool is_true)
{
    if (!is_true)
        abort();
}

/* Compresses it again, and reads that. */
static void check_round(struct bytes text, bool is_gzip, unsigned level)
{
    struct buf packed = {0}, again = {0};
    struct fault fault;
    size_t most = text.length + text.length / 100 + 64;
    must((is_gzip ? packer_add_gzip : packer_add_message)(packer, level, text, most, &packed) == 0);
    must((is_gzip ? packer_read_gzip : packer_read_message)(packer, buf_bytes(&packed), text.length, &again, &fault) == DECODE_DONE);
    must(bytes_equal(buf_bytes(&again), text));
    buf_done(&packed);
    buf_done(&again);
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t size)
{
    if (!packer)
        packer = packer_new();
    if (!packer || size == 0)
        return 0;
    bool is_gzip = data[0] & 1;
    size_t length_max = (size_t)1 << (data[0] >> 4);
    struct bytes packed = bytes_of(data + 1, size - 1);
    struct buf out = {0}, fresh_out = {0};
    struct fault fault = {0}, fresh_fault = {0};
    struct packer *fresh = packer_new();
    must(fresh != NULL);
    enum decode result = (is_gzip ? packer_read_gzip : packer_read_message)(packer, packed, length_max, &out, &fault);
    must(result == (is_gzip ? packer_read_gzip : packer_read_message)(fresh, packed, length_max, &fresh_out, &fresh_fault));
    must(fault.id == fresh_fault.id && out.length <= length_max && bytes_equal(buf_bytes(&out), buf_bytes(&fresh_out)));
    must(result == DECODE_DONE || fault.id == FAULT_TOO_LARGE || fault.id == FAULT_BAD_COMPRESSION);
    if (result == DECODE_DONE)
        check_round(buf_bytes(&out), is_gzip, 1 + (data[0] >> 1 & 7));
    packer_free(fresh);
    buf_done(&out);
    buf_done(&fresh_out);
    return 0;
}

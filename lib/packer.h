/*
 * Packer: compression by zlib, to which this is the one door: whole WebSocket messages (RFC 7692) and whole HTTP bodies (gzip,
 * RFC 1952), both ways, without I/O. Nothing is remembered from one to the next, so one packer serves any number of peers.
 *
 * A message in several frames is kept as it came until it is whole: that costs no more than its bytes, where a stream half way
 * through it would cost 40 KiB.
 */
#pragma once

#include "lib/buf.h"
#include "lib/fault.h"

struct packer;

/* Takes memory for what it does when it does it first: 270 KiB for compressing, 40 KiB for the other way. NULL: out of memory. */
struct packer *packer_new(void);
void packer_free(struct packer *packer);            /* NULL is fine */

/* Appends `text` in at most `length_max` bytes, by zlib's level 1 to 9. -E2BIG: it takes more; -ENOMEM. `out` is as before then. */
MUST_CHECK int packer_add_message(struct packer *packer, unsigned level, struct bytes text, size_t length_max, struct buf *out);
MUST_CHECK int packer_add_gzip(struct packer *packer, unsigned level, struct bytes text, size_t length_max, struct buf *out);

/* Appends what `packed` stands for, in steps. BAD: FAULT_TOO_LARGE before more than `length_max` bytes are kept,
 * FAULT_BAD_COMPRESSION, FAULT_INTERNAL (out of memory). DECODE_MORE is never returned. */
enum decode packer_read_message(struct packer *packer, struct bytes packed, size_t length_max, struct buf *out, struct fault *fault);
enum decode packer_read_gzip(struct packer *packer, struct bytes packed, size_t length_max, struct buf *out, struct fault *fault);

uint32_t packer_crc32(struct bytes text);           /* of RFC 1952 */
const char *packer_library_version(void);

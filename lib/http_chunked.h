/*
 * HTTP chunked bodies (RFC 9112 section 7.1), of requests and of responses. No I/O: bytes in, bytes out.
 */
#pragma once

#include "lib/buf.h"
#include "lib/fault.h"

/* Resumable. CRLF only; extensions up to 256 bytes a chunk, ignored; trailers up to 4 KiB in all, ignored; sizes up to 16 hex
 * digits. */
struct http_chunked {
    uint64_t body_bytes, body_bytes_max;
    uint64_t chunk_left;
    uint32_t line_bytes, trailer_bytes;
    uint8_t state, digits;
};
void http_chunked_init(struct http_chunked *chunked, uint64_t body_bytes_max);
/* Consumes what it can; appends body bytes to `body`. DONE: the body ended, *ret_consumed bytes used (what follows is the
 * next request). MORE: all was consumed. */
enum decode http_chunked_read(struct http_chunked *chunked, struct bytes input, size_t *ret_consumed,
                              struct buf *body, struct fault *fault);

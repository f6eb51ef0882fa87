/*
 * HTTP/1.1 request heads and bodies (RFC 9112), without I/O: bytes in, done/more/bad out.
 *
 * Strict: whatever is ambiguous is refused, and the caller closes the connection. Bare LF, folded lines,
 * blanks before a colon, repeated or odd Content-Length, Transfer-Encoding other than one "chunked",
 * both together, a missing or repeated Host, controls in values, absolute-form with another host.
 * Slices point into the caller's bytes.
 */
#pragma once

#include "lib/buf.h"
#include "lib/fault.h"
#include "lib/http_chunked.h"

enum http_method { HTTP_GET, HTTP_HEAD, HTTP_POST, HTTP_PUT, HTTP_DELETE, HTTP_OPTIONS, HTTP_OTHER };

enum { HTTP_HEADERS_MAX = 100 };    /* the table's size; the option may be smaller */

struct http_header { struct bytes name, value; };

struct http_limits {
    size_t head_bytes_max;          /* request line and headers: FAULT_HEAD_TOO_LARGE */
    size_t target_bytes_max;        /* FAULT_TARGET_TOO_LONG */
    unsigned header_count_max;
    uint64_t body_bytes_max;        /* Content-Length above: FAULT_TOO_LARGE */
};

struct http_head {
    enum http_method method;
    struct bytes method_text;
    struct bytes path;              /* raw, of origin-form or absolute-form; "*" for OPTIONS * */
    struct bytes query;             /* raw, without '?' */
    uint8_t minor_version;          /* 0 or 1 */
    bool keeps_alive;               /* by version and Connection */
    bool expects_continue;          /* Expect: 100-continue; anything else is FAULT_BAD_EXPECTATION */
    bool is_chunked;
    bool has_length;
    uint64_t content_length;
    bool is_upgrade;                /* Connection has "upgrade" */
    struct http_header headers[HTTP_HEADERS_MAX];
    unsigned header_count;
    size_t head_bytes;              /* consumed, with the blank line and any empty lines before (at most one) */
};

/*
 * MORE: call again with the same start and more bytes; *resume (start with 0) remembers how far the search for the
 * end has come, so the cost is linear in the bytes however they are cut. Limits are enforced on incomplete heads too.
 */
enum decode http_parse_head(struct bytes input, const struct http_limits *limits, size_t *resume,
                            struct http_head *ret, struct fault *fault);

/* The value of a header, case-insensitive; empty bytes with data NULL when absent, the first if repeated. */
struct bytes http_header(const struct http_head *head, const char *name);
/* Does a comma-separated header (all its lines) name this token, case-insensitive? */
bool http_header_has_token(const struct http_head *head, const char *name, const char *token);
/* Walks the comma-separated tokens of a value, trimmed: false at the end. Start with *rest = value. */
bool http_next_token(struct bytes *rest, struct bytes *ret_token);

/* Query parameters in order, still percent-encoded: false at the end. Start with *rest = query. */
bool http_next_parameter(struct bytes *rest, struct bytes *ret_name, struct bytes *ret_value);

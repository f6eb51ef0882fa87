/*
 * HTTP response: a decoder (RFC 9112), without I/O: bytes in, head and pieces of the body out. What could be read in two ways is
 * refused. Interim answers (1xx but 101) are passed over.
 */
#pragma once

#include "lib/http_chunked.h"
#include "lib/rtc.h"

enum { HTTP_HEAD_MAX = 64 * 1024 };

enum http_event { HTTP_EVENT_HEAD, HTTP_EVENT_BODY, HTTP_EVENT_END };

struct http_reader {
    enum { HTTP_IN_HEAD, HTTP_IN_LENGTH, HTTP_IN_CHUNKS, HTTP_IN_REST, HTTP_AT_END } state;
    struct buf line;                    /* the head as long as it is not whole; then what was last read of a chunked body */
    struct buf head;                    /* of the answer */
    unsigned status;
    bool can_stay;                      /* the connection may carry another request afterwards */
    uint64_t left;                      /* of a body with a length */
    struct http_chunked chunked;
};

void http_reader_init(struct http_reader *reader);
void http_reader_done(struct http_reader *reader);

/*
 * Reads on: DONE with one event (BODY: `*ret_body`, valid until the next call and as long as the input), and *ret_used bytes are
 * used up, which may be 0; MORE: all are. After END, and after the head of a 101, what follows is not this answer's. BAD: RTC_BAD_ANSWER.
 */
enum decode http_read(struct http_reader *reader, struct bytes input, size_t *ret_used, enum http_event *ret_event, struct bytes *ret_body,
                      struct rtc_error *error);
/* The peer has closed: does that end the answer, rather than cut it? */
bool http_reader_ends_at_close(const struct http_reader *reader);
/* After HEAD: a field's value; empty data when it is not there. */
struct bytes http_reader_field(const struct http_reader *reader, const char *name);

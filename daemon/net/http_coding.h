/*
 * HTTP content codings (RFC 9110 section 8.4), of which gzip is spoken where compression.polls is on. ("deflate" is not: it means two
 * things, and clients disagree about which.)
 */
#pragma once

#include "daemon/net/http.h"

/* The client wants gzip at least as much as bare bytes (Accept-Encoding). */
bool coding_is_wanted(const struct http_head *head);

/* The body as it was before it was coded, maybe in `scratch`. Only for who has proved to be somebody: FAULT_BAD_CONTENT_CODING,
 * FAULT_BAD_COMPRESSION, FAULT_TOO_LARGE, FAULT_INTERNAL. */
enum fault_id coding_read(struct link *link, const struct request *request, struct buf *scratch, struct bytes *ret, struct fault *fault);
/* For all others: FAULT_BAD_CONTENT_CODING if there is any coding. */
enum fault_id coding_refuse(const struct http_head *head, struct fault *fault);

/* Further header lines of an answer that refuses for this; NULL: it needs none. */
const char *coding_headers(const struct link *link, const struct fault *fault);

/* Compresses the answer's body into `packed`, if the link's client wants that, and adds the headers. */
void coding_pack(struct link *link, struct response *response, struct buf *packed);

/*
 * HTTP content codings (RFC 9110 section 8.4), of which gzip is spoken where compression.polls is on. ("deflate" is not: it means two
 * things, and clients disagree about which.)
 */
#pragma once

#include "daemon/net/http.h"

/* The client wants gzip at least as much as bare bytes (Accept-Encoding). */
bool coding_is_wanted(const struct http_head *head);

/* Before a body is read: may its endpoint be sent one that is coded so? FAULT_BAD_CONTENT_CODING, and in *ret_headers those of the
 * answer. */
enum fault_id coding_check(const struct link *link, const struct request *request, const char **ret_headers, struct fault *fault);
/* The body as it was before it was coded, maybe in `scratch`. Only for who has proved to be somebody: FAULT_BAD_COMPRESSION,
 * FAULT_TOO_LARGE, FAULT_INTERNAL. */
enum fault_id coding_read(struct link *link, const struct request *request, struct buf *scratch, struct bytes *ret, struct fault *fault);

/* Compresses the answer's body into `packed`, if the link's client wants that, and adds the headers. */
void coding_pack(struct link *link, struct response *response, struct buf *packed);

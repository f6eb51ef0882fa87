/*
 * HTTP answers: what http.c and http_answer.c share beside http.h.
 */
#pragma once

#include "daemon/net/http.h"

extern const struct link_handler http_handler;

/* HTTP in clear came where TLS is spoken: says so, or where to go (tls.plain); then the link is closed. */
void http_answer_misplaced(struct link *link, const struct http_head *head);

/*
 * Origin: may a request come in, by the host that it names and by the page that it comes from? Browsers keep no page from opening a
 * WebSocket to any host, and believe whoever owns a name about its addresses.
 */
#pragma once

#include "daemon/net/link.h"

/* By http.hosts. */
bool origin_host_is_allowed(const struct link *link, const struct http_head *head);
/* By http.origins, or since this host serves the page itself. Link's `origin` is what the request says, and it says so once. */
bool origin_is_allowed(const struct link *link, const struct http_head *head);

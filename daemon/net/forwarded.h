/*
 * Forwarded: where a request comes from, by what proxies that are trusted (http.trusted-proxies) say of it. What others say is not
 * looked at.
 */
#pragma once

#include "daemon/config/config.h"
#include "daemon/net/link.h"

/* The link's address becomes that of the client for whom this request is: what X-Forwarded-For says, or the peer's own. -ENOMEM. */
MUST_CHECK int forwarded_note(struct link *link, const struct http_head *head);
/* Did the client speak https? By X-Forwarded-Proto, else by the link itself. */
bool forwarded_is_https(const struct link *link, const struct http_head *head);

/*
 * Who stands behind `peer`, which is trusted. All lines of X-Forwarded-For are one list, of which each proxy wrote the last element
 * that it did not find there. So it is read from its end: trusted proxies are passed over, and the first other one is the client. What
 * is no address ends the search where it is: nobody who is trusted knows more. False: `peer` itself.
 */
bool forwarded_find_client(const struct http_head *head, const struct text_list *trusted, struct peer_address *ret);

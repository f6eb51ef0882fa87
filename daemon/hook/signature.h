/*
 * Signature: what a request to a webhook says of who wrote it: the header's value "t=UNIX,v1=HEX", with HEX the HMAC-SHA256 of the
 * time as it stands there, a dot, and the body. The time is signed too, so that an old request cannot be passed off as a new one.
 */
#pragma once

#include "lib/key.h"

/* Appends it. -ENOMEM, -EIO. */
MUST_CHECK int signature_add(struct buf *out, const struct key *key, uint64_t now_s, struct bytes body);

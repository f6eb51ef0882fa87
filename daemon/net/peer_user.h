/*
 * Peer user: who a client on a Unix socket is, by the kernel's word (connection.peer-users).
 */
#pragma once

#include "lib/buf.h"

struct link;

/* Appends the name of the peer's user, or uid:NUMBER where the user database has none. -ENOENT: the option is off, or the client is
 * not on a Unix socket; -ENOMEM. */
MUST_CHECK int peer_user_add(const struct link *link, struct buf *out);

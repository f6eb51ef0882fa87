/*
 * Resolve: a host's name to addresses, without blocking the caller: numeric ones at once, others by a thread that ends by itself.
 */
#pragma once

#include "lib/client/io.h"
#include "lib/client/url.h"

#include <sys/socket.h>

enum { ADDRESSES_MAX = 16 };

struct address {
    struct sockaddr_storage storage;
    socklen_t length;
};

struct addresses {
    struct address list[ADDRESSES_MAX];     /* in the system's order of preference */
    size_t count;
};

struct resolution;

/* Calls `on_done` once, later, in io_process: with addresses, or `why` none were found. NULL: failed at once, see `error`. */
struct resolution *resolve_start(struct io *io, const struct url *url,
                                 void (*on_done)(void *owner, const struct addresses *found, const struct rtc_error *why), void *owner,
                                 struct rtc_error *error);
/* No call comes after this; not after on_done either. */
void resolve_cancel(struct resolution *resolution);

/*
 * Proxy link: the first moments of a link that a proxy has opened for a client, where `listen` says proxy:. Reads the header, and not
 * a byte behind it: then the link is TLS's or HTTP's, as if the client had connected itself.
 */
#pragma once

#include "daemon/net/link.h"

/* Takes over a link that has no handler yet. */
void proxy_link_start(struct link *link);
/* The daemon stops: true if the link was still waiting for its header, and is closed. */
bool proxy_link_stop(struct link *link);

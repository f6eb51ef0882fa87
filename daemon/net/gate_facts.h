/*
 * Gate facts: what a request for a connection says of itself, for whoever judges it (core/gate.h), without its secrets.
 */
#pragma once

#include "daemon/core/gate.h"
#include "daemon/net/http.h"

/* Without a transport (NULL) or a codec (CODEC_COUNT) they are not known yet. The slices point into the request, the config and *query, which is added to. */
void gate_facts_read(const struct link *link, const struct request *request, const struct identity *identity,
                     const struct transport *transport, enum codec_id codec, struct buf *query, struct gate_facts *ret);

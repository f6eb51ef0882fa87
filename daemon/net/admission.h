/*
 * Admission: from a request that opens a transport to the connection it is for: the one its token names, come back to
 * or opened for the first time, or a new one where the credentials allow it.
 */
#pragma once

#include "daemon/net/http.h"

struct config;

/* WAITS: the request waits at the gate (core/gate.h) and is served once more from its beginning when it was judged; there is nothing
 * to answer now. */
enum admission_result { ADMISSION_DONE, ADMISSION_WAITS, ADMISSION_REFUSED };

struct admission {
    struct connection *connection;
    bool is_resumed;            /* it had been opened before, and goes on where it stopped */
};

/* The connection is not yet attached. REFUSED: with this fault. */
enum admission_result admission_open(struct link *link, const struct request *request, enum codec_id codec,
                                     struct admission *ret, struct fault *fault);

/* A new connection, for this transport first, by what the request proves and what is judged of it. As above. */
enum admission_result admission_make(struct link *link, const struct request *request, const struct transport *transport,
                                     enum codec_id codec, struct connection **ret, struct fault *fault);

/* Is this protocol offered (protocols.*)? */
bool admission_offers(const struct config *config, enum codec_id codec);

/*
 * Admission: from a request that opens a transport to the connection it is for: the one its token names, come back to
 * or opened for the first time, or a new one where the credentials allow it.
 */
#pragma once

#include "daemon/core/verdict.h"
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

/*
 * A new connection, in two steps, between which is chosen what carries it: who asks, and what those say who judge before; then whether
 * he may, and the connection. Each as above; admission_end() follows in any case. `verdict` may withhold transports and protocols, and
 * may send the client elsewhere, where there is no second step.
 */
struct admission_case {
    struct identity identity;
    const struct verdict *verdict;      /* the request's, if it has waited; else the own one */
    struct verdict own;
    struct buf scratch, query;          /* where slices of the identity and the facts lie */
};
enum admission_result admission_begin(struct link *link, const struct request *request, struct admission_case *ret, struct fault *fault);
enum admission_result admission_finish(struct link *link, const struct request *request, struct admission_case *admission_case,
                                       const struct transport *transport, enum codec_id codec, struct connection **ret,
                                       struct fault *fault);
void admission_end(struct admission_case *admission_case);

/* Is this protocol offered (protocols.*)? */
bool admission_offers(const struct config *config, enum codec_id codec);

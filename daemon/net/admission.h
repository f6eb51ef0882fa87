/*
 * Admission: from a request that opens a transport to the connection it is for: the one its token names, come back to
 * or opened for the first time, or a new one where the credentials allow it.
 */
#pragma once

#include "daemon/net/http.h"

struct config;

struct admission {
    struct connection *connection;
    bool is_resumed;            /* it had been opened before, and goes on where it stopped */
};

/* Not yet attached. FAULT_NONE, or the fault to refuse the request with. */
enum fault_id admission_open(struct link *link, const struct request *request, enum codec_id codec,
                             struct admission *ret, struct fault *fault);

/* Who asks, as far as can be proved: FAULT_NONE, or the fault to refuse the request with. Slices live in `scratch`. */
enum fault_id admission_identify(struct link *link, const struct request *request, struct buf *scratch,
                                 struct identity *ret, struct fault *fault);

/* Is this protocol offered (protocols.*)? */
bool admission_offers(const struct config *config, enum codec_id codec);

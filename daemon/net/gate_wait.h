/*
 * Gate wait: a link whose request for a connection waits at the gate (core/gate.h). The request is kept; with the verdict it is
 * served again, as if it had just come. Knows nothing of what a verdict says.
 */
#pragma once

#include "daemon/core/gate.h"
#include "daemon/net/http.h"

/* Sends the call off and holds the link; takes the call over. FAULT_NONE, or the fault to refuse the request with. */
enum fault_id gate_wait(struct link *link, const struct request *request, struct gate_call *call, struct fault *fault);

/* The daemon stops: whoever waits is told so. False: the link does not wait here. */
bool gate_wait_stop(struct link *link);

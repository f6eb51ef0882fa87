/*
 * Webhook event: events that clients send to the server, handled by a webhook: a handler in the registry for each of its patterns, and
 * a question to the receiver for each event.
 */
#pragma once

#include "daemon/hook/webhook.h"

/* Its handlers are those that its rule wants from now on; those that stay the same are left as they are. -ENOMEM, -E2BIG: some are
 * missing. */
MUST_CHECK int webhook_event_update(struct webhook *webhook);
/* None any more. */
void webhook_event_end(struct webhook *webhook);

/* An answer's body: the data, or an error. 0; -EBADMSG: it is neither. The slices point into the body. */
struct webhook_reply {
    bool is_error;
    struct bytes data;                  /* JSON; empty: null */
    struct bytes code, message;         /* JSON texts */
};
MUST_CHECK int webhook_event_read(struct bytes body, struct webhook_reply *ret);

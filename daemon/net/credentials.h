/*
 * Credentials: the access token that a request shows (RFC 6750), in its Authorization header, or in its query where browsers can
 * send no header; what it proves; and what it changes for a connection that is there already.
 */
#pragma once

#include "daemon/net/http.h"

/* Was what was shown a guess, maybe? Who asks wrongly, or when we fail, has not guessed. */
static inline bool credentials_are_wrong(enum fault_id refusal)
{
    return refusal != FAULT_NONE && refusal != FAULT_UNAUTHORIZED && fault_rows[refusal].status == 401;
}

/* Does the request show an access token, good or bad? */
bool credentials_are_shown(const struct request *request);

/* Who the token says it is: FAULT_NONE, or the fault to refuse the request with. Slices live in `storage`, which must be empty. */
enum fault_id credentials_identify(struct link *link, const struct request *request, struct buf *storage, struct identity *ret,
                                   struct fault *fault);

/* Whether that was revoked: FAULT_NONE or REVOKED. `issued_s` 0: the credential does not say. */
enum fault_id credentials_look_up(struct hub *hub, struct bytes user, struct bytes token_id, uint64_t issued_s, struct fault *fault);

/* A request with a connection's own secret that shows an access token, too: that must be of the same user, and takes the
 * place of the connection's own if it is newer. FAULT_NONE, or the fault to refuse the request with; the connection stays as it was. */
enum fault_id credentials_check(struct link *link, const struct request *request, struct connection *connection, struct fault *fault);

/* An API key for an address that needs one with a level: *request says afterwards what it may do. FAULT_NONE, or the fault to refuse the
 * request with. */
enum fault_id credentials_take_key(struct link *link, struct request *request, struct fault *fault);

/* rtc.refresh. FAULT_NONE, or why the token does not count. */
enum fault_id credentials_refresh(struct connection *connection, struct bytes access_token, struct fault *fault);

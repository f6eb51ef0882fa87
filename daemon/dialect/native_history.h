/*
 * What groups remember, in words of the native dialect: "since" and "last" of rtc.join and rtc.history, and the answers.
 */
#pragma once

#include "daemon/core/archive.h"
#include "lib/json.h"

struct connection;
struct fault;

/* Reads "since" ({"epoch":E,"offset":O}) and "last" (N) from a request's data, of which one may be there. Slices of *ret live in `scratch`.
 * -EBADMSG with a fault. */
MUST_CHECK int native_read_catch_up(struct bytes data, struct buf *scratch, struct catch_up *ret, struct fault *fault);

/* "epoch" and "offset", of a group that remembers, and "recovered". */
void native_add_position(const struct catch_up *catch_up, struct json_writer *json);
/* An array of whole envelopes. -ENOMEM. */
MUST_CHECK int native_add_envelopes(const struct catch_up *catch_up, struct json_writer *json);

/* Queues what was missed, which is let go. */
void native_push_missed(struct connection *connection, struct catch_up *catch_up);

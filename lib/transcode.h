/*
 * Transcode: one value from JSON to MessagePack and back, in one pass each.
 *
 * The mapping is rtc-protocol(7), "MessagePack": integers keep their exact value in [-2^63, 2^64-1],
 * other numbers become float64; {"$binary":"base64"} is bin; the timestamp extension (-1) is an
 * RFC 3339 string (in that direction only); {"$ext":[type,"base64"]} is any other ext; NaN and
 * infinities, and numbers beyond float64, become null; scalar map keys become strings, other keys are refused.
 * Both validate while they read, so input need not have been checked before.
 */
#pragma once

#include "lib/buf.h"
#include "lib/json.h"

/* How deep the JSON may be nested that comes of a MessagePack value: the envelope around it is one level itself. */
enum { TRANSCODE_DEPTH_MAX = JSON_DEPTH_MAX - 1 };

/* Append to `out`. -EBADMSG: malformed, or not expressible (*ret_problem, if not NULL, says what); -ENOMEM.
 * After an error `out` holds what it held before. */
MUST_CHECK int transcode_to_msgpack(struct buf *out, struct bytes json, const char **ret_problem);
MUST_CHECK int transcode_to_json(struct buf *out, struct bytes msgpack, const char **ret_problem);

/* Would transcode_to_json() take it? Costs no more than looking. -EBADMSG: no. */
MUST_CHECK int transcode_check(struct bytes msgpack, const char **ret_problem);

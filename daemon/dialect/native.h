/*
 * The native dialect (rtc-protocol(7)): what its envelopes look like (native.c), what clients ask for in them (native_events.c, of
 * groups in native_groups.c) and how that is answered (native_call.c), and its HTTP addresses (native_http.c).
 */
#pragma once

#include "daemon/core/connection.h"
#include "daemon/net/router.h"

extern const struct dialect native;
enum { NATIVE_ENDPOINT_COUNT = 7 };
extern const struct endpoint native_endpoints[NATIVE_ENDPOINT_COUNT];

/* dialect.receive: one envelope of a client. */
int native_receive(struct connection *connection, struct bytes text, enum codec_id codec);

/* Does this envelope of a client count (rtc-protocol(7), "Stateful reconnect")? What cannot be read does. */
bool native_is_numbered(struct bytes text, enum codec_id codec);

/* An unnumbered protocol envelope with JSON data, in the connection's codec. Without memory `out` has failed. */
void native_add_event(struct connection *connection, const char *event_name, struct bytes json, struct buf *out);

/* How long the connection may stay without a new access token: "expiresIn", in milliseconds, or null. */
struct json_writer;
void native_add_expiry(struct connection *connection, struct json_writer *json);

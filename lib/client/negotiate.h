/*
 * Negotiate: POST …/negotiate, and where the answer is a redirect, again there (rtc-protocol(7), "Negotiation").
 */
#pragma once

#include "lib/client/client.h"

/* Tells connect_negotiated() or connect_refused() later, and is gone then. NULL: see `error`. */
struct negotiation *negotiate_start(struct rtc_client *client, struct rtc_error *error);
void negotiate_cancel(struct negotiation *negotiation);

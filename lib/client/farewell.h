/*
 * Farewell: DELETE …/connection for a connection that ends on purpose, beside whatever the client does next. Nobody waits for its
 * answer; a server that does not hear it forgets the connection by itself.
 */
#pragma once

#include "lib/client/client.h"

void farewell_send(struct rtc_client *client);
void farewell_stop_all(struct rtc_client *client);
/* Is the server still being told? Not for longer than a few seconds. */
bool farewell_is_under_way(const struct rtc_client *client);

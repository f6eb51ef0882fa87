/*
 * Bench target: where a URL leads: an address that takes connections, and what to ask for there. Knows no WebSocket.
 */
#pragma once

#include "cli/bench.h"
#include "lib/buf.h"

#include <sys/socket.h>

struct bench_target {
    struct sockaddr_storage address;
    socklen_t address_length;
    struct buf authority;               /* host and port, for the Host field */
    struct buf path;                    /* "/rtc/websocket" and its query */
};

/*
 * Reads the URL, looks the host up, and tries its addresses until one takes a connection (which is closed at once).
 * false: *failure says why. bench_target_done() in any case.
 */
MUST_CHECK bool bench_target_find(struct bench_target *target, const struct bench_settings *settings, struct bench_failure *failure);
void bench_target_done(struct bench_target *target);

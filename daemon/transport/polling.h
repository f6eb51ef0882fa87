/*
 * Polling: what long and short polling share. A poll is a link that carries the connection from the request to its answer;
 * between two of them the connection is parked like any other that waits for its client.
 */
#pragma once

#include "daemon/net/router.h"

/* Serves a poll for `transport`, held at most `wait_ms`. */
void polling_open(struct link *link, const struct request *request, const struct transport *transport, uint64_t wait_ms);
void polling_flush(struct connection *connection);
void polling_send_unnumbered(struct connection *connection, struct bytes text);
uint64_t polling_tend(struct connection *connection, uint64_t now_ms);
void polling_close(struct link *link, const struct fault *why, struct bytes farewell);

/* ?wait=MS as far as it is given and a number; `fallback` otherwise. */
uint64_t polling_wait_ms(const struct request *request, struct buf *scratch, uint64_t fallback);

#define POLLING_TRANSPORT(its_name) \
    {.name = (its_name), .path = "/poll", .carries_binary = true, .flush = polling_flush, \
     .send_unnumbered = polling_send_unnumbered, .tend = polling_tend, .close = polling_close}

/*
 * Bench handshake: the client's half of RFC 6455 section 4.1, and how a daemon's refusal is told. No I/O.
 */
#pragma once

#include "cli/bench_client.h"

enum { HANDSHAKE_BYTES_MAX = 16 * 1024 };

/* Queues the request. */
void bench_handshake_ask(struct bench_client *client, const struct bench_target *target, bool is_msgpack, struct random_pool *random);

/* Reads the answer. BAD: failure says why. A refusal is read with its body. */
enum decode bench_handshake_read(struct bench_client *client, struct bytes input, bool is_msgpack, size_t *ret_used,
                                 struct bench_failure *failure);

/* The server hung up with an answer that is not whole (client->in): failure says what there was of it. */
void bench_handshake_ended(struct bench_client *client, struct bench_failure *failure);

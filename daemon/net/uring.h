/*
 * Uring: many sends to many sockets in one system call, by io_uring(7). Knows sockets and messages only; who falls back to
 * what when the kernel does not have it is the flusher's business. Built without liburing, uring_new says -ENOSYS.
 */
#pragma once

#include "lib/base.h"

#include <sys/socket.h>

struct uring;

/* For up to `sends_max` sends a time, by the thread that calls this and no other. Negative errno: the kernel does not have it, or does
 * not allow it. */
MUST_CHECK int uring_new(unsigned sends_max, struct uring **ret);
void uring_free(struct uring *uring);               /* NULL is fine */

/* Prepares a send; what `message` points at stays until uring_run. At most `sends_max` before it. */
void uring_add(struct uring *uring, int descriptor, const struct msghdr *message);
/* Sends all that was prepared and waits for none: a full socket answers -EAGAIN. results[i] is that of the i-th one: bytes, or
 * negative errno. A negative errno of its own: the ring is broken; results that are not known are -ECANCELED, and the
 * ring must be freed. */
MUST_CHECK int uring_run(struct uring *uring, ssize_t *results);

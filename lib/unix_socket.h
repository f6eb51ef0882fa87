/*
 * Unix socket: what a program that listens at a path does before it binds.
 */
#pragma once

#include "lib/base.h"

#include <sys/socket.h>
#include <sys/un.h>

/*
 * Removes a socket file that was left behind: one of ours that nobody listens on. -EADDRINUSE: somebody does, or the
 * file is no socket or someone else's. 0 also when there is no such file.
 */
MUST_CHECK int unix_socket_clear(const struct sockaddr_un *name, socklen_t length);

/*
 * API: the admin commands over HTTP, for programs with an API key: POST /api/v1/COMMAND with the arguments as a JSON object, named and
 * checked as on the admin socket. Knows no command: the main thread carries them out.
 */
#pragma once

#include "daemon/net/router.h"

extern const struct dialect_front api_front;

/*
 * HTTP answers: what http.c and http_answer.c share beside http.h.
 */
#pragma once

#include "daemon/net/http.h"

extern const struct link_handler http_handler;

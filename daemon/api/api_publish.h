/*
 * API publish: the plain case of the command publish, done by the worker that read it, as any thread may publish. Whatever is more than
 * plain, or wrong, is left to the command itself, which alone says what is wrong.
 */
#pragma once

#include "daemon/net/http.h"

/* Was it published, and answered? If not, nothing was done. */
bool api_publish(struct link *link, const struct request *request);

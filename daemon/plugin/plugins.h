/*
 * Plug-ins: shared objects that the option `plugins` names, behind the interface of lib/rtcd_plugin.h. Loads them, and is the
 * middleware (core/middleware.h) that asks them one after the other, on the workers' threads.
 */
#pragma once

#include "lib/buf.h"

struct config;
struct exchange;
struct plugins;

/* Are those that the config names such as would be loaded? Loads none. -EINVAL with lines for people, -ENOMEM. */
MUST_CHECK int plugins_check(const struct config *config, struct buf *problems);

/* Loads them and starts them for so many workers, none of which runs yet; from now on they are the exchange's middleware. 0; *ret is NULL
 * where there are none. Negative errno after logging why. */
MUST_CHECK int plugins_new(const struct config *config, struct exchange *exchange, unsigned worker_count, struct plugins **ret);
/* No worker runs any more. NULL is fine. */
void plugins_free(struct plugins *plugins);

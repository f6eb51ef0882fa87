/*
 * Webhook keys: reads the secrets that the config's webhooks name (secret-file) into their rules, and looks whether their other files
 * can be read. What is wrong goes to `problems`, a line each. Knows nothing of what is signed.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/buf.h"

/* -EINVAL, -ENOMEM. */
MUST_CHECK int webhook_keys_load(struct config *config, struct buf *problems);

/*
 * Store: keeps histories on disk (history.store). A keeper (core/keeper.h) that takes the changes of histories into a bounded queue, and a
 * thread that writes them: whatever has come meanwhile in one transaction. What stands in the file is always how all was at one moment.
 *
 * After a crash the file may be behind what members have seen. So where a message is acknowledged once it is stored, all that is not
 * stored never was, but its offsets are not given again: more of them are skipped than could be on their way. Where it is acknowledged
 * earlier, every group gets a new epoch.
 */
#pragma once

#include "daemon/core/exchange.h"

struct config;
struct store;

/* Opens the file and puts back what it has, before there are workers. *ret is NULL where histories are in memory alone. 0, or negative
 * errno after logging why. */
MUST_CHECK int store_start(const struct config *config, struct exchange *exchange, struct store **ret);
/* Nobody is told any more that something is stored, from its return on: to be called before the workers end. NULL is fine. */
void store_hush(struct store *store);
/* Writes all that waits, and says in the file that nothing is missing. Nobody may publish any more. NULL is fine. */
void store_stop(struct store *store);

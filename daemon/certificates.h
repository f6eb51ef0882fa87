/*
 * Certificates: those for TLS, read from the files that the config names, and read again at a reload and when a file changes. What
 * cannot be used is refused as a whole, and what is in force stays. Of the main thread; connected clients notice nothing.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/buf.h"

struct certificates;
struct event_base;
struct tls_store;

/* Reads and watches them. 0; negative errno after logging why. */
MUST_CHECK int certificates_new(struct event_base *base, struct config *config, struct certificates **ret);
void certificates_free(struct certificates *certificates);             /* NULL is fine; after the workers */

/* Reads them again, as `config` says; -EINVAL: `report` says why that cannot be. */
MUST_CHECK int certificates_load(struct certificates *certificates, struct config *config, struct buf *report);
/* Where the workers find them. NULL for NULL. */
struct tls_store *certificates_store(struct certificates *certificates);

/* Could they be used? For --check. */
MUST_CHECK int certificates_check(const struct config *config, struct buf *problems);

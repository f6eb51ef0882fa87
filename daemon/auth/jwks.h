/*
 * JWKS: the keys of auth.keys that stand at URLs. Fetched when the daemon starts, then now and then, and when a token names a key
 * that is not known, at a limited rate; what was fetched last stays in force while a URL does not answer. Runs on the main
 * thread's loop.
 */
#pragma once

#include "daemon/config/config.h"

struct event_base;
struct jwks;

struct jwks_host {
    struct event_base *base;
    struct config *(*config)(void *argument);                       /* the snapshot in force; borrowed */
    void (*publish)(void *argument, struct config *config);        /* this one is from now on; takes it over */
    void *argument;
};

/* 0, or negative errno after logging why. */
MUST_CHECK int jwks_new(const struct jwks_host *host, struct jwks **ret);
void jwks_free(struct jwks *jwks);
/* Another config is in force: its URLs count. -ENOMEM. */
MUST_CHECK int jwks_update(struct jwks *jwks);

/*
 * Grants: until when connections that showed an access token may stay, and what is known of it. Beside the connections, so that
 * those without one cost nothing; ordered by their end, under one timer for them all. Time is the wall clock's, which is looked
 * at every few seconds, since it may jump.
 */
#pragma once

#include "daemon/config/rights.h"
#include "daemon/core/wheel.h"
#include "lib/table.h"

struct connection;
struct hub;

#define GRANT_NEVER_ENDS UINT64_MAX

enum { GRANT_DIGEST_BYTES = 16 };

/* What a token says, once it was verified. The slices are copied when it is set. */
struct grant_terms {
    uint64_t expires_s;                 /* Unix time; or GRANT_NEVER_ENDS */
    uint64_t issued_s;                  /* 0: not said */
    struct bytes token_id;              /* jti; empty: it has none */
    struct rights rights;
    uint64_t key_mark;                  /* of the key that vouches for it */
    unsigned char digest[GRANT_DIGEST_BYTES];   /* of the token itself, which is not kept */
};

struct grant {
    uint64_t handle;                    /* of its connection: the key of the table */
    struct grant_terms terms;
    uint32_t place;                     /* in the heap */
    bool is_key_gone;                   /* from the config: expires_s is 0 since */
    unsigned char *kept;                /* where the terms' own slices lie */
};

struct grants {
    struct table by_connection;
    struct grant **heap;                /* the one that ends first is in front */
    uint32_t count, capacity;
    struct timer timer;
};

void grants_init(struct hub *hub);
void grants_done(struct hub *hub);      /* all connections have let theirs go */

/* In place of the one it has. -ENOMEM: nothing is changed. */
MUST_CHECK int grants_set(struct hub *hub, struct connection *connection, const struct grant_terms *terms);
/* The config has changed: those that no key vouches for any more end, within the next turns. */
void grants_take_config(struct hub *hub);
void grants_drop(struct hub *hub, struct connection *connection);
/* NULL: it showed no token. */
const struct grant *grants_find(const struct hub *hub, const struct connection *connection);
/* What its token allows; nothing, if it showed none. */
struct rights grants_rights(const struct hub *hub, const struct connection *connection);
/* How long it may stay from now on, auth.leeway included; GRANT_NEVER_ENDS. */
uint64_t grant_left_ms(const struct hub *hub, const struct grant *grant);

/*
 * Auth: who a client is, by the access token that it shows: the keys in force, the rules (options auth.*), and the verdict.
 * Any thread; nothing here is changed once it is loaded.
 */
#pragma once

#include "daemon/auth/api_keys.h"
#include "daemon/auth/jwt.h"
#include "daemon/auth/keys.h"
#include "daemon/config/rights.h"

/* Reads the keys that the config names into it, from where config_unref() frees them; those of URLs come from `old` (NULL is
 * fine), if that had them. As keys_load. */
MUST_CHECK int auth_load(struct config *config, const struct config *old, struct buf *problems);
/* These keys are the config's from now on. */
void auth_set_keys(struct config *config, struct keys *keys);

/* The same API keys as those of the other config. */
void auth_keep_api_keys(struct config *config, const struct config *other);

/* Of an access token, or of an API key, which then stands as if it were one. */
struct auth_verdict {
    const struct trusted_key *key;      /* whose signature it is; NULL: nobody's here */
    const struct api_key *api_key;      /* NULL: it is none that is known */
    uint64_t mark;                      /* of the key: config->has_key() says whether it is still there */
    struct jwt_claims claims;           /* believed only when all is well */
    struct rights rights;               /* by auth.rights-claim */
    struct buf storage[3];              /* what the slices above live in */
};

/* FAULT_NONE, INVALID_TOKEN or EXPIRED, with a detail that is safe to show to anybody. auth_verdict_done() in any case. */
enum fault_id auth_verify(const struct config *config, struct bytes token, uint64_t now_s, struct auth_verdict *ret,
                          struct fault *fault);
void auth_verdict_done(struct auth_verdict *verdict);

/* What is kept of a token to know it again without keeping it. */
enum { AUTH_DIGEST_BYTES = 16 };
void auth_digest(struct bytes token, unsigned char ret[static AUTH_DIGEST_BYTES]);
bool auth_digests_are_equal(const unsigned char *a, const unsigned char *b);     /* takes the same time wherever they differ */

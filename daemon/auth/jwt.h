/*
 * JWT: a signed token (RFC 7519 in the compact form of RFC 7515), taken apart and judged. No I/O, no key and no clock: whose
 * signature it is, is auth.c's business, what time it is the caller's.
 *
 * In this order, so that nothing is believed before its signature holds: jwt_read (the header alone is decoded), the
 * signature, jwt_read_claims, jwt_check.
 */
#pragma once

#include "lib/buf.h"
#include "lib/fault.h"

enum { JWT_BYTES_MAX = 8192, JWT_HEADER_MEMBERS_MAX = 16, JWT_CLAIMS_MAX = 128, JWT_TEXT_MAX = 256 };

/* 9999-12-31T23:59:59Z. Beyond it nobody means seconds. */
#define JWT_SECONDS_MAX UINT64_C(253402300799)

struct jwt {
    struct bytes algorithm;             /* as the header says: only to choose among keys that are for it */
    struct bytes key_id;                /* data NULL: it has none */
    struct bytes signed_part;           /* of the token's own text */
    struct bytes signature;
    struct bytes claims_text;           /* still encoded */
};

/* DECODE_DONE, or DECODE_BAD with INVALID_TOKEN. Slices of the token and of `storage`, which must be empty and is used up. */
enum decode jwt_read(struct bytes token, struct buf *storage, struct jwt *ret, struct fault *fault);

struct jwt_claims {
    struct bytes all;                   /* the JSON object */
    struct bytes issuer, user, id;      /* data NULL: absent */
    struct bytes audience;              /* JSON: a string or a list of them; empty: absent */
    bool has_expiry, has_start, has_issue;
    uint64_t expires_s, starts_s, issued_s;         /* exp, nbf, iat: Unix seconds, fractions cut off */
};

/* The same, with a buf of its own. `user_claim` is the claim that names the user. */
enum decode jwt_read_claims(const struct jwt *jwt, const char *user_claim, struct buf *storage, struct jwt_claims *ret,
                            struct fault *fault);

/* What a token must be here. Names are NUL-terminated texts; none: not asked for. */
struct jwt_rules {
    char *const *issuers, *const *audiences;
    size_t issuer_count, audience_count;
    uint64_t leeway_s;
    bool requires_expiry;
};

/* FAULT_NONE, INVALID_TOKEN or EXPIRED, with a detail that has none of the token's own words. */
enum fault_id jwt_check(const struct jwt_claims *claims, const struct jwt_rules *rules, uint64_t now_s, struct fault *fault);

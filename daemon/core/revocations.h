/*
 * Revocations: whose credentials, and which tokens, are taken no more. Shared by all threads behind one lock, which is taken only
 * while there are any: when a credential is shown, never for a message. Knows how they are written down, but no file and no clock.
 *
 * Bounded: one that does not fit is refused, since to forget another would let somebody in again.
 */
#pragma once

#include "lib/buf.h"

enum revocation_kind { REVOKED_USER, REVOKED_TOKEN, REVOCATION_KIND_COUNT };
enum { REVOCATION_NAME_MAX = 256 };

/* "user", "token". */
const char *revocation_kind_name(enum revocation_kind kind);

struct revocation {
    enum revocation_kind kind;
    struct bytes name;                  /* the user, or the token's id (jti) */
    uint64_t before_s;                  /* of a user: tokens that were issued until then; those that do not say when, in any case */
    uint64_t until_s;                   /* nothing is remembered of it from then on; 0: until it is lifted */
};

struct revocations;
struct revocations *revocations_new(void);                      /* NULL: out of memory */
void revocations_free(struct revocations *revocations);

/* One of the same kind and name is replaced; those that are over make room. -ENOSPC: there are `maximum` already; -ENOMEM. */
MUST_CHECK int revocations_put(struct revocations *revocations, const struct revocation *revocation, size_t maximum, uint64_t now_s);
MUST_CHECK int revocations_lift(struct revocations *revocations, enum revocation_kind kind, struct bytes name);     /* -ENOENT */

/* None: nearly always, and no lock is taken to know. */
bool revocations_are_none(const struct revocations *revocations);
/* Must a credential of this user (empty: of nobody) be refused? `issued_s` 0: it does not say; `token_id` may be empty. */
bool revocations_concern(struct revocations *revocations, struct bytes user, struct bytes token_id, uint64_t issued_s, uint64_t now_s);

/* Those in force, in no order; under the lock: `on_each` calls nothing here. */
void revocations_each(struct revocations *revocations, uint64_t now_s,
                      void (*on_each)(const struct revocation *revocation, void *argument), void *argument);

/* As text, a line of JSON each; and back. -EBADMSG with the line's number and what is wrong with it, -ENOSPC, -ENOMEM: some may have
 * been taken. */
void revocations_print(struct revocations *revocations, uint64_t now_s, struct buf *out);
MUST_CHECK int revocations_read(struct revocations *revocations, struct bytes text, size_t maximum, uint64_t now_s, size_t *ret_line,
                                const char **ret_problem);

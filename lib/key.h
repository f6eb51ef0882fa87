/*
 * Key: one key that signs or verifies tokens, by the one algorithm that it is for (RFC 7518 section 3, RFC 8037). Made from a
 * secret, a PEM text, or a JWK (RFC 7517). Owns OpenSSL's objects; knows no file and no token.
 *
 * Immutable once made: any number of threads may verify by one key at once.
 */
#pragma once

#include "lib/key_algorithm.h"

enum { KEY_RSA_BITS_MIN = 2048, KEY_RSA_BITS_MAX = 8192, KEY_SECRET_BYTES_MIN = 32, KEY_SECRET_BYTES_MAX = 4096,
       KEY_ID_MAX = 256 };

/* What a key is said to be where it is named; what its text says of itself must not contradict. */
struct key_wish {
    bool has_algorithm;
    enum key_algorithm algorithm;
    struct bytes id;                    /* the kid; empty: as its text says, or none */
};

struct key;
struct key *key_ref(struct key *key);
void key_free(struct key *key);                     /* one reference less; NULL is fine. The last one wipes secrets */
DEFINE_SCOPED(key)

enum key_algorithm key_algorithm(const struct key *key);
struct bytes key_id(const struct key *key);         /* empty: it has none */
/* What it is known again by, in another set of keys: the same for the same key and algorithm. */
uint64_t key_mark(const struct key *key);
/* Whoever could read the text that it was made from could sign by it. */
bool key_can_sign(const struct key *key);

/*
 * Readers: 0, -ENOMEM, or -EBADMSG with a sentence's end in *problem ("it is an RSA key of 1024 bits; …").
 * key_read_jwk: -ENOTSUP, too: it is for something else (encryption, an algorithm that is not ours).
 */
MUST_CHECK int key_read_secret(struct bytes secret, const struct key_wish *wish, struct key **ret, struct buf *problem);
MUST_CHECK int key_read_pem(struct bytes text, const struct key_wish *wish, struct key **ret, struct buf *problem);
MUST_CHECK int key_read_jwk(struct bytes jwk, const struct key_wish *wish, struct key **ret, struct buf *problem);

/*
 * A whole file: PEM, a JWK, a JWK set, or, if the wish says HS256, a secret (without the line's end at its end). Each key goes to
 * `add`, which owns it from then on; what it returns below 0 ends the reading.
 */
MUST_CHECK int key_read_text(struct bytes text, const struct key_wish *wish, int (*add)(struct key *key, void *argument),
                             void *argument, struct buf *problem);

/* Is this the signature, in the form of RFC 7518 section 3? Takes the same time whatever an HS256 signature looks like. */
bool key_verifies(const struct key *key, struct bytes text, struct bytes signature);
/* Appends the signature. -EPERM: the key can only verify; -EIO: OpenSSL failed. */
MUST_CHECK int key_sign(const struct key *key, struct bytes text, struct buf *ret_signature);

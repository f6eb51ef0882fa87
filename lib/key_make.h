/*
 * The inside of a key, for the files that make them: key_pem.c and key_jwk.c.
 */
#pragma once

#include "lib/key.h"

#include <openssl/evp.h>
#include <stdatomic.h>

struct key {
    atomic_uint reference_count;
    enum key_algorithm algorithm;
    bool can_sign;
    uint64_t mark;
    EVP_PKEY *pair;                     /* public, or both; NULL: a secret */
    EVP_MD_CTX *verifier;               /* as it is before the first byte: a copy is made for each use */
    EVP_MAC_CTX *authenticator;         /* the same of a secret */
    size_t id_length;
    char id[];
};

/* Takes `pair` over, in any case; judges it by the wish. As the readers of key.h. */
MUST_CHECK int key_make_pair(EVP_PKEY *pair, bool can_sign, const struct key_wish *wish, struct key **ret, struct buf *problem);
/* The most that the algorithms here need of a key's text, once decoded: wiped by who made it. */
void key_wipe(struct buf *buf);

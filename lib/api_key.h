/*
 * API key: a program's credential: 256 random bits with a prefix to know it by and a checksum that tells a typo from a wrong key.
 * Only its hash is kept. A plain SHA-256 is right for that: there is nothing to guess in random bits, unlike in a password, so a
 * slow hash would cost each request time and gain nothing.
 */
#pragma once

#include "lib/buf.h"

#define API_KEY_PREFIX "rtck_"
enum { API_KEY_RANDOM_BYTES = 32, API_KEY_CHECKSUM_BYTES = 4, API_KEY_TEXT = 5 + (API_KEY_RANDOM_BYTES + API_KEY_CHECKSUM_BYTES) * 4 / 3,
       API_KEY_HASH_BYTES = 32 };

/* Appends the key of these random bytes. */
void api_key_print(const unsigned char random[static API_KEY_RANDOM_BYTES], struct buf *out);

/* It wants to be one, whatever follows the prefix. */
bool api_key_is_meant(struct bytes text);
/* -EBADMSG: it is cut off or mistyped. -ENOMEM. */
MUST_CHECK int api_key_check(struct bytes text);

/* What is kept of a key's text. */
void api_key_hash(struct bytes text, unsigned char ret[static API_KEY_HASH_BYTES]);
/* The same for those who ask often: to look the hash function up takes longer than to use it. Any thread may use one. */
struct api_key_hasher;
struct api_key_hasher *api_key_hasher_new(void);                /* NULL: out of memory */
void api_key_hasher_free(struct api_key_hasher *hasher);        /* NULL is fine */
MUST_CHECK int api_key_hasher_hash(const struct api_key_hasher *hasher, struct bytes text, unsigned char ret[static API_KEY_HASH_BYTES]);     /* -ENOMEM */
/* Takes the same time wherever they differ. */
bool api_key_hashes_are_equal(const unsigned char *a, const unsigned char *b);

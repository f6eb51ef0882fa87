/*
 * API keys: the programs that auth.api-keys lists, by the hashes of their keys. Read whole or not at all; immutable, and counted.
 */
#pragma once

#include "daemon/config/config.h"
#include "daemon/config/rights.h"
#include "lib/api_key.h"

#include <stdatomic.h>

enum { API_KEYS_MAX = 1024, API_KEY_NAME_MAX = 64 };

/* What a key may do on the admin side of HTTP. */
enum api_key_level { API_KEY_NOTHING, API_KEY_VIEWER, API_KEY_OPERATOR, API_KEY_ADMIN };

struct api_key {
    struct buf id;                      /* "api-key:NAME" */
    struct buf user;                    /* whose connections it makes; its name, where nothing else is said */
    struct buf rights;                  /* packed */
    enum api_key_level level;
    uint64_t expires_s;                 /* Unix time; UINT64_MAX: never */
    uint64_t mark;                      /* of its whole line: another once anything in it is changed */
    unsigned char hash[API_KEY_HASH_BYTES];
};

struct api_keys {
    atomic_uint reference_count;
    struct api_key_hasher *hasher;
    size_t count;
    struct api_key items[API_KEYS_MAX];
};

/* The lines of a file. -EINVAL: each that is wrong has a line in `problems`, with `path` and its number; -ENOMEM. */
MUST_CHECK int api_keys_read(struct bytes text, const char *path, struct api_keys **ret, struct buf *problems);
/* Of the option auth.api-keys: *ret is NULL where that is empty, or NULL. */
MUST_CHECK int api_keys_load(const char *source, struct api_keys **ret, struct buf *problems);
struct api_keys *api_keys_ref(struct api_keys *keys);           /* NULL is fine */
void api_keys_free(struct api_keys *keys);                      /* one reference less; NULL is fine */
DEFINE_SCOPED(api_keys)

/* Compared with each, in the same time wherever they differ. FAULT_NONE, INVALID_TOKEN or EXPIRED. */
enum fault_id api_keys_verify(const struct api_keys *keys, struct bytes text, uint64_t now_s, const struct api_key **ret, struct fault *fault);
bool api_keys_have(const struct api_keys *keys, uint64_t mark);

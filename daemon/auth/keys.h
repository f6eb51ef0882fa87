/*
 * Keys: those that auth.keys names, read from files and systemd credentials, whole or not at all. Immutable: a reload reads a
 * new set.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/key_source.h"

enum { KEYS_MAX = 64, KEY_FILE_BYTES_MAX = 256 * 1024 };

struct trusted_key {
    struct key *key;
    char *issuer;                       /* NULL: whatever auth.issuers says */
    const char *source;                 /* the item of auth.keys, in `sources` of the set */
};

struct keys {
    struct trusted_key items[KEYS_MAX];
    size_t count;
    char **sources;
    size_t source_count;
};

/* -EINVAL: `problems` got a line for each source that cannot be used; -ENOMEM. */
MUST_CHECK int keys_load(const struct text_list *sources, struct keys **ret, struct buf *problems);
void keys_free(struct keys *keys);                  /* NULL is fine */
DEFINE_SCOPED(keys)

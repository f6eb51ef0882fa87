/*
 * Keys: those that auth.keys names, read from files and systemd credentials, whole or not at all; those of URLs come later, and in
 * sets of their own (jwks.c). Immutable but for one flag: whatever changes makes a new set, which shares the keys that stay.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/key_source.h"

#include <stdatomic.h>

enum { KEYS_MAX = 64, KEY_ANSWER_BYTES_MAX = 256 * 1024 };

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
    bool has_urls;
    atomic_bool is_wanting;             /* a token names a key that is not known: URLs may have it by now */
};

/* -EINVAL: `problems` got a line for each source that cannot be used; -ENOMEM. */
MUST_CHECK int keys_load(const struct text_list *sources, struct keys **ret, struct buf *problems);
/* The same sources, with these keys in place of those that `source` (an index) had. Takes the keys over, in any case. */
MUST_CHECK int keys_replace(const struct keys *old, size_t source, struct key **fresh, size_t fresh_count, struct keys **ret);
/* A new set keeps what the old one had of the URLs that both name. -E2BIG, -ENOMEM. */
MUST_CHECK int keys_keep_fetched(struct keys *keys, const struct keys *old);
bool keys_have(const struct keys *keys, uint64_t mark);     /* key_mark() of one; NULL has none */
void keys_free(struct keys *keys);                  /* NULL is fine */
DEFINE_SCOPED(keys)

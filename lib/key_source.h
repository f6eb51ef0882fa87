/*
 * Key source: where keys are read from, as one writes it: a file, a systemd credential or a URL, and what is to be known of the
 * keys in it. Pure text: nothing is opened.
 *
 *     /etc/rtcd/token.pem
 *     credential:token-secret alg=HS256
 *     /etc/rtcd/issuer.jwks issuer=https://login.example.org
 *     https://login.example.org/keys issuer=https://login.example.org
 */
#pragma once

#include "lib/key.h"

struct key_source {
    struct bytes name;                  /* the path, the credential's name or the URL; slices of the text that was parsed */
    bool is_credential, is_url;
    struct bytes issuer;                /* whose tokens its keys verify; empty: not said */
    struct key_wish wish;
};

/* -EINVAL: what would be right is in *ret_problem, a constant sentence. */
MUST_CHECK int key_source_parse(const char *text, struct key_source *ret, const char **ret_problem);

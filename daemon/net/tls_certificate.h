/*
 * TLS certificates: read from PEM files, with their keys, and asked for names. Refuses key files that others may read. Knows no
 * connection; never says what is in a key.
 */
#pragma once

#include "daemon/config/config.h"
#include "lib/buf.h"

#include <openssl/x509.h>

/* The server's own, with what proves it. */
struct tls_certificate {
    X509 *own;
    STACK_OF(X509) *chain;              /* what stands behind it in the file */
    EVP_PKEY *key;
};

/* By an item of tls.certificates. 0; -EINVAL: `problems` got a line that says why; -ENOMEM. */
MUST_CHECK int tls_certificate_load(const char *item, struct tls_certificate *ret, struct buf *problems);
void tls_certificate_done(struct tls_certificate *certificate);

/* Those who sign clients' certificates. */
struct tls_authorities {
    X509_STORE *store;
    STACK_OF(X509_NAME) *names;         /* told to clients */
    bool has_revocations;               /* the file holds revocation lists too, so they are asked */
    unsigned char digest[32];           /* of the file */
};

MUST_CHECK int tls_authorities_load(const char *path, struct tls_authorities *ret, struct buf *problems);
void tls_authorities_done(struct tls_authorities *authorities);

bool tls_certificate_covers(X509 *certificate, const char *host);
bool tls_certificate_has_expired(const X509 *certificate);
/* The name in a client's certificate that is its user, as tls.client-user says: a text to free; "": it has no such name that could
 * be a user's; NULL: out of memory. */
char *tls_certificate_user(const X509 *certificate, enum config_certificate_user which);

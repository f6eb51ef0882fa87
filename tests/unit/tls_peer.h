/*
 * TLS peer: certificates of an authority that exists for one test, and the server's side of TLS.
 */
#pragma once

#include "tests/unit/test.h"

#include <openssl/ssl.h>

/* Files in `folder`: ca.pem, and for each of these NAME.pem, which holds certificate and key:
 * good (example.org, *.wild.example.org, 127.0.0.1, ::1), other (other.example), expired, early, alone (signed by itself),
 * and locked.pem, a key that wants a passphrase. */
struct tls_peer {
    char folder[64];
    char path[128];                     /* that tls_peer_path last gave */
};

void tls_peer_init(struct tls_peer *peer);
void tls_peer_done(struct tls_peer *peer);
const char *tls_peer_path(struct tls_peer *peer, const char *name);     /* valid until the next one */
/* The server's, with the certificate NAME.pem. */
SSL_CTX *tls_peer_context(struct tls_peer *peer, const char *name);

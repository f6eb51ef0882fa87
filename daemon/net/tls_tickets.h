/*
 * TLS tickets: the keys that session tickets are sealed with (RFC 5077, RFC 8446 section 4.6.1). They outlive a reload, so that
 * clients resume across it, and are replaced while the daemon runs: one that leaks opens no more than a few hours. Knows no
 * socket, no session and no clock. Any thread.
 */
#pragma once

#include "lib/base.h"

#include <openssl/types.h>

enum {
    TICKET_NAME_BYTES = 16,
    TICKET_LIFE_S = 2 * 3600,           /* how long a ticket is good for; its key lives up to twice as long */
};

struct tls_tickets;

struct tls_tickets *tls_tickets_new(void);                          /* NULL: out of memory */
struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets);
void tls_tickets_unref(struct tls_tickets *tickets);                /* NULL is fine */

/* A new ticket: names the key, draws `iv` and sets both contexts up. What SSL_CTX_set_tlsext_ticket_key_evp_cb(3) wants
 * returned: 1, or 0: no ticket. */
int tls_tickets_seal(struct tls_tickets *tickets, uint64_t now_ms, unsigned char name[static TICKET_NAME_BYTES], unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);
/* One that a client brought: 1; 2: good, but it should get a new one; 0: its key is not ours, or no more. */
int tls_tickets_open(struct tls_tickets *tickets, uint64_t now_ms, const unsigned char name[static TICKET_NAME_BYTES],
                     const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac);

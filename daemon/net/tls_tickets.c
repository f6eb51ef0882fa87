/*
 * TLS tickets: see tls_tickets.h. Two keys: tickets are sealed with the younger; the older opens what was sealed before.
 */
#include "daemon/net/tls_tickets.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { KEY_BYTES = 32, IV_BYTES = 16, KEYS = 2 };

static const uint64_t life_ms = TICKET_LIFE_S * 1000ull;

struct ticket_key {
    bool is_set;
    uint64_t made_ms;
    unsigned char name[TICKET_NAME_BYTES];      /* public: it stands in the ticket */
    unsigned char cipher[KEY_BYTES], mac[KEY_BYTES];
};

struct tls_tickets {
    atomic_uint reference_count;
    pthread_mutex_t lock;
    struct ticket_key keys[KEYS];               /* youngest first */
};

struct tls_tickets *tls_tickets_new(void)
{
    struct tls_tickets *tickets = calloc(1, sizeof(*tickets));
    if (!tickets)
        return NULL;
    tickets->reference_count = 1;
    pthread_mutex_init(&tickets->lock, NULL);
    return tickets;
}

struct tls_tickets *tls_tickets_ref(struct tls_tickets *tickets)
{
    atomic_fetch_add_explicit(&tickets->reference_count, 1, memory_order_relaxed);
    return tickets;
}

void tls_tickets_unref(struct tls_tickets *tickets)
{
    if (!tickets || atomic_fetch_sub_explicit(&tickets->reference_count, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&tickets->lock);
    OPENSSL_cleanse(tickets->keys, sizeof(tickets->keys));
    free(tickets);
}

/* The key for new tickets, made if the present one is as old as a ticket may get: by then nothing that the one before it sealed is
 * good any more. 0: there is no randomness for it. */
static int tickets_renew(struct tls_tickets *tickets, uint64_t now_ms)
{
    struct ticket_key *key = &tickets->keys[0], fresh = {.is_set = true, .made_ms = now_ms};
    if (key->is_set && now_ms - key->made_ms < life_ms)
        return 1;
    if (RAND_bytes(fresh.name, sizeof(fresh.name)) != 1 || RAND_priv_bytes(fresh.cipher, sizeof(fresh.cipher)) != 1
        || RAND_priv_bytes(fresh.mac, sizeof(fresh.mac)) != 1)
        return 0;
    tickets->keys[1] = *key;
    *key = fresh;
    OPENSSL_cleanse(&fresh, sizeof(fresh));
    return 1;
}

static int ticket_set_mac(const struct ticket_key *key, EVP_MAC_CTX *mac)
{
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)key->mac, sizeof(key->mac)),
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, "SHA256", 0),
        OSSL_PARAM_construct_end(),
    };
    return EVP_MAC_CTX_set_params(mac, parameters) == 1;
}

int tls_tickets_seal(struct tls_tickets *tickets, uint64_t now_ms, unsigned char name[static TICKET_NAME_BYTES], unsigned char *iv,
                     EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    const struct ticket_key *key = &tickets->keys[0];
    pthread_mutex_lock(&tickets->lock);
    int r = tickets_renew(tickets, now_ms) && RAND_bytes(iv, IV_BYTES) == 1
        && EVP_EncryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) == 1 && ticket_set_mac(key, mac);
    memcpy(name, key->name, TICKET_NAME_BYTES);
    pthread_mutex_unlock(&tickets->lock);
    return r;
}

/* NULL: none of ours, or one that has been out of use for so long that no ticket of it can be good. */
static const struct ticket_key *tickets_find(const struct tls_tickets *tickets, uint64_t now_ms, const unsigned char *name)
{
    for (unsigned i = 0; i < KEYS; i++) {
        const struct ticket_key *key = &tickets->keys[i];
        if (key->is_set && now_ms - key->made_ms < 2 * life_ms && memcmp(key->name, name, TICKET_NAME_BYTES) == 0)
            return key;
    }
    return NULL;
}

int tls_tickets_open(struct tls_tickets *tickets, uint64_t now_ms, const unsigned char name[static TICKET_NAME_BYTES],
                     const unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac)
{
    int r = 0;
    pthread_mutex_lock(&tickets->lock);
    const struct ticket_key *key = tickets_find(tickets, now_ms, name);
    if (key && EVP_DecryptInit_ex(cipher, EVP_aes_256_cbc(), NULL, key->cipher, iv) == 1 && ticket_set_mac(key, mac))
        r = key == &tickets->keys[0] ? 1 : 2;
    pthread_mutex_unlock(&tickets->lock);
    return r;
}

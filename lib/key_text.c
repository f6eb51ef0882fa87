/*
 * Key texts: PEM (RFC 7468), and which kind of text a file holds. Whatever is not wholly understood is refused: half a key
 * would be found out only when nobody can log in, and a key taken for a secret would let everybody in.
 */
#include "lib/key_make.h"

#include "lib/json.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

enum { JWK_DEPTH_MAX = 8 };

static EVP_PKEY *pem_decode(const char *name, const unsigned char *der, long length, bool *ret_can_sign)
{
    const unsigned char *at = der;
    EVP_PKEY *pair = NULL;
    *ret_can_sign = false;
    if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
        pair = d2i_PUBKEY(NULL, &at, length);
    } else if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0) {
        pair = d2i_PublicKey(EVP_PKEY_RSA, NULL, &at, length);
    } else if (strcmp(name, PEM_STRING_X509) == 0) {
        X509 *certificate = d2i_X509(NULL, &at, length);
        pair = certificate ? X509_get_pubkey(certificate) : NULL;
        X509_free(certificate);
    } else if (strcmp(name, PEM_STRING_PKCS8INF) == 0 || strcmp(name, PEM_STRING_RSA) == 0
               || strcmp(name, PEM_STRING_ECPRIVATEKEY) == 0) {
        pair = d2i_AutoPrivateKey(NULL, &at, length);
        *ret_can_sign = true;
    }
    if (pair && at != der + length) {
        EVP_PKEY_free(pair);
        pair = NULL;
    }
    return pair;
}

/* One block of a PEM text. 0: it is the key; -ENOENT: a block beside a key. */
static int pem_read_block(BIO *bio, EVP_PKEY **ret_pair, bool *ret_can_sign, struct buf *problem)
{
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    long length = 0;
    int r = 0;
    if (PEM_read_bio(bio, &name, &header, &der, &length) != 1) {
        bool is_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
        ERR_clear_error();
        if (is_end)
            return -ENODATA;
        buf_add_text(problem, "its PEM is damaged");
        return -EBADMSG;
    }
    if (strcmp(name, PEM_STRING_ECPARAMETERS) == 0) {
        r = -ENOENT;
    } else if (header[0] || strcmp(name, PEM_STRING_PKCS8) == 0) {
        buf_add_text(problem, "the key in it is locked by a passphrase, which nobody could type here");
        r = -EBADMSG;
    } else if (!(*ret_pair = pem_decode(name, der, length, ret_can_sign))) {
        buf_add_format(problem, "the block %.40s in it is no key that is known here", name);
        r = -EBADMSG;
    }
    ERR_clear_error();
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_clear_free(der, (size_t)length);
    return r;
}

int key_read_pem(struct bytes text, const struct key_wish *wish, struct key **ret, struct buf *problem)
{
    BIO *bio = BIO_new_mem_buf(text.data, (int)text.length);
    EVP_PKEY *pair = NULL, *other = NULL;
    bool can_sign = false, other_can_sign;
    if (!bio)
        return -ENOMEM;
    int r = -ENOENT;
    while (r == -ENOENT)
        r = pem_read_block(bio, &pair, &can_sign, problem);
    if (r == 0) {
        do
            r = pem_read_block(bio, &other, &other_can_sign, problem);
        while (r == -ENOENT);
        if (r == 0)
            buf_add_text(problem, "it holds more than one key; give each a file, or use a JWK set");
        r = r == -ENODATA ? 0 : -EBADMSG;
    } else if (r == -ENODATA) {
        buf_add_text(problem, "there is no key in it");
        r = -EBADMSG;
    }
    BIO_free(bio);
    EVP_PKEY_free(other);
    if (r < 0) {
        EVP_PKEY_free(pair);
        return r;
    }
    return key_make_pair(pair, can_sign, wish, ret, problem);
}

struct text_reading {
    const struct key_wish *wish;
    int (*add)(struct key *key, void *argument);
    void *argument;
    struct buf *problem;
    unsigned count;
};

static int text_add(struct text_reading *reading, int r, struct key *key)
{
    if (r < 0)
        return r;
    reading->count++;
    return reading->add(key, reading->argument);
}

static int text_read_set(struct text_reading *reading, struct bytes list)
{
    struct json_scan scan;
    struct bytes jwk;
    if (json_type(list) != JSON_ARRAY) {
        buf_add_text(reading->problem, "its member keys is no list");
        return -EBADMSG;
    }
    json_scan_init(&scan, list);
    int r = json_enter(&scan, '[');
    while (r == 0 && (r = json_next_element(&scan, JWK_DEPTH_MAX, &jwk)) == 1) {
        struct key *key = NULL;
        r = key_read_jwk(jwk, reading->wish, &key, reading->problem);
        /* RFC 7517 section 5: what is for others stands in the same set. */
        r = r == -ENOTSUP ? 0 : text_add(reading, r, key);
    }
    if (r == 0 && reading->count == 0) {
        buf_add_text(reading->problem, "no key in it is for verifying tokens by HS256, RS256, PS256, ES256 or EdDSA");
        return -EBADMSG;
    }
    return r;
}

static int text_read_json(struct text_reading *reading, struct bytes text)
{
    struct json_scan scan;
    struct bytes whole;
    struct key *key = NULL;
    json_scan_init(&scan, text);
    if (json_take_all(&scan, JWK_DEPTH_MAX, &whole) < 0) {
        buf_add_format(reading->problem, "its JSON is wrong: %s", scan.problem);
        return -EBADMSG;
    }
    struct bytes list = json_member(whole, "keys");
    if (list.length)
        return text_read_set(reading, list);
    int r = key_read_jwk(whole, reading->wish, &key, reading->problem);
    if (r == -ENOTSUP) {
        buf_add_text(reading->problem, "this JWK is not for verifying tokens by HS256, RS256, PS256, ES256 or EdDSA");
        return -EBADMSG;
    }
    return text_add(reading, r, key);
}

static bool text_begins(struct bytes text, const char *with)
{
    return text.length >= strlen(with) && memcmp(text.data, with, strlen(with)) == 0;
}

int key_read_text(struct bytes text, const struct key_wish *wish, int (*add)(struct key *key, void *argument), void *argument,
                  struct buf *problem)
{
    struct text_reading reading = {.wish = wish, .add = add, .argument = argument, .problem = problem};
    struct key *key = NULL;
    int r;
    if (text.length && memmem(text.data, text.length, "-----BEGIN ", 11)) {
        r = key_read_pem(text, wish, &key, problem);
        return text_add(&reading, r, key);
    }
    if (text_begins(text, "{"))
        return text_read_json(&reading, text);
    if (!wish->has_algorithm || wish->algorithm != KEY_HS256) {
        buf_add_text(problem, "it is neither PEM nor a JWK; if it is a secret, write alg=HS256 behind its name");
        return -EBADMSG;
    }
    if (text.length && text.data[text.length - 1] == '\n')
        text.length--;
    if (text.length && text.data[text.length - 1] == '\r')
        text.length--;
    r = key_read_secret(text, wish, &key, problem);
    return text_add(&reading, r, key);
}

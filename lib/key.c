/*
 * Key: see key.h. What a key is for, signing and verifying.
 */
#include "lib/key_make.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <stdlib.h>

enum { SHA256_BYTES = 32, P256_BYTES = 32, P256_DER_MAX = 80, SIGNATURE_MAX = KEY_RSA_BITS_MAX / 8 };

enum key_algorithm key_algorithm(const struct key *key)
{
    return key->algorithm;
}

struct bytes key_id(const struct key *key)
{
    return bytes_of(key->id, key->id_length);
}

uint64_t key_mark(const struct key *key)
{
    return key->mark;
}

/* The beginning of a hash over the algorithm and what verifies; -ENOMEM. */
static int key_set_mark(struct key *key, const unsigned char *material, size_t length)
{
    unsigned char hash[SHA256_BYTES], algorithm = (unsigned char)key->algorithm;
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_done = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1 && EVP_DigestUpdate(context, &algorithm, 1) == 1
        && EVP_DigestUpdate(context, material, length) == 1 && EVP_DigestFinal_ex(context, hash, NULL) == 1;
    EVP_MD_CTX_free(context);
    if (is_done)
        memcpy(&key->mark, hash, sizeof(key->mark));
    return is_done ? 0 : -ENOMEM;
}

bool key_can_sign(const struct key *key)
{
    return key->can_sign;
}

struct key *key_ref(struct key *key)
{
    atomic_fetch_add_explicit(&key->reference_count, 1, memory_order_relaxed);
    return key;
}

void key_free(struct key *key)
{
    if (!key || atomic_fetch_sub_explicit(&key->reference_count, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(key->pair);
    EVP_MD_CTX_free(key->verifier);
    EVP_MAC_CTX_free(key->authenticator);
    free(key);
}

void key_wipe(struct buf *buf)
{
    if (buf->data)
        OPENSSL_cleanse(buf->data, buf->capacity);
    buf_done(buf);
}

static struct key *key_new(enum key_algorithm algorithm, struct bytes id)
{
    struct key *key = calloc(1, sizeof(*key) + id.length + 1);
    if (!key)
        return NULL;
    atomic_init(&key->reference_count, 1);
    key->algorithm = algorithm;
    key->id_length = id.length;
    if (id.length)
        memcpy(key->id, id.data, id.length);
    return key;
}

int key_read_secret(struct bytes secret, const struct key_wish *wish, struct key **ret, struct buf *problem)
{
    if (wish->has_algorithm && wish->algorithm != KEY_HS256) {
        buf_add_format(problem, "it is a secret, which is for HS256, not for %s", key_algorithm_name(wish->algorithm));
        return -EBADMSG;
    }
    if (secret.length < KEY_SECRET_BYTES_MIN || secret.length > KEY_SECRET_BYTES_MAX) {
        buf_add_format(problem, "the secret has %zu bytes; HS256 needs %d at least, and %d at most", secret.length,
                       KEY_SECRET_BYTES_MIN, KEY_SECRET_BYTES_MAX);
        return -EBADMSG;
    }
    SCOPED(key) key = key_new(KEY_HS256, wish->id);
    EVP_MAC *mac = EVP_MAC_fetch(NULL, "HMAC", NULL);
    OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)"SHA256", 0), OSSL_PARAM_construct_end(),
    };
    if (key && mac)
        key->authenticator = EVP_MAC_CTX_new(mac);
    EVP_MAC_free(mac);
    if (!key || !key->authenticator || EVP_MAC_init(key->authenticator, secret.data, secret.length, parameters) != 1
        || key_set_mark(key, secret.data, secret.length) < 0)
        return -ENOMEM;
    key->can_sign = true;
    *ret = STEAL(key);
    return 0;
}

/* PSS as RFC 7518 section 3.5 wants it: the salt is as long as the hash. */
static bool key_set_padding(EVP_PKEY_CTX *context, enum key_algorithm algorithm)
{
    if (algorithm == KEY_RS256)
        return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PADDING) == 1;
    if (algorithm != KEY_PS256)
        return true;
    return EVP_PKEY_CTX_set_rsa_padding(context, RSA_PKCS1_PSS_PADDING) == 1
        && EVP_PKEY_CTX_set_rsa_pss_saltlen(context, RSA_PSS_SALTLEN_DIGEST) == 1
        && EVP_PKEY_CTX_set_rsa_mgf1_md(context, EVP_sha256()) == 1;
}

static EVP_MD_CTX *key_new_context(const struct key *key, bool signs)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    EVP_PKEY_CTX *padding = NULL;
    const EVP_MD *hash = key->algorithm == KEY_EDDSA ? NULL : EVP_sha256();
    int r = 0;
    if (context)
        r = signs ? EVP_DigestSignInit(context, &padding, hash, NULL, key->pair)
                  : EVP_DigestVerifyInit(context, &padding, hash, NULL, key->pair);
    if (r == 1 && key_set_padding(padding, key->algorithm))
        return context;
    ERR_clear_error();
    EVP_MD_CTX_free(context);
    return NULL;
}

/* What the pair is good for: its type decides, and for RSA the wish. -EBADMSG: nothing here. */
static int key_judge(EVP_PKEY *pair, const struct key_wish *wish, enum key_algorithm *ret, struct buf *problem)
{
    int bits = EVP_PKEY_get_bits(pair);
    char curve[32] = "";
    const char *type = EVP_PKEY_get0_type_name(pair);
    if (EVP_PKEY_is_a(pair, "RSA")) {
        *ret = wish->has_algorithm && wish->algorithm == KEY_PS256 ? KEY_PS256 : KEY_RS256;
        if (bits < KEY_RSA_BITS_MIN || bits > KEY_RSA_BITS_MAX) {
            buf_add_format(problem, "it is an RSA key of %d bits; %d at least are needed, and %d at most", bits, KEY_RSA_BITS_MIN,
                           KEY_RSA_BITS_MAX);
            return -EBADMSG;
        }
    } else if (EVP_PKEY_is_a(pair, "EC")) {
        *ret = KEY_ES256;
        if (EVP_PKEY_get_group_name(pair, curve, sizeof(curve), NULL) != 1 || strcmp(curve, "prime256v1") != 0) {
            buf_add_format(problem, "it is a key on the curve %s; ES256 needs P-256", curve[0] ? curve : "of unknown name");
            return -EBADMSG;
        }
    } else if (EVP_PKEY_is_a(pair, "ED25519")) {
        *ret = KEY_EDDSA;
    } else {
        buf_add_format(problem, "it is a key of type %s; RSA, EC (P-256) and Ed25519 are of use here", type ? type : "unknown");
        return -EBADMSG;
    }
    if (wish->has_algorithm && wish->algorithm != *ret) {
        buf_add_format(problem, "it is a key for %s, not for %s", key_algorithm_name(*ret), key_algorithm_name(wish->algorithm));
        return -EBADMSG;
    }
    return 0;
}

static bool key_is_sound(EVP_PKEY *pair)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new(pair, NULL);
    bool is_sound = context && EVP_PKEY_public_check(context) == 1;
    EVP_PKEY_CTX_free(context);
    ERR_clear_error();
    return is_sound;
}

int key_make_pair(EVP_PKEY *pair, bool can_sign, const struct key_wish *wish, struct key **ret, struct buf *problem)
{
    enum key_algorithm algorithm;
    int r = key_judge(pair, wish, &algorithm, problem);
    if (r == 0 && !key_is_sound(pair)) {
        buf_add_text(problem, "its numbers do not make a key");
        r = -EBADMSG;
    }
    if (r < 0) {
        EVP_PKEY_free(pair);
        return r;
    }
    SCOPED(key) key = key_new(algorithm, wish->id);
    if (!key) {
        EVP_PKEY_free(pair);
        return -ENOMEM;
    }
    key->pair = pair;
    key->can_sign = can_sign;
    key->verifier = key_new_context(key, false);
    unsigned char *public = NULL;
    int length = i2d_PUBKEY(pair, &public);
    r = length > 0 ? key_set_mark(key, public, (size_t)length) : -ENOMEM;
    OPENSSL_free(public);
    if (!key->verifier || r < 0)
        return -ENOMEM;
    *ret = STEAL(key);
    return 0;
}

static bool key_authenticate(const struct key *key, struct bytes text, unsigned char ret[static SHA256_BYTES])
{
    EVP_MAC_CTX *context = EVP_MAC_CTX_dup(key->authenticator);
    size_t length = 0;
    bool is_done = context && EVP_MAC_update(context, text.data, text.length) == 1
        && EVP_MAC_final(context, ret, &length, SHA256_BYTES) == 1 && length == SHA256_BYTES;
    EVP_MAC_CTX_free(context);
    return is_done;
}

/* Two numbers one behind the other (RFC 7518 section 3.4), as the DER that OpenSSL reads; 0: not a signature. */
static size_t ecdsa_to_der(struct bytes signature, unsigned char ret[static P256_DER_MAX])
{
    if (signature.length != 2 * P256_BYTES)
        return 0;
    ECDSA_SIG *pair = ECDSA_SIG_new();
    BIGNUM *r = BN_bin2bn(signature.data, P256_BYTES, NULL), *s = BN_bin2bn(signature.data + P256_BYTES, P256_BYTES, NULL);
    unsigned char *at = ret;
    int length = 0;
    if (pair && r && s && ECDSA_SIG_set0(pair, r, s) == 1) {
        r = s = NULL;
        length = i2d_ECDSA_SIG(pair, &at);
    }
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(pair);
    return length > 0 ? (size_t)length : 0;
}

static int ecdsa_from_der(struct bytes der, struct buf *out)
{
    const unsigned char *at = der.data;
    unsigned char numbers[2 * P256_BYTES];
    ECDSA_SIG *pair = d2i_ECDSA_SIG(NULL, &at, (long)der.length);
    bool is_done = pair && BN_bn2binpad(ECDSA_SIG_get0_r(pair), numbers, P256_BYTES) == P256_BYTES
        && BN_bn2binpad(ECDSA_SIG_get0_s(pair), numbers + P256_BYTES, P256_BYTES) == P256_BYTES;
    ECDSA_SIG_free(pair);
    if (!is_done)
        return -EIO;
    buf_add(out, numbers, sizeof(numbers));
    return buf_status(out);
}

bool key_verifies(const struct key *key, struct bytes text, struct bytes signature)
{
    unsigned char mine[SHA256_BYTES], der[P256_DER_MAX];
    if (key->algorithm == KEY_HS256)
        return key_authenticate(key, text, mine) && signature.length == SHA256_BYTES
            && CRYPTO_memcmp(mine, signature.data, SHA256_BYTES) == 0;
    if (key->algorithm == KEY_ES256) {
        signature = bytes_of(der, ecdsa_to_der(signature, der));
        if (signature.length == 0)
            return false;
    }
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_right = context && EVP_MD_CTX_copy_ex(context, key->verifier) == 1
        && EVP_DigestVerify(context, signature.data, signature.length, text.data, text.length) == 1;
    EVP_MD_CTX_free(context);
    /* What a peer sent leaves nothing in this thread's list of errors. */
    ERR_clear_error();
    return is_right;
}

int key_sign(const struct key *key, struct bytes text, struct buf *ret_signature)
{
    unsigned char signature[SIGNATURE_MAX];
    size_t length = sizeof(signature);
    if (!key->can_sign)
        return -EPERM;
    if (key->algorithm == KEY_HS256) {
        if (!key_authenticate(key, text, signature))
            return -EIO;
        buf_add(ret_signature, signature, SHA256_BYTES);
        return buf_status(ret_signature);
    }
    EVP_MD_CTX *context = key_new_context(key, true);
    bool is_done = context && EVP_DigestSign(context, signature, &length, text.data, text.length) == 1;
    EVP_MD_CTX_free(context);
    ERR_clear_error();
    if (!is_done)
        return -EIO;
    if (key->algorithm == KEY_ES256)
        return ecdsa_from_der(bytes_of(signature, length), ret_signature);
    buf_add(ret_signature, signature, length);
    return buf_status(ret_signature);
}

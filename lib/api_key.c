/*
 * API key: see api_key.h.
 */
#include "lib/api_key.h"

#include "lib/text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>

_Static_assert(sizeof(API_KEY_PREFIX) - 1 + (API_KEY_RANDOM_BYTES + API_KEY_CHECKSUM_BYTES) * 4 / 3 == API_KEY_TEXT, "the prefix has changed");

/* The first bytes of a hash: no secret, since it says nothing of the key that the key itself does not. */
static void api_key_sum(const unsigned char *random, unsigned char *ret_sum)
{
    unsigned char hash[SHA256_DIGEST_LENGTH];
    SHA256(random, API_KEY_RANDOM_BYTES, hash);
    memcpy(ret_sum, hash, API_KEY_CHECKSUM_BYTES);
}

void api_key_print(const unsigned char random[static API_KEY_RANDOM_BYTES], struct buf *out)
{
    unsigned char whole[API_KEY_RANDOM_BYTES + API_KEY_CHECKSUM_BYTES];
    memcpy(whole, random, API_KEY_RANDOM_BYTES);
    api_key_sum(random, whole + API_KEY_RANDOM_BYTES);
    buf_add_text(out, API_KEY_PREFIX);
    text_add_base64url(out, bytes_of(whole, sizeof(whole)));
    OPENSSL_cleanse(whole, sizeof(whole));
}

bool api_key_is_meant(struct bytes text)
{
    size_t length = strlen(API_KEY_PREFIX);
    return text.length >= length && memcmp(text.data, API_KEY_PREFIX, length) == 0;
}

int api_key_check(struct bytes text)
{
    size_t prefix = strlen(API_KEY_PREFIX);
    struct buf raw = {0};
    unsigned char sum[API_KEY_CHECKSUM_BYTES];
    if (text.length != API_KEY_TEXT || !api_key_is_meant(text))
        return -EBADMSG;
    if (!buf_room(&raw, API_KEY_TEXT))
        return -ENOMEM;
    int r = text_base64url_decode(&raw, bytes_of(text.data + prefix, text.length - prefix));
    if (r == 0) {
        api_key_sum(raw.data, sum);
        r = CRYPTO_memcmp(sum, raw.data + API_KEY_RANDOM_BYTES, sizeof(sum)) == 0 ? 0 : -EBADMSG;
    }
    OPENSSL_cleanse(raw.data, raw.capacity);
    buf_done(&raw);
    return r;
}

void api_key_hash(struct bytes text, unsigned char ret[static API_KEY_HASH_BYTES])
{
    SHA256(text.data, text.length, ret);
}

struct api_key_hasher {
    EVP_MD *function;
};

struct api_key_hasher *api_key_hasher_new(void)
{
    struct api_key_hasher *hasher = calloc(1, sizeof(*hasher));
    if (hasher)
        hasher->function = EVP_MD_fetch(NULL, "SHA256", NULL);
    if (hasher && hasher->function)
        return hasher;
    free(hasher);
    return NULL;
}

void api_key_hasher_free(struct api_key_hasher *hasher)
{
    if (!hasher)
        return;
    EVP_MD_free(hasher->function);
    free(hasher);
}

int api_key_hasher_hash(const struct api_key_hasher *hasher, struct bytes text, unsigned char ret[static API_KEY_HASH_BYTES])
{
    return EVP_Digest(text.data, text.length, ret, NULL, hasher->function, NULL) == 1 ? 0 : -ENOMEM;
}

bool api_key_hashes_are_equal(const unsigned char *a, const unsigned char *b)
{
    return CRYPTO_memcmp(a, b, API_KEY_HASH_BYTES) == 0;
}

/*
 * Auth: see auth.h.
 */
#include "daemon/auth/auth.h"

#include "lib/envelope.h"
#include "lib/json.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

static void auth_free_keys(struct config *config)
{
    keys_free(config->keys);
    api_keys_free(config->api_keys);
}

static bool auth_has_key(const struct config *config, uint64_t mark)
{
    return keys_have(config->keys, mark) || api_keys_have(config->api_keys, mark);
}

void auth_set_keys(struct config *config, struct keys *keys)
{
    keys_free(config->keys);
    config->keys = keys;
    config->free_keys = auth_free_keys;
    config->has_key = auth_has_key;
}

void auth_keep_api_keys(struct config *config, const struct config *other)
{
    api_keys_free(config->api_keys);
    config->api_keys = api_keys_ref(other->api_keys);
}

int auth_load(struct config *config, const struct config *old, struct buf *problems)
{
    SCOPED(keys) keys = NULL;
    SCOPED(api_keys) api_keys = NULL;
    int r = keys_load(&config->auth.keys, &keys, problems), r_api = api_keys_load(config->auth.api_keys, &api_keys, problems);
    r = r < 0 ? r : r_api;
    if (r == 0 && old && old->keys)
        r = keys_keep_fetched(keys, old->keys);
    if (r == -E2BIG)
        buf_add_format(problems, "auth.keys: with those of URLs there are more than %d keys\n", KEYS_MAX);
    if (r == 0) {
        auth_set_keys(config, STEAL(keys));
        config->api_keys = STEAL(api_keys);
    }
    return r == -E2BIG ? -EINVAL : r;
}

/* By the name that the token gives, and where key or token has none, by the algorithm alone. The name only spares trying: two
 * issuers may use the same one, and whose key it was is known when the signature holds. */
static bool auth_may_be(const struct trusted_key *trusted, const struct jwt *jwt, enum key_algorithm algorithm)
{
    struct bytes id = key_id(trusted->key);
    return key_algorithm(trusted->key) == algorithm && (!jwt->key_id.data || id.length == 0 || bytes_equal(jwt->key_id, id));
}

static enum fault_id auth_find_signer(struct keys *keys, const struct jwt *jwt, const struct trusted_key **ret,
                                      struct fault *fault)
{
    enum key_algorithm algorithm;
    unsigned tried = 0, same_algorithm = 0;
    if (!key_algorithm_find(jwt->algorithm, &algorithm)) {
        fault_set(fault, FAULT_INVALID_TOKEN, "the token's alg is none of HS256, RS256, PS256, ES256, EdDSA");
        return fault->id;
    }
    for (size_t i = 0; i < keys->count; i++) {
        same_algorithm += key_algorithm(keys->items[i].key) == algorithm;
        if (!auth_may_be(&keys->items[i], jwt, algorithm))
            continue;
        tried++;
        if (key_verifies(keys->items[i].key, jwt->signed_part, jwt->signature)) {
            *ret = &keys->items[i];
            return FAULT_NONE;
        }
    }
    if (keys->has_urls)
        atomic_store_explicit(&keys->is_wanting, true, memory_order_relaxed);
    if (tried)
        fault_set(fault, FAULT_INVALID_TOKEN, "the token's signature is not by any key that is trusted here");
    else if (keys->has_urls)
        fault_set(fault, FAULT_INVALID_TOKEN, "the token is signed with a key (kid) that is not known here yet; its issuer is asked again");
    else if (same_algorithm)
        fault_set(fault, FAULT_INVALID_TOKEN, "the token is signed with a key (kid) that is not known here");
    else
        fault_set(fault, FAULT_INVALID_TOKEN, "no key that is trusted here is for %s", key_algorithm_name(algorithm));
    return fault->id;
}

static enum fault_id auth_judge(const struct config *config, struct auth_verdict *verdict, uint64_t now_s, struct fault *fault)
{
    char *own_issuer[] = {verdict->key->issuer};
    struct jwt_rules rules = {
        .issuers = own_issuer[0] ? own_issuer : config->auth.issuers.items,
        .issuer_count = own_issuer[0] ? 1 : config->auth.issuers.count,
        .audiences = config->auth.audiences.items, .audience_count = config->auth.audiences.count,
        .leeway_s = config->auth.leeway_ms / 1000, .requires_expiry = config->auth.requires_exp,
    };
    enum fault_id refusal = jwt_check(&verdict->claims, &rules, now_s, fault);
    if (refusal == FAULT_NONE && !name_is_valid(verdict->claims.user, NAME_MAX_BYTES)) {
        fault_set(fault, FAULT_INVALID_TOKEN, "the token's user (sub; see auth.user-claim) is not 1 to %d bytes without control characters",
                  NAME_MAX_BYTES);
        refusal = fault->id;
    }
    return refusal;
}

static enum fault_id auth_read_rights(const struct config *config, struct auth_verdict *verdict, struct fault *fault)
{
    struct bytes claim = json_member(verdict->claims.all, config->auth.rights_claim);
    struct buf *packed = &verdict->storage[2];
    if (claim.length && rights_read(claim, config->auth.rights_claim, packed, fault) != DECODE_DONE)
        return fault->id;
    verdict->rights.packed = buf_bytes(packed);
    if (buf_status(packed) < 0)
        fault_set(fault, FAULT_INTERNAL, "out of memory");
    return buf_status(packed) < 0 ? fault->id : FAULT_NONE;
}

static enum fault_id auth_verify_api_key(const struct config *config, struct bytes text, uint64_t now_s, struct auth_verdict *ret,
                                         struct fault *fault)
{
    enum fault_id refusal = api_keys_verify(config->api_keys, text, now_s, &ret->api_key, fault);
    const struct api_key *key = ret->api_key;
    if (!key)
        return refusal;
    ret->mark = key->mark;
    ret->rights.packed = buf_bytes(&key->rights);
    ret->claims = (struct jwt_claims){
        .id = buf_bytes(&key->id), .user = buf_bytes(&key->user), .has_expiry = key->expires_s != UINT64_MAX, .expires_s = key->expires_s,
    };
    return refusal;
}

enum fault_id auth_verify(const struct config *config, struct bytes token, uint64_t now_s, struct auth_verdict *ret,
                          struct fault *fault)
{
    struct jwt jwt;
    *ret = (struct auth_verdict){0};
    if (api_key_is_meant(token))
        return auth_verify_api_key(config, token, now_s, ret, fault);
    if (!config->keys || (config->keys->count == 0 && !config->keys->has_urls)) {
        fault_set(fault, FAULT_INVALID_TOKEN, "this daemon has no keys to check access tokens by (auth.keys)");
        return fault->id;
    }
    if (jwt_read(token, &ret->storage[0], &jwt, fault) != DECODE_DONE
        || auth_find_signer(config->keys, &jwt, &ret->key, fault) != FAULT_NONE
        || jwt_read_claims(&jwt, config->auth.user_claim, &ret->storage[1], &ret->claims, fault) != DECODE_DONE)
        return fault->id;
    ret->mark = key_mark(ret->key->key);
    enum fault_id refusal = auth_judge(config, ret, now_s, fault);
    return refusal == FAULT_NONE ? auth_read_rights(config, ret, fault) : refusal;
}

void auth_verdict_done(struct auth_verdict *verdict)
{
    buf_done(&verdict->storage[0]);
    buf_done(&verdict->storage[1]);
    buf_done(&verdict->storage[2]);
}

void auth_digest(struct bytes token, unsigned char ret[static AUTH_DIGEST_BYTES])
{
    unsigned char whole[SHA256_DIGEST_LENGTH];
    SHA256(token.data, token.length, whole);
    memcpy(ret, whole, AUTH_DIGEST_BYTES);
}

bool auth_digests_are_equal(const unsigned char *a, const unsigned char *b)
{
    return CRYPTO_memcmp(a, b, AUTH_DIGEST_BYTES) == 0;
}

/*
 * Keys from JWKs (RFC 7517, RFC 7518 section 6, RFC 8037).
 */
#include "lib/key_make.h"

#include "lib/json.h"
#include "lib/text.h"

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/param_build.h>

enum { MEMBERS_MAX = 32 };

static int jwk_refuse(struct buf *problem, const char *sentence)
{
    buf_add_text(problem, sentence);
    return -EBADMSG;
}

/* A member that is base64url. 0; -ENOENT: it is absent; -EBADMSG. */
static int jwk_bytes(struct bytes jwk, const char *name, struct buf *ret, struct buf *problem)
{
    struct bytes value = json_member(jwk, name), text;
    struct buf scratch = {0};
    if (value.length == 0)
        return -ENOENT;
    int r = json_string(value, &scratch, &text);
    if (r == 0)
        r = text_base64url_decode(ret, text);
    if (r == 0 && ret->length == 0)
        r = -EBADMSG;
    if (r == -EBADMSG)
        buf_add_format(problem, "the JWK's member %s is not base64url", name);
    key_wipe(&scratch);
    return r;
}

static int jwk_read_secret(struct bytes jwk, const struct key_wish *wish, struct key **ret, struct buf *problem)
{
    struct buf secret = {0};
    int r = jwk_bytes(jwk, "k", &secret, problem);
    if (r == -ENOENT)
        r = jwk_refuse(problem, "the JWK lacks its member k");
    if (r == 0)
        r = key_read_secret(buf_bytes(&secret), wish, ret, problem);
    key_wipe(&secret);
    return r;
}

/* RSA: each member a big-endian number. */
static const struct { const char *member, *parameter; bool is_public; } rsa_parts[] = {
    {"n", OSSL_PKEY_PARAM_RSA_N, true},             {"e", OSSL_PKEY_PARAM_RSA_E, true},
    {"d", OSSL_PKEY_PARAM_RSA_D, false},            {"p", OSSL_PKEY_PARAM_RSA_FACTOR1, false},
    {"q", OSSL_PKEY_PARAM_RSA_FACTOR2, false},      {"dp", OSSL_PKEY_PARAM_RSA_EXPONENT1, false},
    {"dq", OSSL_PKEY_PARAM_RSA_EXPONENT2, false},   {"qi", OSSL_PKEY_PARAM_RSA_COEFFICIENT1, false},
};

/* The numbers stay in `numbers` until the parameters were made. */
static int rsa_collect(struct bytes jwk, OSSL_PARAM_BLD *builder, BIGNUM *numbers[static COUNT_OF(rsa_parts)], bool *ret_is_private,
                       struct buf *problem)
{
    int r = 0;
    for (size_t i = 0; i < COUNT_OF(rsa_parts) && r == 0; i++) {
        struct buf bytes = {0};
        r = jwk_bytes(jwk, rsa_parts[i].member, &bytes, problem);
        if (r == -ENOENT && rsa_parts[i].is_public) {
            r = jwk_refuse(problem, "the JWK lacks its member n or e");
        } else if (r == -ENOENT) {
            r = 0;
        } else if (r == 0) {
            numbers[i] = BN_bin2bn(bytes.data, (int)bytes.length, NULL);
            *ret_is_private = *ret_is_private || strcmp(rsa_parts[i].member, "d") == 0;
            if (!numbers[i] || OSSL_PARAM_BLD_push_BN(builder, rsa_parts[i].parameter, numbers[i]) != 1)
                r = -ENOMEM;
        }
        key_wipe(&bytes);
    }
    return r;
}

static int ec_collect(struct bytes jwk, OSSL_PARAM_BLD *builder, struct buf *point, BIGNUM **ret_private, bool *ret_is_private,
                      struct buf *problem)
{
    struct buf x = {0}, y = {0}, d = {0};
    int r = jwk_bytes(jwk, "x", &x, problem);
    if (r == 0)
        r = jwk_bytes(jwk, "y", &y, problem);
    if (r == -ENOENT || (r == 0 && (x.length != 32 || y.length != 32)))
        r = jwk_refuse(problem, "the JWK needs the members x and y, of 32 bytes each");
    if (r == 0) {
        buf_add_byte(point, 4);         /* SEC 1 section 2.3.3: not compressed */
        buf_add_bytes(point, buf_bytes(&x));
        buf_add_bytes(point, buf_bytes(&y));
        r = jwk_bytes(jwk, "d", &d, problem);
        *ret_is_private = r == 0;
        r = r == -ENOENT ? 0 : r;
    }
    if (r == 0 && *ret_is_private)
        *ret_private = BN_bin2bn(d.data, (int)d.length, NULL);
    if (r == 0 && (OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1
                   || OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point->data, point->length) != 1
                   || (*ret_is_private && (!*ret_private
                                           || OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, *ret_private) != 1))))
        r = -ENOMEM;
    buf_done(&x);
    buf_done(&y);
    key_wipe(&d);
    return r;
}

static EVP_PKEY *pair_build(const char *type, OSSL_PARAM_BLD *builder, bool is_private)
{
    EVP_PKEY *pair = NULL;
    OSSL_PARAM *parameters = OSSL_PARAM_BLD_to_param(builder);
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
    if (parameters && context && EVP_PKEY_fromdata_init(context) == 1)
        (void)EVP_PKEY_fromdata(context, &pair, is_private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY, parameters);
    ERR_clear_error();
    EVP_PKEY_CTX_free(context);
    OSSL_PARAM_free(parameters);
    return pair;
}

static int jwk_read_built(struct bytes jwk, bool is_rsa, const struct key_wish *wish, struct key **ret, struct buf *problem)
{
    OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
    BIGNUM *numbers[COUNT_OF(rsa_parts)] = {0};
    struct buf point = {0};
    EVP_PKEY *pair = NULL;
    bool is_private = false;
    int r = -ENOMEM;
    if (builder)
        r = is_rsa ? rsa_collect(jwk, builder, numbers, &is_private, problem)
                   : ec_collect(jwk, builder, &point, &numbers[0], &is_private, problem);
    if (r == 0 && !(pair = pair_build(is_rsa ? "RSA" : "EC", builder, is_private)))
        r = jwk_refuse(problem, "the JWK's numbers do not make a key");
    OSSL_PARAM_BLD_free(builder);
    for (size_t i = 0; i < COUNT_OF(numbers); i++)
        BN_clear_free(numbers[i]);
    buf_done(&point);
    return r < 0 ? r : key_make_pair(pair, is_private, wish, ret, problem);
}

static int jwk_read_edwards(struct bytes jwk, const struct key_wish *wish, struct key **ret, struct buf *problem)
{
    struct buf x = {0}, d = {0};
    EVP_PKEY *pair = NULL;
    int r = jwk_bytes(jwk, "x", &x, problem);
    if (r == -ENOENT || (r == 0 && x.length != 32))
        r = jwk_refuse(problem, "the JWK needs the member x, of 32 bytes");
    if (r == 0)
        r = jwk_bytes(jwk, "d", &d, problem);
    bool is_private = r == 0;
    if (is_private)
        pair = EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, d.data, d.length);
    else if (r == -ENOENT)
        pair = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, x.data, x.length);
    ERR_clear_error();
    buf_done(&x);
    key_wipe(&d);
    if (r == -EBADMSG)
        return r;
    if (!pair)
        return jwk_refuse(problem, "the JWK's numbers do not make a key");
    return key_make_pair(pair, is_private, wish, ret, problem);
}

/* Is it meant for verifying signatures, as far as it says? (RFC 7517 sections 4.2 and 4.3) */
static bool jwk_is_for_signatures(struct bytes jwk)
{
    struct bytes use = json_member(jwk, "use"), operations = json_member(jwk, "key_ops"), item;
    struct json_scan scan;
    bool verifies = operations.length == 0;
    if (use.length && !json_string_is(use, "sig"))
        return false;
    json_scan_init(&scan, operations);
    int r = verifies ? -EBADMSG : json_enter(&scan, '[');
    while (r == 0 && json_next_element(&scan, 2, &item) == 1)
        verifies = verifies || json_string_is(item, "verify") || json_string_is(item, "sign");
    return verifies;
}

/* What it says of itself, and what was said of it, as one. */
static int jwk_read_wish(struct bytes jwk, const struct key_wish *said, struct buf *scratch, struct key_wish *ret, struct buf *problem)
{
    struct bytes algorithm = json_member(jwk, "alg"), id = json_member(jwk, "kid"), text;
    *ret = *said;
    if (algorithm.length) {
        enum key_algorithm own;
        if (json_string(algorithm, scratch, &text) < 0)
            return jwk_refuse(problem, "the JWK's member alg is no string");
        if (!key_algorithm_find(text, &own))
            return -ENOTSUP;
        if (said->has_algorithm && said->algorithm != own) {
            buf_add_format(problem, "the JWK says that it is for %s, not for %s", key_algorithm_name(own),
                           key_algorithm_name(said->algorithm));
            return -EBADMSG;
        }
        ret->has_algorithm = true;
        ret->algorithm = own;
    }
    if (id.length && said->id.length == 0) {
        if (json_string(id, scratch, &ret->id) < 0 || ret->id.length > KEY_ID_MAX)
            return jwk_refuse(problem, "the JWK's member kid is no string of at most 256 bytes");
    }
    return 0;
}

int key_read_jwk(struct bytes jwk, const struct key_wish *said, struct key **ret, struct buf *problem)
{
    struct bytes type = json_member(jwk, "kty"), curve = json_member(jwk, "crv");
    struct key_wish wish;
    struct buf scratch = {0};
    if (json_type(jwk) != JSON_OBJECT || json_check_members(jwk, MEMBERS_MAX) < 0)
        return jwk_refuse(problem, "a JWK is an object, with each member once");
    if (json_type(type) != JSON_STRING)
        return jwk_refuse(problem, "the JWK lacks its member kty");
    if (!jwk_is_for_signatures(jwk))
        return -ENOTSUP;
    /* Strings with escapes end up in it, one behind the other: it must not move. */
    int r = buf_room(&scratch, jwk.length) ? jwk_read_wish(jwk, said, &scratch, &wish, problem) : -ENOMEM;
    if (r == 0 && json_string_is(type, "oct"))
        r = jwk_read_secret(jwk, &wish, ret, problem);
    else if (r == 0 && json_string_is(type, "RSA"))
        r = jwk_read_built(jwk, true, &wish, ret, problem);
    else if (r == 0 && json_string_is(type, "EC") && json_string_is(curve, "P-256"))
        r = jwk_read_built(jwk, false, &wish, ret, problem);
    else if (r == 0 && json_string_is(type, "OKP") && json_string_is(curve, "Ed25519"))
        r = jwk_read_edwards(jwk, &wish, ret, problem);
    else if (r == 0)
        r = -ENOTSUP;
    buf_done(&scratch);
    return r;
}

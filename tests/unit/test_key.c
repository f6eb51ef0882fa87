/*
 * Keys: what may be one, what it is for, and signatures, checked against the RFCs' own examples and another implementation.
 */
#include "lib/key.h"
#include "lib/key_source.h"
#include "lib/text.h"
#include "tests/unit/test.h"
#include "tests/unit/token_vectors.h"

struct gathered {
    struct key *keys[16];
    size_t count;
};

static int gather(struct key *key, void *argument)
{
    struct gathered *gathered = argument;
    assert_true(gathered->count < COUNT_OF(gathered->keys));
    gathered->keys[gathered->count++] = key;
    return 0;
}

static void gathered_done(struct gathered *gathered)
{
    while (gathered->count)
        key_free(gathered->keys[--gathered->count]);
}

static struct bytes text_of(const char *name)
{
    for (size_t i = 0; i < vector_key_count; i++)
        if (strcmp(vector_keys[i].name, name) == 0)
            return bytes_of(vector_keys[i].text, vector_keys[i].length);
    fail_msg("no key %s", name);
    return (struct bytes){0};
}

static struct key *read_one(struct bytes text, const char *algorithm)
{
    struct key_wish wish = {0};
    struct gathered gathered = {0};
    struct buf problem = {0};
    if (algorithm)
        wish.has_algorithm = key_algorithm_find(bytes_text(algorithm), &wish.algorithm);
    int r = key_read_text(text, &wish, gather, &gathered, &problem);
    if (r < 0)
        fail_msg("%s", buf_text(&problem));
    assert_int_equal(gathered.count, 1);
    buf_done(&problem);
    return gathered.keys[0];
}

static void assert_refused(struct bytes text, const char *algorithm, const char *sentence)
{
    struct key_wish wish = {0};
    struct gathered gathered = {0};
    struct buf problem = {0};
    if (algorithm)
        wish.has_algorithm = key_algorithm_find(bytes_text(algorithm), &wish.algorithm);
    assert_int_equal(key_read_text(text, &wish, gather, &gathered, &problem), -EBADMSG);
    if (!strstr(buf_text(&problem), sentence))
        fail_msg("\"%s\" does not say \"%s\"", buf_text(&problem), sentence);
    gathered_done(&gathered);
    buf_done(&problem);
}

static bool verifies(const char *jwk, const char *token)
{
    struct buf signature = {0};
    const char *dot = strrchr(token, '.');
    struct key *key = read_one(bytes_text(jwk), NULL);
    assert_int_equal(text_base64url_decode(&signature, bytes_text(dot + 1)), 0);
    bool is_right = key_verifies(key, bytes_of(token, (size_t)(dot - token)), buf_bytes(&signature));
    if (signature.length) {
        signature.data[signature.length / 2] ^= 1;
        assert_false(key_verifies(key, bytes_of(token, (size_t)(dot - token)), buf_bytes(&signature)));
    }
    buf_done(&signature);
    key_free(key);
    return is_right;
}

/* RFC 7515 appendices A.1 and A.3, RFC 8037 appendix A.4. */
static void test_the_examples_of_the_rfcs(void **state)
{
    assert_true(verifies(
        "{\"kty\":\"oct\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}",
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19"
        "yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"));
    assert_true(verifies(
        "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\",\"d\":\"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI\"}",
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ."
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"));
    assert_true(verifies(
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}",
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5B"
        "hVsPt9g7sVvpAr_MuM0KAg"));
}

static void test_the_key_decides_the_algorithm(void **state)
{
    static const struct { const char *name, *wish, *algorithm, *id; bool can_sign; } rows[] = {
        {"rsa.pem", NULL, "RS256", "", false},      {"rsa.pem", "PS256", "PS256", "", false},
        {"rsa.crt", NULL, "RS256", "", false},      {"rsa.key", NULL, "RS256", "", true},
        {"ec.pem", NULL, "ES256", "", false},       {"ec.key", "ES256", "ES256", "", true},
        {"ed.pem", NULL, "EdDSA", "", false},       {"ed.key", NULL, "EdDSA", "", true},
        {"secret", "HS256", "HS256", "", true},     {"secret.jwk", NULL, "HS256", "s", true},
        {"rsa.jwk", NULL, "RS256", "main", false},  {"rsa-pss.jwk", NULL, "PS256", "", false},
        {"ec.jwk", NULL, "ES256", "e", false},      {"ed.jwk", NULL, "EdDSA", "", false},
        {"rsa-pair.jwk", "PS256", "PS256", "", true}, {"ec-pair.jwk", NULL, "ES256", "", true}, {"ed-pair.jwk", NULL, "EdDSA", "", true},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct key *key = read_one(text_of(rows[i].name), rows[i].wish);
        assert_string_equal(key_algorithm_name(key_algorithm(key)), rows[i].algorithm);
        assert_bytes(key_id(key), rows[i].id);
        assert_int_equal(key_can_sign(key), rows[i].can_sign);
        key_free(key);
    }
}

static void test_what_is_no_key_is_refused(void **state)
{
    static const struct { const char *name, *wish, *sentence; } rows[] = {
        {"rsa1024.pem", NULL, "1024 bits; 2048 at least"},  {"rsa1024.jwk", NULL, "1024 bits"},
        {"p384.pem", NULL, "secp384r1; ES256 needs P-256"}, {"ec-off.jwk", NULL, "do not make a key"},
        {"rsa.pem", "HS256", "is a key for RS256, not for HS256"},    {"ec.pem", "RS256", "is a key for ES256, not for RS256"},
        {"secret", NULL, "neither PEM nor a JWK"},          {"secret", "RS256", "neither PEM nor a JWK"},
        {"rsa.jwk", "PS256", "says that it is for RS256"},  {"secret.jwk", "RS256", "says that it is for HS256"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_refused(text_of(rows[i].name), rows[i].wish, rows[i].sentence);
    static const struct { const char *text, *wish, *sentence; } texts[] = {
        {"", NULL, "neither PEM"}, {"", "HS256", "has 0 bytes"}, {"short\n", "HS256", "has 5 bytes"},
        {"0123456789012345678901234567890\n", "HS256", "has 31 bytes"},
        {"{}", NULL, "lacks its member kty"}, {"{\"kty\":5}", NULL, "lacks its member kty"}, {"{\"kty\":\"oct\"}", NULL, "lacks its member k"},
        {"{\"kty\":\"oct\",\"k\":\"AAA=\"}", NULL, "k is not base64url"}, {"{\"kty\":\"oct\",\"k\":\"AAAA\"}", NULL, "has 3 bytes"},
        {"{\"kty\":\"oct\",\"k\":5}", NULL, "k is not base64url"}, {"{\"kty\":\"RSA\",\"n\":\"AQAB\"}", NULL, "lacks its member n or e"},
        {"{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}", NULL, "17 bits"}, {"{\"kty\":\"EC\",\"crv\":\"P-384\"}", NULL, "not for verifying"},
        {"{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}", NULL, "32 bytes"},
        {"{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AA\"}", NULL, "32 bytes"}, {"{\"kty\":\"oct\",\"kty\":\"RSA\"}", NULL, "each member once"},
        {"{\"keys\":[]}", NULL, "no key in it"}, {"{\"keys\":{}}", NULL, "no list"}, {"{\"keys\":[5]}", NULL, "is an object"},
        {"{\"keys\":[", NULL, "JSON is wrong"}, {"{\"kty\":\"oct\",\"use\":\"enc\",\"k\":\"AAAA\"}", NULL, "not for verifying"},
        {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", NULL, "no key that is known"},
        {"-----BEGIN PUBLIC KEY-----\nAAAA", NULL, "damaged"},
        {"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", "HS256", "no key that is known"},
        {"-----BEGIN DH PARAMETERS-----\nAAAA\n-----END DH PARAMETERS-----\n", NULL, "DH PARAMETERS"},
        {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", NULL, "passphrase"},
    };
    for (size_t i = 0; i < COUNT_OF(texts); i++)
        assert_refused(bytes_text(texts[i].text), texts[i].wish, texts[i].sentence);
}

static void test_two_keys_in_one_pem_are_refused(void **state)
{
    struct buf both = {0};
    buf_add_bytes(&both, text_of("rsa.pem"));
    buf_add_bytes(&both, text_of("ec.pem"));
    assert_refused(buf_bytes(&both), NULL, "more than one key");
    buf_done(&both);
}

static void test_a_set_is_read_without_what_is_for_others(void **state)
{
    struct gathered gathered = {0};
    struct key_wish wish = {0};
    struct buf problem = {0};
    assert_int_equal(key_read_text(text_of("all.jwks"), &wish, gather, &gathered, &problem), 0);
    assert_int_equal(gathered.count, 5);
    assert_bytes(key_id(gathered.keys[0]), "main");
    gathered_done(&gathered);
    buf_done(&problem);
}

/* Every prefix of every text: none is half a key, and none crashes the reader. */
static void test_cut_texts(void **state)
{
    for (size_t i = 0; i < vector_key_count; i++) {
        struct bytes whole = bytes_of(vector_keys[i].text, vector_keys[i].length);
        bool is_json = whole.data[0] == '{', is_pem = memcmp(whole.data, "--", 2) == 0;
        for (size_t length = 0; (is_json || is_pem) && length + 2 < whole.length; length += 1 + length / 40) {
            struct gathered gathered = {0};
            struct key_wish wish = {0};
            struct buf problem = {0};
            assert_int_equal(key_read_text(bytes_of(whole.data, length), &wish, gather, &gathered, &problem), -EBADMSG);
            gathered_done(&gathered);
            buf_done(&problem);
        }
    }
}

static void test_what_one_signs_the_other_verifies(void **state)
{
    static const struct { const char *private_key, *public_key, *algorithm; } rows[] = {
        {"rsa.key", "rsa.pem", "RS256"},     {"rsa.key", "rsa.crt", "PS256"},     {"ec.key", "ec.jwk", "ES256"}, {"ed.key", "ed.pem", "EdDSA"},
        {"secret", "secret.jwk", "HS256"},   {"rsa-pair.jwk", "rsa.pem", "RS256"}, {"ec-pair.jwk", "ec.pem", "ES256"},
        {"ed-pair.jwk", "ed.jwk", "EdDSA"},
    };
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct key *signer = read_one(text_of(rows[i].private_key), rows[i].algorithm);
        struct key *verifier = read_one(text_of(rows[i].public_key), rows[i].algorithm);
        struct buf signature = {0};
        assert_int_equal(key_sign(signer, BYTES("some text"), &signature), 0);
        assert_true(key_verifies(verifier, BYTES("some text"), buf_bytes(&signature)));
        assert_false(key_verifies(verifier, BYTES("some texT"), buf_bytes(&signature)));
        assert_false(key_verifies(verifier, BYTES(""), buf_bytes(&signature)));
        assert_false(key_verifies(verifier, BYTES("some text"), (struct bytes){0}));
        if (!key_can_sign(verifier))
            assert_int_equal(key_sign(verifier, BYTES("some text"), &signature), -EPERM);
        buf_done(&signature);
        key_free(signer);
        key_free(verifier);
    }
}

static void test_sources(void **state)
{
    struct key_source source;
    const char *problem;
    assert_int_equal(key_source_parse("/etc/key.pem", &source, &problem), 0);
    assert_bytes(source.name, "/etc/key.pem");
    assert_false(source.is_credential || source.wish.has_algorithm || source.issuer.length);
    assert_int_equal(key_source_parse("credential:token-key  alg=HS256 kid=a issuer=https://x.example", &source, &problem), 0);
    assert_bytes(source.name, "token-key");
    assert_true(source.is_credential && source.wish.has_algorithm && source.wish.algorithm == KEY_HS256);
    assert_bytes(source.wish.id, "a");
    assert_bytes(source.issuer, "https://x.example");
    assert_int_equal(key_source_parse("https://x.example:8443/keys issuer=x", &source, &problem), 0);
    assert_true(source.is_url);
    assert_int_equal(key_source_parse("http://127.0.0.1:80/keys", &source, &problem), 0);
    assert_int_equal(key_source_parse("http://localhost/keys alg=PS256", &source, &problem), 0);
    static const char *const bad[] = {
        "", " ", "key.pem", "/", "credential:", "credential:../x", "credential:..", "credential:a/b", "/k alg=none", "/k alg=hs256",
        "/k alg=", "/k kid=", "/k issuer=", "/k secret", "/k alg=HS256 x=y", "http://x.example/keys", "https:///keys", "http://127.0.0.1.evil.example/keys", "http://localhost@evil/keys",
        "ftp://x.example/keys", "https://", "https://x.example/keys alg=HS256",
    };
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_int_equal(key_source_parse(bad[i], &source, &problem), -EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_the_examples_of_the_rfcs), TEST(test_the_key_decides_the_algorithm), TEST(test_what_is_no_key_is_refused),
        TEST(test_two_keys_in_one_pem_are_refused), TEST(test_a_set_is_read_without_what_is_for_others), TEST(test_cut_texts),
        TEST(test_what_one_signs_the_other_verifies), TEST(test_sources),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

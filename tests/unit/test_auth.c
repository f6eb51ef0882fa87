/*
 * Auth: tokens by another implementation, good ones and every kind of bad one; the rules; key files and their modes.
 */
#include "daemon/auth/auth.h"
#include "daemon/auth/secret_file.h"
#include "lib/text.h"
#include "tests/unit/test.h"
#include "tests/unit/token_vectors.h"

#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/rtcd-test-auth-XXXXXX";

static const char *path_of(const char *name)
{
    static char path[200];
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    return path;
}

static void write_file(const char *name, const void *data, size_t length, mode_t mode)
{
    FILE *file = fopen(path_of(name), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, length, file), length);
    fclose(file);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static int set_up(void **state)
{
    assert_non_null(mkdtemp(folder));
    for (size_t i = 0; i < vector_key_count; i++)
        write_file(vector_keys[i].name, vector_keys[i].text, vector_keys[i].length, 0600);
    return 0;
}

static int tear_down(void **state)
{
    for (size_t i = 0; i < vector_key_count; i++)
        unlink(path_of(vector_keys[i].name));
    unlink(path_of("other"));
    return rmdir(folder);
}

/* A config with just this in it. */
struct setting {
    struct config config;
    char *items[16];
    struct buf problems;
    int r;
};

static void setting_load(struct setting *setting, const char *const *sources, size_t count)
{
    *setting = (struct setting){.config.auth = {.requires_exp = true, .leeway_ms = 2000, .user_claim = (char *)"sub", .rights_claim = (char *)"rtc"}};
    for (size_t i = 0; i < count; i++) {
        setting->items[i] = calloc(1, 300);
        snprintf(setting->items[i], 300, "%s%s%s", sources[i][0] == '!' ? "" : folder, sources[i][0] == '!' ? "" : "/",
                 sources[i] + (sources[i][0] == '!'));
    }
    setting->config.auth.keys = (struct text_list){setting->items, count};
    setting->r = auth_load(&setting->config, NULL, &setting->problems);
}

static void setting_done(struct setting *setting)
{
    if (setting->config.free_keys)
        setting->config.free_keys(&setting->config);
    for (size_t i = 0; i < COUNT_OF(setting->items); i++)
        free(setting->items[i]);
    buf_done(&setting->problems);
}

static const char *const all_keys[] = {"secret alg=HS256", "rsa.pem kid=main", "rsa-pss.pem alg=PS256", "ec.pem", "ed.pem"};

static const struct vector *vector_named(const char *what)
{
    for (size_t i = 0; i < vector_count; i++)
        if (strcmp(vectors[i].what, what) == 0)
            return &vectors[i];
    fail_msg("no token %s", what);
    return NULL;
}

static enum fault_id verify(const struct setting *setting, const struct vector *vector, struct fault *fault)
{
    struct auth_verdict verdict;
    *fault = (struct fault){0};
    enum fault_id refusal = auth_verify(&setting->config, bytes_of(vector->token, vector->length), vectors_now_s, &verdict, fault);
    auth_verdict_done(&verdict);
    return refusal;
}

static void test_every_token(void **state)
{
    struct setting setting;
    setting_load(&setting, all_keys, COUNT_OF(all_keys));
    assert_int_equal(setting.r, 0);
    for (size_t i = 0; i < vector_count; i++) {
        const struct vector *vector = &vectors[i];
        struct auth_verdict verdict;
        struct fault fault = {0};
        /* Just as large as the token, so that a sanitizer sees one byte too many. */
        unsigned char *copy = malloc(vector->length + (vector->length == 0));
        memcpy(copy, vector->token, vector->length);
        enum fault_id refusal = auth_verify(&setting.config, bytes_of(copy, vector->length), vectors_now_s, &verdict, &fault);
        if (vector->user) {
            if (refusal != FAULT_NONE)
                fail_msg("%s: refused: %s", vector->what, fault_message(&fault));
            assert_bytes(verdict.claims.user, vector->user);
        } else {
            bool is_expiry = strncmp(vector->detail, "expired", 7) == 0;
            if (refusal == FAULT_NONE)
                fail_msg("%s: taken", vector->what);
            if (!strstr(fault_message(&fault), vector->detail))
                fail_msg("%s: \"%s\" does not say \"%s\"", vector->what, fault_message(&fault), vector->detail);
            assert_int_equal(refusal, is_expiry ? FAULT_EXPIRED : FAULT_INVALID_TOKEN);
        }
        auth_verdict_done(&verdict);
        free(copy);
    }
    setting_done(&setting);
}

/* What is cut off or changed anywhere is refused, whatever it is. */
static void test_every_cut_and_every_changed_byte(void **state)
{
    struct setting setting;
    setting_load(&setting, all_keys, COUNT_OF(all_keys));
    for (size_t i = 0; i < vector_count; i++) {
        const struct vector *vector = &vectors[i];
        struct vector changed = *vector;
        struct fault fault;
        char copy[JWT_BYTES_MAX];
        if (!vector->user || (strcmp(vector->what, "HS256") != 0 && strcmp(vector->what, "ES256") != 0))
            continue;
        changed.token = copy;
        memcpy(copy, vector->token, vector->length);
        for (changed.length = 0; changed.length < vector->length; changed.length++)
            assert_int_not_equal(verify(&setting, &changed, &fault), FAULT_NONE);
        for (size_t at = 0; at < vector->length; at++) {
            copy[at] = copy[at] == 'A' ? 'B' : 'A';
            assert_int_not_equal(verify(&setting, &changed, &fault), FAULT_NONE);
            copy[at] = vector->token[at];
        }
        assert_int_equal(verify(&setting, &changed, &fault), FAULT_NONE);
    }
    setting_done(&setting);
}

static void test_without_keys_no_token_is_taken(void **state)
{
    struct setting setting;
    struct fault fault;
    setting_load(&setting, NULL, 0);
    assert_int_equal(setting.r, 0);
    assert_int_equal(verify(&setting, vector_named("HS256"), &fault), FAULT_INVALID_TOKEN);
    assert_non_null(strstr(fault.detail, "auth.keys"));
    setting_done(&setting);
}

static void test_a_set_of_jwks_verifies_all(void **state)
{
    static const char *const sources[] = {"all.jwks"};
    static const char *const tokens[] = {"HS256", "RS256", "PS256", "ES256", "EdDSA", "kid that is known"};
    struct setting setting;
    struct fault fault;
    setting_load(&setting, sources, 1);
    for (size_t i = 0; i < COUNT_OF(tokens); i++)
        assert_int_equal(verify(&setting, vector_named(tokens[i]), &fault), FAULT_NONE);
    setting_done(&setting);
}

static void test_a_key_is_bound_to_its_issuer(void **state)
{
    static const char *const sources[] = {"secret alg=HS256 issuer=https://mine.example", "ec.pem"};
    char *issuers[] = {(char *)"https://other.example"};
    struct setting setting;
    struct fault fault;
    setting_load(&setting, sources, 2);
    assert_int_equal(verify(&setting, vector_named("HS256"), &fault), FAULT_INVALID_TOKEN);
    assert_non_null(strstr(fault.detail, "no iss"));
    assert_int_equal(verify(&setting, vector_named("ES256"), &fault), FAULT_NONE);
    setting.config.auth.issuers = (struct text_list){issuers, 1};
    assert_int_equal(verify(&setting, vector_named("ES256"), &fault), FAULT_INVALID_TOKEN);
    setting_done(&setting);
}

/* Claims as another issuer may write them, against rules. */
static enum fault_id check(const char *json, const struct jwt_rules *rules, uint64_t now_s, struct fault *fault)
{
    struct buf encoded = {0}, storage = {0};
    struct jwt jwt = {0};
    struct jwt_claims claims;
    for (const char *at = json; *at; at++)
        buf_add_byte(&encoded, (unsigned char)(*at == '\'' ? '"' : *at));
    struct buf text = {0};
    text_add_base64url(&text, buf_bytes(&encoded));
    jwt.claims_text = buf_bytes(&text);
    *fault = (struct fault){0};
    enum fault_id refusal = FAULT_INTERNAL;
    if (jwt_read_claims(&jwt, "sub", &storage, &claims, fault) == DECODE_DONE)
        refusal = jwt_check(&claims, rules, now_s, fault);
    buf_done(&encoded);
    buf_done(&text);
    buf_done(&storage);
    return refusal;
}

static void test_issuers_audiences_and_times(void **state)
{
    char *issuers[] = {(char *)"a", (char *)"https://b.example"}, *audiences[] = {(char *)"rtc", (char *)"chat"};
    struct jwt_rules rules = {.issuers = issuers, .issuer_count = 2, .audiences = audiences, .audience_count = 2, .leeway_s = 10,
                              .requires_expiry = true};
    static const struct { const char *json; enum fault_id refusal; } rows[] = {
        {"{'sub':'u','exp':1100,'iss':'a','aud':'rtc'}", FAULT_NONE},
        {"{'sub':'u','exp':1100,'iss':'https://b.example','aud':['x','chat']}", FAULT_NONE},
        {"{'sub':'u','exp':1100,'iss':'https:\\/\\/b.example','aud':['x','\\u0063hat']}", FAULT_NONE},
        {"{'sub':'u','exp':1100,'iss':'A','aud':'rtc'}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','exp':1100,'iss':'','aud':'rtc'}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','exp':1100,'aud':'rtc'}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','exp':1100,'iss':'a'}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','exp':1100,'iss':'a','aud':[]}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','exp':1100,'iss':'a','aud':['RTC','rtc ']}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','iss':'a','aud':'rtc'}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','exp':991,'iss':'a','aud':'rtc'}", FAULT_NONE},
        {"{'sub':'u','exp':990,'iss':'a','aud':'rtc'}", FAULT_EXPIRED},
        {"{'sub':'u','exp':1100,'nbf':1010,'iat':1010,'iss':'a','aud':'rtc'}", FAULT_NONE},
        {"{'sub':'u','exp':1100,'nbf':1011,'iss':'a','aud':'rtc'}", FAULT_INVALID_TOKEN},
        {"{'sub':'u','exp':1100,'iat':1011,'iss':'a','aud':'rtc'}", FAULT_INVALID_TOKEN},
    };
    struct fault fault;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (check(rows[i].json, &rules, 1000, &fault) != rows[i].refusal)
            fail_msg("%s: %s", rows[i].json, fault_message(&fault));
    rules.requires_expiry = false;
    assert_int_equal(check("{'sub':'u','iss':'a','aud':'rtc'}", &rules, 1000, &fault), FAULT_NONE);
    rules.issuer_count = rules.audience_count = 0;
    assert_int_equal(check("{'sub':'u','iss':'whoever'}", &rules, 1000, &fault), FAULT_NONE);
    assert_int_equal(check("{'sub':'u','aud':'rtc'}", &rules, 1000, &fault), FAULT_INVALID_TOKEN);
}

static void assert_not_loaded(const char *source, const char *sentence)
{
    struct setting setting;
    setting_load(&setting, &source, 1);
    assert_int_equal(setting.r, -EINVAL);
    assert_null(setting.config.keys);
    if (!strstr(buf_text(&setting.problems), sentence))
        fail_msg("\"%s\" does not say \"%s\"", buf_text(&setting.problems), sentence);
    setting_done(&setting);
}

static void assert_loaded(const char *source)
{
    struct setting setting;
    setting_load(&setting, &source, 1);
    if (setting.r < 0)
        fail_msg("%s", buf_text(&setting.problems));
    setting_done(&setting);
}

static void test_files_that_others_can_read(void **state)
{
    static const mode_t open_modes[] = {0640, 0604, 0644, 0660, 0666, 0610, 0444};
    static const char *const secrets[] = {"secret alg=HS256", "rsa.key", "ec-pair.jwk", "all.jwks", "secret.jwk"};
    for (size_t i = 0; i < COUNT_OF(secrets); i++) {
        char name[40], mode[10];
        snprintf(name, sizeof(name), "%.*s", (int)strcspn(secrets[i], " "), secrets[i]);
        for (size_t m = 0; m < COUNT_OF(open_modes); m++) {
            chmod(path_of(name), open_modes[m]);
            snprintf(mode, sizeof(mode), "%04o", open_modes[m]);
            assert_not_loaded(secrets[i], mode);
            assert_not_loaded(secrets[i], path_of(name));
        }
        chmod(path_of(name), 0400);
        assert_loaded(secrets[i]);
        chmod(path_of(name), 0600);
    }
    chmod(path_of("rsa.pem"), 0644);
    assert_loaded("rsa.pem");
    chmod(path_of("rsa.pem"), 0646);
    assert_not_loaded("rsa.pem", "anybody change it");
    chmod(path_of("rsa.pem"), 0600);
}

static void test_files_that_are_none(void **state)
{
    assert_not_loaded("missing.pem", "No such file");
    assert_not_loaded("!/dev/zero", "not a file");
    assert_not_loaded("!/tmp", "not a file");
    static char large[SECRET_FILE_BYTES_MAX + 1];
    write_file("other", large, sizeof(large), 0600);
    assert_not_loaded("other", "more than 256 KiB");
    write_file("other", "", 0, 0600);
    assert_not_loaded("other", "neither PEM nor a JWK");
    unsetenv("CREDENTIALS_DIRECTORY");
    assert_not_loaded("!credential:secret alg=HS256", "LoadCredential");
}

static void test_credentials(void **state)
{
    setenv("CREDENTIALS_DIRECTORY", folder, 1);
    chmod(path_of("secret"), 0440);             /* as systemd leaves them, where an access list lends them */
    assert_loaded("!credential:secret alg=HS256");
    chmod(path_of("secret"), 0444);
    assert_not_loaded("!credential:secret alg=HS256", "0444");
    chmod(path_of("secret"), 0600);
    unsetenv("CREDENTIALS_DIRECTORY");
}

static void test_all_that_is_wrong_is_said_at_once(void **state)
{
    static const char *const sources[] = {"missing", "rsa1024.pem", "rsa.pem", "p384.pem"};
    struct setting setting;
    setting_load(&setting, sources, COUNT_OF(sources));
    assert_int_equal(setting.r, -EINVAL);
    assert_null(setting.config.keys);
    const char *problems = buf_text(&setting.problems);
    assert_non_null(strstr(problems, "missing"));
    assert_non_null(strstr(problems, "rsa1024.pem"));
    assert_non_null(strstr(problems, "p384.pem"));
    assert_null(strstr(problems, "/rsa.pem"));
    setting_done(&setting);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_every_token), TEST(test_every_cut_and_every_changed_byte), TEST(test_without_keys_no_token_is_taken),
        TEST(test_a_set_of_jwks_verifies_all), TEST(test_a_key_is_bound_to_its_issuer), TEST(test_issuers_audiences_and_times),
        TEST(test_files_that_others_can_read), TEST(test_files_that_are_none), TEST(test_credentials),
        TEST(test_all_that_is_wrong_is_said_at_once),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}

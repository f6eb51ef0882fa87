/*
 * Verify: how many access tokens one thread verifies a second of CPU time, by algorithm: all that a daemon does for each, from the
 * token's text to its user; and how many signatures bare OpenSSL verifies in a loop of its own, in one thread, of texts as long.
 * `verify [THREADS]` (default 1): with more, what they cost one another shows.
 */
#include "daemon/auth/auth.h"
#include "lib/text.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <time.h>

enum { THREADS_MAX = 64, BATCH = 64 };
static const double MEASURE_S = 1.0;

struct subject {
    struct config config;
    struct buf token;
    double rates[THREADS_MAX];
    unsigned next;
    pthread_barrier_t barrier;
};

static int keep_key(struct key *key, void *argument)
{
    *(struct key **)argument = key;
    return 0;
}

static const struct bytes secret = BYTES("a secret of at least thirty-two bytes, as it has to be");

/* NULL: it signs with a secret. */
static EVP_PKEY *make_pair(enum key_algorithm algorithm)
{
    if (algorithm == KEY_RS256 || algorithm == KEY_PS256)
        return EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    if (algorithm == KEY_ES256)
        return EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    return algorithm == KEY_EDDSA ? EVP_PKEY_Q_keygen(NULL, NULL, "ED25519") : NULL;
}

static struct key *make_key(enum key_algorithm algorithm)
{
    struct key_wish wish = {.has_algorithm = true, .algorithm = algorithm};
    struct buf problem = {0};
    struct key *key = NULL;
    struct bytes text = secret;
    EVP_PKEY *pair = make_pair(algorithm);
    BIO *bio = BIO_new(BIO_s_mem());
    if (pair) {
        char *data;
        PEM_write_bio_PrivateKey(bio, pair, NULL, NULL, 0, NULL, NULL);
        long length = BIO_get_mem_data(bio, &data);
        text = bytes_of(data, (size_t)length);
    }
    if (key_read_text(text, &wish, keep_key, &key, &problem) < 0) {
        fprintf(stderr, "verify: %s\n", buf_text(&problem));
        exit(EX_SOFTWARE);
    }
    BIO_free(bio);
    EVP_PKEY_free(pair);
    return key;
}

static void make_token(const struct key *key, struct buf *token)
{
    struct buf header = {0}, signature = {0};
    buf_add_format(&header, "{\"alg\":\"%s\",\"typ\":\"JWT\"}", key_algorithm_name(key_algorithm(key)));
    text_add_base64url(token, buf_bytes(&header));
    buf_add_byte(token, '.');
    text_add_base64url(token, BYTES("{\"iss\":\"https://login.example.org\",\"sub\":\"alice\",\"iat\":1700000000,\"exp\":4000000000,"
                                    "\"jti\":\"0e4ffb5a-7a6b-4a3c-9f6c-8f0f2f0d1c2b\"}"));
    if (key_sign(key, buf_bytes(token), &signature) < 0)
        exit(EX_SOFTWARE);
    buf_add_byte(token, '.');
    text_add_base64url(token, buf_bytes(&signature));
    buf_done(&header);
    buf_done(&signature);
}

static double seconds(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void *run(void *argument)
{
    struct subject *subject = argument;
    unsigned index = __atomic_fetch_add(&subject->next, 1, __ATOMIC_RELAXED);
    uint64_t count = 0;
    pthread_barrier_wait(&subject->barrier);
    double start = seconds(CLOCK_MONOTONIC), start_cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    while (seconds(CLOCK_MONOTONIC) - start < MEASURE_S) {
        for (unsigned i = 0; i < BATCH; i++) {
            struct auth_verdict verdict;
            struct fault fault = {0};
            if (auth_verify(&subject->config, buf_bytes(&subject->token), 1700000001, &verdict, &fault) != FAULT_NONE)
                exit(EX_SOFTWARE);
            auth_verdict_done(&verdict);
        }
        count += BATCH;
    }
    subject->rates[index] = (double)count / (seconds(CLOCK_THREAD_CPUTIME_ID) - start_cpu);
    return NULL;
}

/* The least that a verification can be: one call of OpenSSL's on what is there already. */
struct bare {
    EVP_PKEY *pair;
    EVP_MD_CTX *context;
    const EVP_MD *digest;
    bool is_pss;
    unsigned char signature[512];
    size_t length;
};

static bool bare_begin(struct bare *bare, bool signs)
{
    EVP_PKEY_CTX *padding;
    EVP_MD_CTX_reset(bare->context);
    int r = signs ? EVP_DigestSignInit(bare->context, &padding, bare->digest, NULL, bare->pair)
        : EVP_DigestVerifyInit(bare->context, &padding, bare->digest, NULL, bare->pair);
    return r == 1 && (!bare->is_pss || EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) == 1);
}

static bool bare_verify(struct bare *bare, struct bytes text)
{
    unsigned char mac[32];
    if (bare->pair)
        return bare_begin(bare, false) && EVP_DigestVerify(bare->context, bare->signature, bare->length, text.data, text.length) == 1;
    return HMAC(EVP_sha256(), secret.data, (int)secret.length, text.data, text.length, mac, NULL)
        && CRYPTO_memcmp(mac, bare->signature, sizeof(mac)) == 0;
}

static double bare_rate(enum key_algorithm algorithm, struct bytes text)
{
    struct bare bare = {.pair = make_pair(algorithm), .context = EVP_MD_CTX_new(), .is_pss = algorithm == KEY_PS256,
                        .digest = algorithm == KEY_EDDSA ? NULL : EVP_sha256(), .length = sizeof(bare.signature)};
    bool is_signed = bare.pair ? bare_begin(&bare, true) && EVP_DigestSign(bare.context, bare.signature, &bare.length, text.data, text.length) == 1
        : HMAC(EVP_sha256(), secret.data, (int)secret.length, text.data, text.length, bare.signature, NULL) != NULL;
    uint64_t count = 0;
    double start = seconds(CLOCK_MONOTONIC), start_cpu = seconds(CLOCK_THREAD_CPUTIME_ID);
    for (; is_signed && seconds(CLOCK_MONOTONIC) - start < MEASURE_S; count += BATCH)
        for (unsigned i = 0; i < BATCH; i++)
            if (!bare_verify(&bare, text))
                exit(EX_SOFTWARE);
    double rate = (double)count / (seconds(CLOCK_THREAD_CPUTIME_ID) - start_cpu);
    EVP_MD_CTX_free(bare.context);
    EVP_PKEY_free(bare.pair);
    return rate;
}

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    if (threads < 1 || threads > THREADS_MAX)
        return EX_USAGE;
    printf("algorithm\tper CPU second and thread\tbare OpenSSL\tratio\n");
    for (enum key_algorithm algorithm = 0; algorithm < KEY_ALGORITHM_COUNT; algorithm++) {
        struct keys keys = {.items = {{.key = make_key(algorithm), .source = ""}}, .count = 1};
        struct subject subject = {.config = {.keys = &keys, .auth = {.user_claim = (char *)"sub", .rights_claim = (char *)"rtc", .requires_exp = true}}};
        pthread_t started[THREADS_MAX];
        make_token(keys.items[0].key, &subject.token);
        pthread_barrier_init(&subject.barrier, NULL, threads);
        for (unsigned i = 0; i < threads; i++)
            if (pthread_create(&started[i], NULL, run, &subject) != 0)
                return EX_OSERR;
        double sum = 0;
        for (unsigned i = 0; i < threads; i++) {
            pthread_join(started[i], NULL);
            sum += subject.rates[i];
        }
        const unsigned char *dot = memrchr(subject.token.data, '.', subject.token.length);
        double bare = bare_rate(algorithm, bytes_of(subject.token.data, (size_t)(dot - subject.token.data)));
        printf("%s\t%.0f\t%.0f\t%.2f\n", key_algorithm_name(algorithm), sum / threads, bare, sum / threads / bare);
        pthread_barrier_destroy(&subject.barrier);
        buf_done(&subject.token);
        key_free(keys.items[0].key);
    }
    return EX_OK;
}

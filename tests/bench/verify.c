/*
 * Verify: how many access tokens one thread verifies a second of CPU time, by algorithm: all that a daemon does for each, from the
 * token's text to its user. `verify [THREADS]` (default 1): with more, what they cost one another shows.
 */
#include "daemon/auth/auth.h"
#include "lib/text.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
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

static struct key *make_key(enum key_algorithm algorithm)
{
    struct key_wish wish = {.has_algorithm = true, .algorithm = algorithm};
    struct buf problem = {0};
    struct key *key = NULL;
    struct bytes text = BYTES("a secret of at least thirty-two bytes, as it has to be");
    EVP_PKEY *pair = NULL;
    BIO *bio = BIO_new(BIO_s_mem());
    if (algorithm == KEY_RS256 || algorithm == KEY_PS256)
        pair = EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)2048);
    else if (algorithm == KEY_ES256)
        pair = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
    else if (algorithm == KEY_EDDSA)
        pair = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
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

int main(int argc, char **argv)
{
    unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
    if (threads < 1 || threads > THREADS_MAX)
        return EX_USAGE;
    printf("algorithm\tper CPU second and thread\n");
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
        printf("%s\t%.0f\n", key_algorithm_name(algorithm), sum / threads);
        pthread_barrier_destroy(&subject.barrier);
        buf_done(&subject.token);
        key_free(keys.items[0].key);
    }
    return EX_OK;
}

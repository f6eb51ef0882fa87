/*
 * TLS: see tls.h. There is a context of OpenSSL's for each certificate; all have the same rules, and clients move between them by the
 * name that they ask for.
 */
#include "daemon/net/tls.h"

#include "daemon/config/config.h"
#include "daemon/net/tls_certificate.h"
#include "daemon/net/tls_tickets.h"
#include "lib/log.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

struct tls {
    atomic_uint reference_count;
    struct tls_tickets *tickets;
    enum config_certificate client_certificate;
    enum config_certificate_user client_user;
    size_t context_count;
    SSL_CTX *contexts[];
};

struct tls_store {
    pthread_mutex_t lock;
    struct tls *present;
    struct tls_tickets *tickets;
};

/* What OpenSSL asks of us in a handshake */

static int on_alpn(SSL *ssl, const unsigned char **ret, unsigned char *ret_length, const unsigned char *offer, unsigned length,
                   void *argument)
{
    static const unsigned char ours[] = "\x08http/1.1";
    int r = SSL_select_next_proto((unsigned char **)ret, ret_length, ours, sizeof(ours) - 1, offer, length);
    return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int on_server_name(SSL *ssl, int *alert, void *argument)
{
    const struct tls *tls = argument;
    const char *name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
    for (size_t i = 0; name && i < tls->context_count; i++) {
        if (!tls_certificate_covers(SSL_CTX_get0_certificate(tls->contexts[i]), name))
            continue;
        SSL_set_SSL_CTX(ssl, tls->contexts[i]);
        return SSL_TLSEXT_ERR_OK;
    }
    return name ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static int on_ticket(SSL *ssl, unsigned char *name, unsigned char *iv, EVP_CIPHER_CTX *cipher, EVP_MAC_CTX *mac, int is_new)
{
    const struct tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    return is_new ? tls_tickets_seal(tls->tickets, now_ms, name, iv, cipher, mac)
        : tls_tickets_open(tls->tickets, now_ms, name, iv, cipher, mac);
}

/* Contexts */

/* Only what is forward secret and authenticates as it encrypts; AES with the shorter key first, as it costs less and is safe enough. */
static bool context_set_ciphers(SSL_CTX *context)
{
    return SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256")
        && SSL_CTX_set_cipher_list(context, "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM:ECDHE+CHACHA20");
}

/* Other groups cost the server more, or are worse; the first is not known to every version of OpenSSL. */
static bool context_set_groups(SSL_CTX *context)
{
    bool is_set = SSL_CTX_set1_groups_list(context, "X25519MLKEM768:X25519:P-256:P-384") == 1
        || SSL_CTX_set1_groups_list(context, "X25519:P-256:P-384") == 1;
    ERR_clear_error();
    return is_set;
}

/* A session may be resumed only under the rules for clients' certificates that it was made under. */
static bool context_set_clients(SSL_CTX *context, const struct config *config, const struct tls_authorities *authorities)
{
    unsigned char rules[SSL_MAX_SID_CTX_LENGTH] = {0};
    int mode = SSL_VERIFY_NONE;
    if (config->tls.client_certificate != CERTIFICATE_NONE) {
        STACK_OF(X509_NAME) *names = sk_X509_NAME_deep_copy(authorities->names, X509_NAME_dup, X509_NAME_free);
        if (!names)
            return false;
        SSL_CTX_set_client_CA_list(context, names);
        SSL_CTX_set1_cert_store(context, authorities->store);
        X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_PARTIAL_CHAIN
                                    | (authorities->has_revocations ? X509_V_FLAG_CRL_CHECK : 0));
        mode = SSL_VERIFY_PEER | (config->tls.client_certificate == CERTIFICATE_REQUIRE ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0);
        memcpy(rules, authorities->digest, sizeof(rules));
    }
    rules[0] ^= (unsigned char)config->tls.client_certificate;
    SSL_CTX_set_verify(context, mode, NULL);
    return SSL_CTX_set_session_id_context(context, rules, sizeof(rules)) == 1;
}

static SSL_CTX *context_new(struct tls *tls, const struct config *config, const struct tls_authorities *authorities,
                            const struct tls_certificate *certificate)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context)
        return NULL;
    SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE
                        | SSL_OP_PRIORITIZE_CHACHA);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_NO_AUTO_CHAIN);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_timeout(context, TICKET_LIFE_S);
    SSL_CTX_set_app_data(context, tls);
    SSL_CTX_set_alpn_select_cb(context, on_alpn, NULL);
    SSL_CTX_set_tlsext_servername_callback(context, on_server_name);
    SSL_CTX_set_tlsext_servername_arg(context, tls);
    bool is_set = SSL_CTX_set_min_proto_version(context, config->tls.minimum == TLS_1_3 ? TLS1_3_VERSION : TLS1_2_VERSION)
        && context_set_ciphers(context)
        && SSL_CTX_set_num_tickets(context, 1) && SSL_CTX_set_tlsext_ticket_key_evp_cb(context, on_ticket)
        && context_set_groups(context) && context_set_clients(context, config, authorities)
        && SSL_CTX_use_cert_and_key(context, certificate->own, certificate->key, certificate->chain, 1) == 1;
    if (!is_set) {
        SSL_CTX_free(context);
        return NULL;
    }
    return context;
}

static int tls_add_context(struct tls *tls, const struct config *config, const struct tls_authorities *authorities,
                           const char *item, struct buf *problems)
{
    struct tls_certificate certificate;
    int r = tls_certificate_load(item, &certificate, problems);
    if (r < 0)
        return r;
    SSL_CTX *context = context_new(tls, config, authorities, &certificate);
    if (context) {
        tls->contexts[tls->context_count++] = context;
        if (tls_certificate_has_expired(certificate.own))
            log_warning(LOG_AREA_NET, NULL, "the certificate in %s has expired; clients will refuse it", item);
    } else {
        const char *reason = ERR_reason_error_string(ERR_peek_last_error());
        buf_add_format(problems, "tls.certificates: %s cannot be used: %s\n", item, reason ? reason : "out of memory");
        ERR_clear_error();
        r = -EINVAL;
    }
    tls_certificate_done(&certificate);
    return r;
}

int tls_new(const struct config *config, struct tls_tickets *tickets, struct tls **ret, struct buf *problems)
{
    const struct text_list *items = &config->tls.certificates;
    struct tls_authorities authorities = {0};
    *ret = NULL;
    struct tls *tls = calloc(1, sizeof(*tls) + items->count * sizeof(tls->contexts[0]));
    if (!tls)
        return -ENOMEM;
    tls->reference_count = 1;
    tls->tickets = tls_tickets_ref(tickets);
    tls->client_certificate = config->tls.client_certificate;
    tls->client_user = config->tls.client_user;
    int r = 0;
    if (items->count == 0) {
        buf_add_text(problems, "tls.certificates: there must be one at least where clients speak TLS\n");
        r = -EINVAL;
    }
    if (r == 0 && config->tls.client_certificate != CERTIFICATE_NONE)
        r = tls_authorities_load(config->tls.client_ca, &authorities, problems);
    for (size_t i = 0; i < items->count && (r == 0 || r == -EINVAL); i++)
        r = MIN(r, tls_add_context(tls, config, &authorities, items->items[i], problems));
    tls_authorities_done(&authorities);
    if (r < 0)
        tls_unref(tls);
    else
        *ret = tls;
    return r;
}

struct tls *tls_ref(struct tls *tls)
{
    atomic_fetch_add_explicit(&tls->reference_count, 1, memory_order_relaxed);
    return tls;
}

void tls_unref(struct tls *tls)
{
    if (!tls || atomic_fetch_sub_explicit(&tls->reference_count, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < tls->context_count; i++)
        SSL_CTX_free(tls->contexts[i]);
    tls_tickets_unref(tls->tickets);
    free(tls);
}

/* The store */

struct tls_store *tls_store_new(void)
{
    struct tls_store *store = calloc(1, sizeof(*store));
    struct tls_tickets *tickets = store ? tls_tickets_new() : NULL;
    if (!tickets) {
        free(store);
        return NULL;
    }
    store->tickets = tickets;
    pthread_mutex_init(&store->lock, NULL);
    return store;
}

void tls_store_free(struct tls_store *store)
{
    if (!store)
        return;
    tls_unref(store->present);
    tls_tickets_unref(store->tickets);
    pthread_mutex_destroy(&store->lock);
    free(store);
}

int tls_store_load(struct tls_store *store, const struct config *config, struct buf *problems)
{
    struct tls *fresh;
    int r = tls_new(config, store->tickets, &fresh, problems);
    if (r < 0)
        return r;
    pthread_mutex_lock(&store->lock);
    struct tls *former = store->present;
    store->present = fresh;
    pthread_mutex_unlock(&store->lock);
    tls_unref(former);
    return 0;
}

struct tls *tls_store_take(struct tls_store *store)
{
    pthread_mutex_lock(&store->lock);
    struct tls *tls = tls_ref(store->present);
    pthread_mutex_unlock(&store->lock);
    return tls;
}

/* The desk, as OpenSSL sees it: a BIO that never blocks in writing, and in reading does once nothing lies there */

static int on_bio_write(BIO *bio, const char *data, int length)
{
    struct tls_desk *desk = BIO_get_data(bio);
    buf_add(&desk->out, data, (size_t)length);
    return buf_status(&desk->out) == 0 ? length : -1;
}

static int on_bio_read(BIO *bio, char *room, int size)
{
    struct tls_desk *desk = BIO_get_data(bio);
    size_t length = MIN(desk->in.length, (size_t)size);
    BIO_clear_retry_flags(bio);
    if (length == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    memcpy(room, desk->in.data, length);
    desk->in = bytes_of(desk->in.data + length, desk->in.length - length);
    return (int)length;
}

static long on_bio_control(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH;
}

int tls_desk_init(struct tls_desk *desk)
{
    *desk = (struct tls_desk){.method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "desk")};
    if (desk->method && BIO_meth_set_write(desk->method, on_bio_write) && BIO_meth_set_read(desk->method, on_bio_read)
        && BIO_meth_set_ctrl(desk->method, on_bio_control))
        desk->bio = BIO_new(desk->method);
    if (!desk->bio) {
        BIO_meth_free(desk->method);
        return -ENOMEM;
    }
    BIO_set_data(desk->bio, desk);
    BIO_set_init(desk->bio, 1);
    return 0;
}

void tls_desk_done(struct tls_desk *desk)
{
    BIO_free(desk->bio);
    BIO_meth_free(desk->method);
    buf_done(&desk->out);
}

/* Sessions */

void tls_session_move(struct tls_session *session, struct tls_desk *desk)
{
    /* One BIO serves all sessions of a thread: each holds a reference for reading and one for writing. */
    BIO_up_ref(desk->bio);
    BIO_up_ref(desk->bio);
    SSL_set0_rbio(session->ssl, desk->bio);
    SSL_set0_wbio(session->ssl, desk->bio);
}

int tls_session_init(struct tls_session *session, struct tls *tls, struct tls_desk *desk)
{
    *session = (struct tls_session){.ssl = SSL_new(tls->contexts[0]), .tls = tls};
    if (!session->ssl) {
        tls_session_done(session);
        return -ENOMEM;
    }
    SSL_set_accept_state(session->ssl);
    tls_session_move(session, desk);
    return 0;
}

void tls_session_done(struct tls_session *session)
{
    SSL_free(session->ssl);
    tls_unref(session->tls);
    free(session->user);
    *session = (struct tls_session){0};
}

bool tls_session_is_resumed(const struct tls_session *session)
{
    return SSL_session_reused(session->ssl);
}

static const char *session_failure(const struct tls_session *session)
{
    long verdict = SSL_get_verify_result(session->ssl);
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    return verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : reason ? reason : "no reason is known";
}

/* The handshake is over: who is it? A ticket may be younger than its client's certificate is valid. */
static enum tls_progress session_admit(struct tls_session *session, struct tls_desk *desk)
{
    const X509 *certificate = SSL_get0_peer_certificate(session->ssl);
    if (!certificate)
        return TLS_DONE;
    if (tls_certificate_has_expired(certificate)) {
        desk->failure = "certificate has expired";
        return TLS_FAILED;
    }
    if (session->tls->client_user == CERTIFICATE_USER_NONE)
        return TLS_DONE;
    session->user = tls_certificate_user(certificate, session->tls->client_user);
    desk->failure = "out of memory";
    return session->user ? TLS_DONE : TLS_FAILED;
}

enum tls_progress tls_session_accept(struct tls_session *session, struct tls_desk *desk)
{
    ERR_clear_error();
    int r = SSL_do_handshake(session->ssl);
    if (r == 1)
        return session_admit(session, desk);
    if (SSL_get_error(session->ssl, r) == SSL_ERROR_WANT_READ)
        return TLS_MORE;
    desk->failure = session_failure(session);
    ERR_clear_error();
    return TLS_FAILED;
}

size_t tls_session_read(struct tls_session *session, struct tls_desk *desk, void *room, size_t size, bool *ret_is_over)
{
    size_t length = 0, got;
    *ret_is_over = false;
    ERR_clear_error();
    while (desk->in.length || SSL_pending(session->ssl)) {
        if (!SSL_read_ex(session->ssl, (char *)room + length, size - length, &got)) {
            *ret_is_over = SSL_get_error(session->ssl, 0) != SSL_ERROR_WANT_READ;
            break;
        }
        length += got;
    }
    ERR_clear_error();
    return length;
}

int tls_session_write(struct tls_session *session, struct tls_desk *desk, const void *data, size_t length)
{
    size_t written;
    ERR_clear_error();
    if (SSL_write_ex(session->ssl, data, length, &written))
        return 0;
    ERR_clear_error();
    return buf_status(&desk->out) < 0 ? -ENOMEM : -ECONNRESET;
}

void tls_session_end(struct tls_session *session, struct tls_desk *desk)
{
    ERR_clear_error();
    SSL_shutdown(session->ssl);
    ERR_clear_error();
}

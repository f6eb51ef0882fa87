/*
 * Tls: see tls.h.
 */
#include "lib/client/tls.h"

#include "lib/client/error.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdlib.h>

struct tls_context {
    atomic_uint users;
    SSL_CTX *context;
    char *server_name;                  /* to be checked instead of the URL's host */
    bool wants_system_store;            /* still to be loaded */
};

struct tls {
    SSL *ssl;                           /* owns both BIOs */
    BIO *in, *out;
    char name[URL_HOST_MAX + 1];        /* that the certificate must be for */
};

/* What OpenSSL complained of last; its queue is this thread's, and left empty. */
static const char *openssl_problem(char *text, size_t size)
{
    unsigned long code = ERR_peek_last_error();
    const char *reason = code ? ERR_reason_error_string(code) : NULL;
    snprintf(text, size, "%s", reason ? reason : "no reason given");
    ERR_clear_error();
    return text;
}

static enum rtc_code context_bad(struct rtc_error *error, const char *property, const char *path)
{
    char text[80];
    return error_set(error, RTC_BAD_ARGUMENT, "tls: %s %s cannot be used: %s", property, path, openssl_problem(text, sizeof(text)));
}

/* OpenSSL would ask at the terminal for the passphrase of a key: that is not a library's to do. */
static int no_passphrase(char *text, int size, int is_writing, void *argument)
{
    return -1;
}

static enum rtc_code context_load_own(SSL_CTX *ctx, const struct rtc_tls *options, struct rtc_error *error)
{
    const char *certificate = options->certificate_file, *key = options->key_file;
    if (!certificate && !key)
        return RTC_OK;
    if (!certificate || !key)
        return error_set(error, RTC_BAD_ARGUMENT, "tls: certificate_file and key_file belong together; %s is missing (one file may hold both)",
                         key ? "certificate_file" : "key_file");
    SSL_CTX_set_default_passwd_cb(ctx, no_passphrase);
    if (SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1)
        return context_bad(error, "certificate_file", certificate);
    /* That it fits the certificate is checked as well. */
    if (SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1)
        return context_bad(error, "key_file", key);
    return RTC_OK;
}

static enum rtc_code context_fill(struct tls_context *context, const struct rtc_tls *options, struct rtc_error *error)
{
    static const unsigned char http[] = "\x08http/1.1";
    SSL_CTX *ctx = context->context;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_alpn_protos(ctx, http, sizeof(http) - 1);
    SSL_CTX_set_verify(ctx, options->is_unverified ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, NULL);
    context->wants_system_store = !options->ca_file && !options->is_unverified;
    if (options->ca_file && SSL_CTX_load_verify_file(ctx, options->ca_file) != 1)
        return context_bad(error, "ca_file", options->ca_file);
    enum rtc_code code = context_load_own(ctx, options, error);
    if (code != RTC_OK)
        return code;
    if (!options->server_name)
        return RTC_OK;
    size_t length = strlen(options->server_name);
    if (length == 0 || length > URL_HOST_MAX)
        return error_set(error, RTC_BAD_ARGUMENT, "tls: server_name %s", length ? "is longer than a host's name can be" : "is empty");
    context->server_name = strdup(options->server_name);
    return context->server_name ? RTC_OK : error_no_memory(error);
}

enum rtc_code tls_context_new(const struct rtc_tls *options, struct tls_context **ret, struct rtc_error *error)
{
    struct tls_context *context = calloc(1, sizeof(*context));
    ERR_clear_error();
    if (context)
        atomic_init(&context->users, 1);
    if (context)
        context->context = SSL_CTX_new(TLS_client_method());
    enum rtc_code code = context && context->context ? context_fill(context, options, error) : error_no_memory(error);
    if (code == RTC_OK)
        *ret = context;
    else
        tls_context_unref(context);
    return code;
}

struct tls_context *tls_context_ref(struct tls_context *context)
{
    if (context)
        atomic_fetch_add(&context->users, 1);
    return context;
}

void tls_context_unref(struct tls_context *context)
{
    if (!context || atomic_fetch_sub(&context->users, 1) != 1)
        return;
    SSL_CTX_free(context->context);
    free(context->server_name);
    free(context);
}

static bool is_address(const char *name)
{
    return strchr(name, ':') || name[strspn(name, "0123456789.")] == '\0';
}

/* Whom it asks for (SNI is for names only: RFC 6066 section 3), and who must answer. */
static bool tls_set_name(struct tls *tls)
{
    if (is_address(tls->name))
        return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(tls->ssl), tls->name) == 1;
    SSL_set_hostflags(tls->ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return tls->name[0] && SSL_set_tlsext_host_name(tls->ssl, tls->name) == 1 && SSL_set1_host(tls->ssl, tls->name) == 1;
}

/* A name that ends with a dot is the same one, but not in certificates. */
static void tls_take_name(struct tls *tls, const char *name)
{
    size_t length = strlen(name);
    memcpy(tls->name, name, length + 1);
    if (length && name[length - 1] == '.')
        tls->name[length - 1] = '\0';
}

struct tls *tls_new(struct tls_context *context, const struct url *url, struct rtc_error *error)
{
    struct tls *tls = calloc(1, sizeof(*tls));
    error_no_memory(error);
    ERR_clear_error();
    if (!tls)
        return NULL;
    /* Some 150 certificates, a megabyte and 20 ms: only for who needs them. Where there are none, nobody is trusted. */
    if (context->wants_system_store)
        SSL_CTX_set_default_verify_paths(context->context);
    context->wants_system_store = false;
    tls_take_name(tls, context->server_name ? context->server_name : url->host);
    tls->ssl = SSL_new(context->context);
    tls->in = BIO_new(BIO_s_mem());
    tls->out = BIO_new(BIO_s_mem());
    if (!tls->ssl || !tls->in || !tls->out) {
        BIO_free(tls->in);
        BIO_free(tls->out);
        tls->in = tls->out = NULL;
        tls_free(tls);
        return NULL;
    }
    SSL_set_bio(tls->ssl, tls->in, tls->out);
    SSL_set_connect_state(tls->ssl);
    if (tls_set_name(tls))
        return tls;
    error_set(error, RTC_TLS, "no certificate can be for %s: it is neither a name nor an address", tls->name);
    tls_free(tls);
    return NULL;
}

void tls_free(struct tls *tls)
{
    if (!tls)
        return;
    SSL_free(tls->ssl);
    free(tls);
}

int tls_take(struct tls *tls, struct bytes from_socket)
{
    while (from_socket.length) {
        int piece = (int)MIN(from_socket.length, (size_t)1 << 30);
        if (BIO_write(tls->in, from_socket.data, piece) != piece)
            return -ENOMEM;
        from_socket.data += piece;
        from_socket.length -= (size_t)piece;
    }
    return 0;
}

int tls_give(struct tls *tls, struct buf *to_socket)
{
    /* Read, not looked at and reset: that would clear as much memory as the largest message took, each time. */
    size_t length = BIO_ctrl_pending(tls->out);
    unsigned char *room = length ? buf_room(to_socket, length) : NULL;
    int got = room ? BIO_read(tls->out, room, (int)MIN(length, (size_t)INT_MAX)) : 0;
    if (got > 0)
        to_socket->length += (size_t)got;
    return buf_status(to_socket);
}

/* Why the peer's certificate does not do, in words for people. */
static enum rtc_code tls_distrust(const struct tls *tls, long result, struct rtc_error *error)
{
    const char *name = tls->name;
    switch (result) {
    case X509_V_ERR_HOSTNAME_MISMATCH:
    case X509_V_ERR_IP_ADDRESS_MISMATCH:
        return error_set(error, RTC_TLS, "the certificate of %s is for other names", name);
    case X509_V_ERR_CERT_HAS_EXPIRED:
        return error_set(error, RTC_TLS, "the certificate of %s has expired", name);
    case X509_V_ERR_CERT_NOT_YET_VALID:
        return error_set(error, RTC_TLS, "the certificate of %s is not valid yet; is the clock right?", name);
    default:
        return error_set(error, RTC_TLS, "the certificate of %s is not trusted: %s", name, X509_verify_cert_error_string(result));
    }
}

static enum decode tls_result(struct tls *tls, int r, const char *what, struct rtc_error *error)
{
    char text[80];
    int problem = SSL_get_error(tls->ssl, r);
    if (problem == SSL_ERROR_WANT_READ || problem == SSL_ERROR_WANT_WRITE)
        return DECODE_MORE;
    long verified = SSL_get_verify_result(tls->ssl);
    if (verified != X509_V_OK && SSL_get_verify_mode(tls->ssl) != SSL_VERIFY_NONE) {
        ERR_clear_error();
        tls_distrust(tls, verified, error);
    } else {
        error_set(error, RTC_TLS, "%s with %s failed: %s", what, tls->name, openssl_problem(text, sizeof(text)));
    }
    return DECODE_BAD;
}

enum decode tls_handshake(struct tls *tls, struct rtc_error *error)
{
    ERR_clear_error();
    int r = SSL_do_handshake(tls->ssl);
    return r == 1 ? DECODE_DONE : tls_result(tls, r, "the TLS handshake", error);
}

enum decode tls_read(struct tls *tls, unsigned char *data, size_t size, size_t *ret_length, struct rtc_error *error)
{
    *ret_length = 0;
    ERR_clear_error();
    int r = SSL_read_ex(tls->ssl, data, size, ret_length);
    if (r == 1 || SSL_get_error(tls->ssl, r) == SSL_ERROR_ZERO_RETURN)
        return DECODE_DONE;
    return tls_result(tls, r, "TLS", error);
}

enum rtc_code tls_write(struct tls *tls, struct bytes data, struct rtc_error *error)
{
    size_t written;
    ERR_clear_error();
    if (data.length == 0)
        return RTC_OK;
    int r = SSL_write_ex(tls->ssl, data.data, data.length, &written);
    if (r == 1 && written == data.length)
        return RTC_OK;
    /* Memory takes all that there is room for. */
    if (tls_result(tls, r, "TLS", error) == DECODE_MORE)
        error_set(error, RTC_TLS, "TLS with %s was renegotiated", tls->name);
    return RTC_TLS;
}

void tls_close(struct tls *tls)
{
    ERR_clear_error();
    SSL_shutdown(tls->ssl);
    ERR_clear_error();
}

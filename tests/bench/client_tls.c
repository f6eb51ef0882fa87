/*
 * Client over TLS: one session of OpenSSL's on a client's socket. Whom it reaches is not verified: it measures a server on loopback.
 */
#include "tests/bench/client.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

struct ssl_ctx_st *client_tls_context(void)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        errx(1, "TLS: out of memory");
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    return context;
}

void client_tls_context_free(struct ssl_ctx_st *context)
{
    SSL_CTX_free(context);
}

static _Noreturn void client_tls_fail(const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    errx(1, "TLS: %s: %s", what, reason ? reason : "the server hung up");
}

/* Blocking: on loopback it is over as soon as the server has had its turn. */
void client_tls_open(struct load *load, struct client *client)
{
    client->tls = SSL_new(load->tls);
    if (!client->tls || SSL_set_fd(client->tls, client->descriptor) != 1)
        errx(1, "TLS: out of memory");
    if (SSL_connect(client->tls) != 1)
        client_tls_fail("handshake");
    fcntl(client->descriptor, F_SETFL, fcntl(client->descriptor, F_GETFL) | O_NONBLOCK);
}

void client_tls_close(struct client *client)
{
    SSL_free(client->tls);
}

void client_tls_send(struct client *client, struct bytes bytes)
{
    if (SSL_write(client->tls, bytes.data, (int)bytes.length) != (int)bytes.length)
        client_tls_fail("send");
}

/* A record at a time: what lies behind it in the socket shows in the next turn. */
ssize_t client_tls_receive(struct client *client, void *room, size_t size)
{
    int got = SSL_read(client->tls, room, (int)MIN(size, (size_t)INT32_MAX));
    if (got > 0)
        return got;
    if (SSL_get_error(client->tls, got) != SSL_ERROR_WANT_READ)
        client_tls_fail("receive");
    errno = EAGAIN;
    return -1;
}

size_t client_tls_hello(unsigned char *room, size_t size)
{
    SSL_CTX *context = client_tls_context();
    SSL *tls = SSL_new(context);
    BIO *in = BIO_new(BIO_s_mem()), *out = BIO_new(BIO_s_mem());
    if (!tls || !in || !out)
        errx(1, "TLS: out of memory");
    SSL_set_bio(tls, in, out);
    SSL_connect(tls);
    int length = BIO_read(out, room, (int)size);
    if (length <= 0)
        client_tls_fail("hello");
    SSL_free(tls);
    client_tls_context_free(context);
    return (size_t)length;
}

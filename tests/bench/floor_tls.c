/*
 * The floor's TLS: bare OpenSSL, a session on each socket, and one write of all frames for each member and turn. What a session takes
 * here in memory and time is OpenSSL's own share.
 */
#include "tests/bench/floor.h"

#include <err.h>
#include <errno.h>
#include <openssl/ssl.h>

static unsigned char gathered[1024 * 1024];

static void tls_init(struct floor *floor)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context || !floor->certificate || SSL_CTX_use_certificate_chain_file(context, floor->certificate) != 1
        || SSL_CTX_use_PrivateKey_file(context, floor->key, SSL_FILETYPE_PEM) != 1)
        errx(64, "tls needs the paths of a certificate and its key");
    /* As rtcd has it: what differs must not be the cipher. */
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_options(context, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_num_tickets(context, 1);
    floor->tls = context;
}

static void tls_accepted(struct floor *floor, struct member *member)
{
    member->tls = SSL_new(floor->tls);
    if (!member->tls || SSL_set_fd(member->tls, member->descriptor) != 1)
        errx(1, "out of memory");
    SSL_set_accept_state(member->tls);
}

/* A record at a time: what lies behind it in the socket shows in the next turn. */
static ssize_t tls_receive(struct member *member, void *room, size_t size)
{
    int got = SSL_read(member->tls, room, (int)size);
    if (got > 0)
        return got;
    errno = EAGAIN;
    return SSL_get_error(member->tls, got) == SSL_ERROR_WANT_READ ? -1 : 0;
}

static ssize_t tls_send(struct member *member, const struct iovec *pieces, int count)
{
    size_t length = 0;
    for (int i = 0; i < count; i++) {
        if (pieces[i].iov_len > sizeof(gathered) - length)
            errx(1, "too much for one turn");
        memcpy(gathered + length, pieces[i].iov_base, pieces[i].iov_len);
        length += pieces[i].iov_len;
    }
    /* A write that stops half way must be repeated as it was: no load here fills a socket. */
    if (SSL_write(member->tls, gathered, (int)length) != (int)length)
        errx(1, "a member does not take what it gets");
    return (ssize_t)length;
}

static void tls_gone(struct member *member)
{
    SSL_free(member->tls);
}

const struct writer writer_tls = {
    .name = "tls", .frames_per_turn = FRAMES_PER_TURN, .init = tls_init, .accepted = tls_accepted, .receive = tls_receive,
    .send = tls_send, .gone = tls_gone, .write = floor_write_frames,
};

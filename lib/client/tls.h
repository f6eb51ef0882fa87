/*
 * Tls: TLS 1.2 and later over memory, without I/O: what the socket brought in, what is to be sent out. The door to OpenSSL's TLS.
 * Certificates are verified, and for the right name, unless the caller says otherwise.
 */
#pragma once

#include "lib/buf.h"
#include "lib/client/url.h"

struct tls_context;
struct tls;

/* RTC_BAD_ARGUMENT: a file is missing or no PEM; the sentence names it. `options` may be all NULL. One thread's at a time. */
enum rtc_code tls_context_new(const struct rtc_tls *options, struct tls_context **ret, struct rtc_error *error);
/* Any number of clients, on any threads, may use one: it is large. NULL is fine for both. */
struct tls_context *tls_context_ref(struct tls_context *context);
void tls_context_unref(struct tls_context *context);

struct tls *tls_new(struct tls_context *context, const struct url *url, struct rtc_error *error);     /* NULL: see `error` */
void tls_free(struct tls *tls);

MUST_CHECK int tls_take(struct tls *tls, struct bytes from_socket);             /* -ENOMEM */
/* What is to be sent; the caller consumes it. Ask after each of the functions below. -ENOMEM. */
MUST_CHECK int tls_give(struct tls *tls, struct buf *to_socket);

/* DONE: agreed, and the peer is who it should be. BAD: see `error`. */
enum decode tls_handshake(struct tls *tls, struct rtc_error *error);
/* Reads up to `size` bytes: *ret_length; DONE with 0: the peer has closed in order. */
enum decode tls_read(struct tls *tls, unsigned char *data, size_t size, size_t *ret_length, struct rtc_error *error);
enum rtc_code tls_write(struct tls *tls, struct bytes data, struct rtc_error *error);
void tls_close(struct tls *tls);                /* says goodbye, in tls_give */

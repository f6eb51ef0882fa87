/*
 * TLS certificates: see tls_certificate.h.
 */
#include "daemon/net/tls_certificate.h"

#include "lib/envelope.h"

#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 4 * 1024 * 1024 };

static int certificate_refuse(struct buf *problems, const char *option, const char *path, const char *what)
{
    buf_add_format(problems, "%s: %s %s\n", option, path, what);
    return -EINVAL;
}

static int certificate_refuse_by_library(struct buf *problems, const char *option, const char *path, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    buf_add_format(problems, "%s: %s %s%s%s%s\n", option, path, what, reason ? " (" : "", reason ? reason : "", reason ? ")" : "");
    ERR_clear_error();
    return -EINVAL;
}

static int certificate_refuse_by_system(struct buf *problems, const char *option, const char *path)
{
    buf_add_format(problems, "%s: %s cannot be read: %s\n", option, path, strerror(errno));
    return -EINVAL;
}

/* The whole file. Of one with a secret the mode is looked at once it is open: what was looked at is what is read. */
static int certificate_read(const char *option, const char *path, bool is_secret, struct buf *ret, struct buf *problems)
{
    struct stat about;
    int r = 0, descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0 || fstat(descriptor, &about) < 0) {
        r = certificate_refuse_by_system(problems, option, path);
    } else if (!S_ISREG(about.st_mode) || about.st_size > FILE_BYTES_MAX) {
        r = certificate_refuse(problems, option, path, "is not a file of at most 4 MiB");
    } else if (is_secret && (about.st_mode & (S_IRWXG | S_IRWXO))) {
        buf_add_format(problems, "%s: %s holds a key and has mode %04o: its group or others may use it; chmod 0600 it\n", option, path,
                       (unsigned)about.st_mode & 07777);
        r = -EINVAL;
    }
    unsigned char *room = r == 0 ? buf_room(ret, (size_t)about.st_size + 1) : NULL;
    if (r == 0 && !room)
        r = -ENOMEM;
    ssize_t got = 1;
    while (r == 0 && got > 0 && ret->length < (size_t)about.st_size) {
        got = read(descriptor, ret->data + ret->length, (size_t)about.st_size - ret->length);
        if (got >= 0)
            ret->length += (size_t)got;
        else if (errno == EINTR)        /* a file system of a network, or of a program */
            got = 1;
        else
            r = certificate_refuse_by_system(problems, option, path);
    }
    if (descriptor >= 0)
        close(descriptor);
    return r;
}

static void certificate_forget(struct buf *file)
{
    if (file->data)
        OPENSSL_cleanse(file->data, file->length);
    buf_done(file);
}

/* Nobody is there to be asked for a passphrase. */
static int on_passphrase(char *room, int size, int is_writing, void *argument)
{
    return -1;
}

static int certificate_take_chain(struct tls_certificate *certificate, struct buf *file)
{
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->length);
    X509 *next;
    certificate->chain = sk_X509_new_null();
    if (!bio || !certificate->chain) {
        BIO_free(bio);
        return -ENOMEM;
    }
    certificate->own = PEM_read_bio_X509(bio, NULL, on_passphrase, NULL);
    while (certificate->own && (next = PEM_read_bio_X509(bio, NULL, on_passphrase, NULL)))
        if (!sk_X509_push(certificate->chain, next))
            X509_free(next);
    BIO_free(bio);
    return certificate->own ? 0 : -EINVAL;
}

static int certificate_take_key(struct tls_certificate *certificate, struct buf *file)
{
    BIO *bio = BIO_new_mem_buf(file->data, (int)file->length);
    certificate->key = bio ? PEM_read_bio_PrivateKey(bio, NULL, on_passphrase, NULL) : NULL;
    BIO_free(bio);
    return certificate->key ? 0 : -EINVAL;
}

int tls_certificate_load(const char *item, struct tls_certificate *ret, struct buf *problems)
{
    static const char *const option = "tls.certificates";
    const char *colon = strchr(item, ':'), *key_path = colon ? colon + 1 : item;
    char *path = strndup(item, colon ? (size_t)(colon - item) : strlen(item));
    struct buf file = {0}, key_file = {0};
    *ret = (struct tls_certificate){0};
    ERR_clear_error();
    int r = path ? certificate_read(option, path, !colon, &file, problems) : -ENOMEM;
    if (r == 0 && certificate_take_chain(ret, &file) < 0)
        r = certificate_refuse_by_library(problems, option, path, "holds no certificate in PEM form");
    ERR_clear_error();
    if (r == 0)
        r = certificate_read(option, key_path, true, &key_file, problems);
    if (r == 0 && certificate_take_key(ret, &key_file) < 0)
        r = certificate_refuse_by_library(problems, option, key_path, "holds no key in PEM form without a passphrase");
    if (r == 0 && X509_check_private_key(ret->own, ret->key) != 1)
        r = certificate_refuse(problems, option, key_path, "is not the key of this certificate");
    ERR_clear_error();
    certificate_forget(&file);
    certificate_forget(&key_file);
    free(path);
    if (r < 0)
        tls_certificate_done(ret);
    return r;
}

void tls_certificate_done(struct tls_certificate *certificate)
{
    X509_free(certificate->own);
    sk_X509_pop_free(certificate->chain, X509_free);
    EVP_PKEY_free(certificate->key);
    *certificate = (struct tls_certificate){0};
}

/* 0 or -ENOMEM. */
static int authorities_add(struct tls_authorities *authorities, const X509_INFO *info)
{
    if (info->crl) {
        authorities->has_revocations = true;
        if (!X509_STORE_add_crl(authorities->store, info->crl))
            return -ENOMEM;
    }
    if (!info->x509)
        return 0;
    X509_NAME *name = X509_NAME_dup(X509_get_subject_name(info->x509));
    if (!name || !X509_STORE_add_cert(authorities->store, info->x509) || !sk_X509_NAME_push(authorities->names, name)) {
        X509_NAME_free(name);
        return -ENOMEM;
    }
    return 0;
}

int tls_authorities_load(const char *path, struct tls_authorities *ret, struct buf *problems)
{
    static const char *const option = "tls.client-ca";
    struct buf file = {0};
    *ret = (struct tls_authorities){.store = X509_STORE_new(), .names = sk_X509_NAME_new_null()};
    ERR_clear_error();
    int r = ret->store && ret->names ? certificate_read(option, path, false, &file, problems) : -ENOMEM;
    BIO *bio = r == 0 ? BIO_new_mem_buf(file.data, (int)file.length) : NULL;
    STACK_OF(X509_INFO) *all = bio ? PEM_X509_INFO_read_bio(bio, NULL, on_passphrase, NULL) : NULL;
    for (int i = 0; r == 0 && i < sk_X509_INFO_num(all); i++)
        r = authorities_add(ret, sk_X509_INFO_value(all, i));
    if (r == 0 && sk_X509_NAME_num(ret->names) == 0)
        r = certificate_refuse_by_library(problems, option, path, "holds no certificate in PEM form");
    if (r == 0 && EVP_Digest(file.data, file.length, ret->digest, NULL, EVP_sha256(), NULL) != 1)
        r = -ENOMEM;
    sk_X509_INFO_pop_free(all, X509_INFO_free);
    BIO_free(bio);
    buf_done(&file);
    ERR_clear_error();
    if (r < 0)
        tls_authorities_done(ret);
    return r;
}

void tls_authorities_done(struct tls_authorities *authorities)
{
    X509_STORE_free(authorities->store);
    sk_X509_NAME_pop_free(authorities->names, X509_NAME_free);
    *authorities = (struct tls_authorities){0};
}

bool tls_certificate_covers(X509 *certificate, const char *host)
{
    return X509_check_host(certificate, host, strlen(host), 0, NULL) == 1;
}

bool tls_certificate_has_expired(const X509 *certificate)
{
    return X509_cmp_current_time(X509_get0_notAfter(certificate)) <= 0;
}

static char *user_of(const ASN1_STRING *text)
{
    unsigned char *utf8 = NULL;
    int length = ASN1_STRING_to_UTF8(&utf8, text);
    struct bytes name = bytes_of(utf8, (size_t)MAX(length, 0));
    /* A NUL within, as other programs have been fooled by, is a control character, and refused here. */
    char *user = name_is_valid(name, NAME_MAX_BYTES) ? strndup((const char *)utf8, name.length) : strdup("");
    OPENSSL_free(utf8);
    return user;
}

/* Two common names leave open who is meant. */
static char *user_by_common_name(const X509 *certificate)
{
    const X509_NAME *subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0 || X509_NAME_get_index_by_NID(subject, NID_commonName, at) >= 0)
        return strdup("");
    return user_of(X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
}

static char *user_by_alternative_name(const X509 *certificate, int kind)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    char *user = NULL;
    for (int i = 0; !user && i < sk_GENERAL_NAME_num(names); i++) {
        int found;
        const void *value = GENERAL_NAME_get0_value(sk_GENERAL_NAME_value(names, i), &found);
        if (found == kind)
            user = user_of(value);
    }
    GENERAL_NAMES_free(names);
    return user ? user : strdup("");
}

char *tls_certificate_user(const X509 *certificate, enum config_certificate_user which)
{
    switch (which) {
    case CERTIFICATE_USER_COMMON_NAME:
        return user_by_common_name(certificate);
    case CERTIFICATE_USER_DNS:
        return user_by_alternative_name(certificate, GEN_DNS);
    case CERTIFICATE_USER_EMAIL:
        return user_by_alternative_name(certificate, GEN_EMAIL);
    default:
        return user_by_alternative_name(certificate, GEN_URI);
    }
}

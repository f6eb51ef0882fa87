/*
 * TLS peer: see tls_peer.h.
 */
#include "tests/unit/tls_peer.h"

#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <unistd.h>

enum { DAY = 24 * 60 * 60 };

static const struct leaf { const char *name, *alternatives; int from_days, until_days; bool is_alone; } leaves[] = {
    {"good", "DNS:example.org,DNS:*.wild.example.org,IP:127.0.0.1,IP:::1", -1, 1, false},
    {"other", "DNS:other.example", -1, 1, false},
    {"expired", "DNS:example.org", -2, -1, false},
    {"early", "DNS:example.org", 1, 2, false},
    {"alone", "DNS:example.org", -1, 1, true},
};

const char *tls_peer_path(struct tls_peer *peer, const char *name)
{
    snprintf(peer->path, sizeof(peer->path), "%s/%s.pem", peer->folder, name);
    return peer->path;
}

static void add_extension(X509 *certificate, X509 *issuer, int nid, const char *value)
{
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, nid, value);
    assert_non_null(extension);
    X509_add_ext(certificate, extension, -1);
    X509_EXTENSION_free(extension);
}

/* `issuer` NULL: by itself. */
static X509 *certify(const struct leaf *leaf, EVP_PKEY *key, X509 *issuer, EVP_PKEY *issuer_key)
{
    static const unsigned char text[] = "rtcd test";
    X509 *certificate = X509_new();
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), issuer ? 2 + (leaf - leaves) : 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), (long)leaf->from_days * DAY);
    X509_gmtime_adj(X509_getm_notAfter(certificate), (long)leaf->until_days * DAY);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, text, -1, -1, 0);
    X509_NAME_add_entry_by_txt(name, "OU", MBSTRING_ASC, (const unsigned char *)leaf->name, -1, -1, 0);
    X509_set_issuer_name(certificate, issuer ? X509_get_subject_name(issuer) : name);
    X509_set_pubkey(certificate, key);
    if (leaf->alternatives)
        add_extension(certificate, issuer ? issuer : certificate, NID_subject_alt_name, leaf->alternatives);
    else
        add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    assert_true(X509_sign(certificate, issuer ? issuer_key : key, EVP_sha256()) > 0);
    return certificate;
}

/* NULL for what is not to be written. */
static void write_file(const char *path, X509 *certificate, EVP_PKEY *key, const char *passphrase)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    if (certificate)
        assert_int_equal(PEM_write_X509(file, certificate), 1);
    if (key)
        assert_int_equal(PEM_write_PrivateKey(file, key, passphrase ? EVP_aes_128_cbc() : NULL, (const unsigned char *)passphrase,
                                              passphrase ? (int)strlen(passphrase) : 0, NULL, NULL), 1);
    fclose(file);
}

void tls_peer_init(struct tls_peer *peer)
{
    static const struct leaf authority = {"authority", NULL, -30, 30, true};
    strcpy(peer->folder, "/tmp/rtcd-test-tls-XXXXXX");
    assert_non_null(mkdtemp(peer->folder));
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *issuer = certify(&authority, key, NULL, NULL);
    write_file(tls_peer_path(peer, "ca"), issuer, NULL, NULL);
    write_file(tls_peer_path(peer, "locked"), issuer, key, "open sesame");
    for (size_t i = 0; i < COUNT_OF(leaves); i++) {
        EVP_PKEY *own = EVP_EC_gen("P-256");
        X509 *certificate = certify(&leaves[i], own, leaves[i].is_alone ? NULL : issuer, key);
        write_file(tls_peer_path(peer, leaves[i].name), certificate, own, NULL);
        X509_free(certificate);
        EVP_PKEY_free(own);
    }
    X509_free(issuer);
    EVP_PKEY_free(key);
}

void tls_peer_done(struct tls_peer *peer)
{
    unlink(tls_peer_path(peer, "ca"));
    unlink(tls_peer_path(peer, "locked"));
    for (size_t i = 0; i < COUNT_OF(leaves); i++)
        unlink(tls_peer_path(peer, leaves[i].name));
    assert_int_equal(rmdir(peer->folder), 0);
}

static int choose_protocol(SSL *ssl, const unsigned char **ret, unsigned char *ret_length, const unsigned char *offered, unsigned length,
                           void *argument)
{
    static const unsigned char known[] = "\x02h2\x08http/1.1";
    return SSL_select_next_proto((unsigned char **)ret, ret_length, known, sizeof(known) - 1, offered, length) == OPENSSL_NPN_NEGOTIATED
        ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

SSL_CTX *tls_peer_context(struct tls_peer *peer, const char *name)
{
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    const char *path = tls_peer_path(peer, name);
    assert_int_equal(SSL_CTX_use_certificate_file(context, path, SSL_FILETYPE_PEM), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey_file(context, path, SSL_FILETYPE_PEM), 1);
    SSL_CTX_set_alpn_select_cb(context, choose_protocol, NULL);
    return context;
}

#pragma once
// What DTLS needs of OpenSSL that Swift cannot import: macros, a variadic function.
#include <openssl/ssl.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <sys/time.h>

static inline EVP_PKEY *shim_generate_p256_key(void) { return EVP_EC_gen("P-256"); }

static inline void shim_ssl_set_mtu(SSL *ssl, long mtu) { SSL_set_mtu(ssl, mtu); }

static inline int shim_ssl_ctx_set_dtls12_only(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, DTLS1_2_VERSION) == 1 && SSL_CTX_set_max_proto_version(context, DTLS1_2_VERSION) == 1;
}
static inline void shim_ssl_ctx_set_datagram_options(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_QUERY_MTU | SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_SINGLE_ECDH_USE);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_read_ahead(context, 1);
}

// Microseconds until OpenSSL wants DTLSv1_handle_timeout, or -1 while no handshake timer runs.
static inline long long shim_dtls_timeout_microseconds(SSL *ssl) {
    struct timeval left;
    if (DTLSv1_get_timeout(ssl, &left) != 1) return -1;
    return (long long)left.tv_sec * 1000000 + left.tv_usec;
}
static inline int shim_dtls_handle_timeout(SSL *ssl) { return (int)DTLSv1_handle_timeout(ssl); }

// The object a certificate check belongs to, kept in the SSL's ex data slot 0.
static inline void shim_ssl_set_owner(SSL *ssl, void *owner) { SSL_set_app_data(ssl, owner); }
static inline void *shim_verification_owner(X509_STORE_CTX *verification) {
    SSL *ssl = (SSL *)X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx());
    return ssl ? SSL_get_app_data(ssl) : NULL;
}

static inline void shim_bio_clear_retry(BIO *bio) { BIO_clear_retry_flags(bio); }
static inline void shim_bio_set_retry_read(BIO *bio) { BIO_set_retry_read(bio); }

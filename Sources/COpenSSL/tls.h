#pragma once
// What links (TLS 1.3 over memory BIOs) need of OpenSSL that Swift cannot import: macros.
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static inline int shim_ssl_ctx_set_tls13_only(SSL_CTX *context) {
    return SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1 && SSL_CTX_set_max_proto_version(context, TLS1_3_VERSION) == 1;
}
// No resumption: every link proves both certificates anew.
static inline void shim_ssl_ctx_set_link_options(SSL_CTX *context) {
    SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_mode(context, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
}
// Takes a reference of its own.
static inline int shim_ssl_ctx_add_chain_certificate(SSL_CTX *context, X509 *certificate) {
    return SSL_CTX_add1_chain_cert(context, certificate) == 1;
}
// Which certificate chains a peer may show: those that end at `certificate` alone.
static inline int shim_ssl_ctx_trust(SSL_CTX *context, X509 *certificate) {
    return X509_STORE_add_cert(SSL_CTX_get_cert_store(context), certificate) == 1;
}
static inline void shim_ssl_set_sni(SSL *ssl, const char *name) { SSL_set_tlsext_host_name(ssl, name); }

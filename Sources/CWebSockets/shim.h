#pragma once
#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
/// Bytes to leave free in front of every payload given to lws_write (LWS_PRE is a macro of casts).
enum { SHIM_LWS_PRE = LWS_PRE };
/// TLS 1.2 and later, without renegotiation (the constants are macros of casts).
static inline long shim_lws_tls_options(void) { return (long)(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_RENEGOTIATION); }
/// Whether the certificate of a client connection's far side names this numeric address (the library compares names only).
static inline int shim_peer_certificate_names(struct lws *wsi, const char *address) {
    SSL *ssl = lws_get_ssl(wsi);
    X509 *certificate = ssl ? SSL_get1_peer_certificate(ssl) : NULL;
    if (!certificate) return 0;
    int named = X509_check_ip_asc(certificate, address, 0);
    X509_free(certificate);
    return named == 1;
}

#pragma once
#include <libwebsockets.h>
#include <openssl/ssl.h>
/// Bytes to leave free in front of every payload given to lws_write (LWS_PRE is a macro of casts).
enum { SHIM_LWS_PRE = LWS_PRE };
/// TLS 1.2 and later, without renegotiation (the constants are macros of casts).
static inline long shim_lws_tls_options(void) { return (long)(SSL_OP_NO_TLSv1 | SSL_OP_NO_TLSv1_1 | SSL_OP_NO_RENEGOTIATION); }

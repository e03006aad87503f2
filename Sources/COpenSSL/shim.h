#pragma once
// SHA-1's own functions are deprecated in favour of EVP, which cannot copy a prepared state without allocating.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/ssl.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/hmac.h>
#include <openssl/x509v3.h>
#include <openssl/pem.h>
#include "dtls.h"
#include "hmac_sha1.h"
#include "tls.h"

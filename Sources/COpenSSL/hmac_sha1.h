#pragma once
// HMAC-SHA1 (RFC 2104) with both key blocks hashed once per key: two block transforms less a message, and no allocation.
#include <openssl/sha.h>
#include <openssl/crypto.h>
#include <string.h>

struct shim_hmac_sha1 { SHA_CTX inner, outer; };

static inline void shim_hmac_sha1_init(struct shim_hmac_sha1 *state, const void *key, size_t length) {
    unsigned char block[SHA_CBLOCK] = {0};
    if (length > sizeof block) SHA1((const unsigned char *)key, length, block);
    else if (length > 0) memcpy(block, key, length);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36;
    SHA1_Init(&state->inner);
    SHA1_Update(&state->inner, block, sizeof block);
    for (size_t i = 0; i < sizeof block; i++) block[i] ^= 0x36 ^ 0x5c;
    SHA1_Init(&state->outer);
    SHA1_Update(&state->outer, block, sizeof block);
    OPENSSL_cleanse(block, sizeof block);
}

// The code of `first` followed by `second` (either may be empty) into 20 bytes.
static inline void shim_hmac_sha1(const struct shim_hmac_sha1 *state, const void *first, size_t first_length,
                                  const void *second, size_t second_length, unsigned char *code) {
    unsigned char digest[SHA_DIGEST_LENGTH];
    SHA_CTX context = state->inner;
    if (first_length) SHA1_Update(&context, first, first_length);
    if (second_length) SHA1_Update(&context, second, second_length);
    SHA1_Final(digest, &context);
    context = state->outer;
    SHA1_Update(&context, digest, sizeof digest);
    SHA1_Final(code, &context);
}

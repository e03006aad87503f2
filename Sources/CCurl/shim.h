#pragma once
// libcurl's options are variadic, which Swift cannot call: one function for each type of argument.
#include <curl/curl.h>

static inline CURLcode shim_curl_set_long(CURL *curl, CURLoption option, long value) { return curl_easy_setopt(curl, option, value); }
static inline CURLcode shim_curl_set_size(CURL *curl, CURLoption option, curl_off_t value) { return curl_easy_setopt(curl, option, value); }
static inline CURLcode shim_curl_set_text(CURL *curl, CURLoption option, const char *value) { return curl_easy_setopt(curl, option, value); }
static inline CURLcode shim_curl_set_pointer(CURL *curl, CURLoption option, void *value) { return curl_easy_setopt(curl, option, value); }

typedef size_t (*shim_curl_sink)(char *bytes, size_t size, size_t count, void *context);
static inline CURLcode shim_curl_set_body_sink(CURL *curl, shim_curl_sink sink, void *context) {
    CURLcode code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, sink);
    return code == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_WRITEDATA, context) : code;
}
static inline CURLcode shim_curl_set_header_sink(CURL *curl, shim_curl_sink sink, void *context) {
    CURLcode code = curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, sink);
    return code == CURLE_OK ? curl_easy_setopt(curl, CURLOPT_HEADERDATA, context) : code;
}
static inline long shim_curl_status(CURL *curl) {
    long status = 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}
static inline curl_off_t shim_curl_uploaded(CURL *curl) {
    curl_off_t bytes = 0;
    curl_easy_getinfo(curl, CURLINFO_SIZE_UPLOAD_T, &bytes);
    return bytes;
}

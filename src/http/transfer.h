/* One exchange under way; shared by the files of this folder. */
#ifndef HTTP_TRANSFER_H
#define HTTP_TRANSFER_H

#include <curl/curl.h>

#include "http/http.h"

/* Once in a process, before anything else of libcurl. */
void transfer_start_libcurl(void);

struct http {
    CURLM *multi; /* keeps the connections; also lets us look around while waiting */
    char *cacert, *cert, *key, *server_name;
    bool insecure_skip_verify;
    uint64_t dial_timeout_ms;
};

struct transfer {
    const struct http *http;
    const struct http_request *q;
    CURL *easy;
    struct curl_slist *headers, *connect_to;
    struct http_answer told;
    char curl_says[CURL_ERROR_SIZE];

    size_t header_bytes;
    bool unconfirmed;              /* headers have just come; see confirm_headers */
    uint64_t started_ms, moved_ms; /* moved: when progress was last seen */
    uint64_t progress;
    bool stuck;            /* a limit of ours ended it, not libcurl */
    bool only_certificate; /* a handshake that trusts anybody, and then no request */
    struct buf *certificate;

    enum rc rc; /* the first failure of our own: callback, limit, stop */
    struct err err;
};

/* Sets all options of t->easy. RC_NOMEM, RC_USAGE, RC_INTERNAL. */
enum rc transfer_configure(struct transfer *t, struct err *e);

/* Turns libcurl's verdict into ours and sets t->told.end. */
enum rc transfer_failure(struct transfer *t, CURLcode code, struct err *e);

#endif

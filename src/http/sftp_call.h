/* One SFTP transfer under way; shared by the files of this folder. */
#ifndef HTTP_SFTP_CALL_H
#define HTTP_SFTP_CALL_H

#include <curl/curl.h>

#include "http/sftp.h"

/* The sockets that are open now. */
struct sftp_sockets {
    curl_socket_t fd[16];
    size_t count;
};

struct sftp {
    CURLM *multi; /* keeps the connections */
    struct sftp_sockets sockets;
    char *base; /* sftp://HOST:PORT */
    char *user, *identity_file, *known_hosts;
    uint64_t dial_timeout_ms, stall_ms, limit_ms;
};

struct sftp_call {
    struct sftp *session;
    const char *path;
    CURLM *multi; /* the session's; an upload, which lasts while other calls go on in its
                   * midst, has one of its own */
    struct sftp_sockets own, *sockets; /* of that multi handle */
    CURL *easy;
    struct curl_slist *quote;
    char *url;
    char curl_says[CURL_ERROR_SIZE];

    bool bulk; /* moves a file: no limit but the stall */
    http_body_fn *on_body, *on_header;
    void *arg;
    struct bytes piece;     /* of an upload: what libcurl may take now */
    bool uploading, ending; /* `ending`: and then no more */

    uint64_t moved, marked; /* bytes; `marked`: when progress was last seen */
    uint64_t started_ms, marked_ms;
    bool done;
    CURLcode code;
    enum curl_khmatch host_key;

    enum rc rc; /* the first failure of our own: callback, limit, stop */
    struct err err;
};

/* Makes c->easy for the path, and what an upload needs, with all that every call needs;
 * set what else is needed with SFTP_SET, then run it. */
enum rc sftp_call_begin(struct sftp_call *c, struct err *e);
enum rc sftp_call_run(struct sftp_call *c, struct err *e);
void sftp_call_end(struct sftp_call *c);

/* Goes on until it is done, or, of an upload that is not ending, all of c->piece is
 * taken. Only between sftp_call_start and sftp_call_end. */
enum rc sftp_call_start(struct sftp_call *c, struct err *e);
enum rc sftp_call_drive(struct sftp_call *c, struct err *e);

/* Adds a command with its paths quoted; `to` may be NULL. */
enum rc sftp_call_quote(struct sftp_call *c, const char *command, const char *path,
                        const char *to, struct err *e);

/* libcurl checks the types of its varargs only in a direct call, so this is a macro. */
#define SFTP_SET(c, option, value)                 \
    ((c)->code = (c)->code != CURLE_OK ? (c)->code \
                                       : curl_easy_setopt((c)->easy, (option), (value)))

#endif

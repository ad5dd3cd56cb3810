/* Files of another machine over SFTP, through libcurl, bounded in time and memory.
 *
 * A host is trusted only when its key stands in a known_hosts file, and the only way to
 * log in is a private key. A call that is cut or late is RC_NET; what became of it on the
 * other side is then unknown, and finding out is the caller's. Calls may go on while
 * uploads of the same object are open. One object per thread. */
#ifndef HTTP_SFTP_H
#define HTTP_SFTP_H

#include <stdbool.h>
#include <stdint.h>

#include "http/http.h"

struct sftp;

/* Strings are copied. Paths are absolute everywhere, of bytes from ' ' to '~'. */
struct sftp_options {
    const char *host; /* a name, an IPv4 address, or an IPv6 address in brackets */
    unsigned port;    /* 0: 22 */
    const char *user;
    const char *identity_file; /* a private key without a passphrase */
    const char *known_hosts;
    uint64_t dial_timeout_ms; /* name, TCP, SSH and login together; 0: 15 s */
    uint64_t stall_ms;        /* with less than 64 KiB moved; 0: 60 s */
};

/* RC_USAGE when a file cannot be read. Makes no connection. */
enum rc sftp_new(const struct sftp_options *o, struct sftp **out, struct err *e);
void sftp_free(struct sftp *s); /* NULL is fine; all uploads are freed before */
OWN_DEFINE(sftp)

/* For all calls that move no file: the whole of one; 0: no limit. */
void sftp_limit(struct sftp *s, uint64_t total_ms);

/* All fail with RC_NET, RC_AUTH (an unknown host, or one with another key; our key is
 * refused; no permission), RC_NOTFOUND, RC_STORAGE (what the server just calls a
 * failure), RC_INTERRUPTED, RC_NOMEM. */

struct sftp_facts {
    uint64_t size;
    int64_t modified_s; /* since 1970, by the server's clock; 0: not told */
};

/* A directory is a file here: see sftp_is_directory. */
enum rc sftp_stat(struct sftp *s, const char *path, struct sftp_facts *out,
                  struct err *e);
enum rc sftp_is_directory(struct sftp *s, const char *path, bool *out, struct err *e);

/* From `offset`, which is not past its end, to the end of the file, pushed to `fn`. */
enum rc sftp_read(struct sftp *s, const char *path, uint64_t offset, http_body_fn *fn,
                  void *arg, struct err *e);

/* One call per line as the server writes it, much like "ls -l". */
enum rc sftp_list(struct sftp *s, const char *path, http_body_fn *fn, void *arg,
                  struct err *e);

enum rc sftp_remove(struct sftp *s, const char *path, struct err *e);
enum rc sftp_remove_directory(struct sftp *s, const char *path, struct err *e);

/* With `replace` another file of that name goes first; without, it is the server that
 * refuses (OpenSSH does) or overwrites. */
enum rc sftp_rename(struct sftp *s, const char *from, const char *to, bool replace,
                    struct err *e);

/* Bytes that may still be written where `path` is; *known is false when the server does
 * not tell. */
enum rc sftp_free_space(struct sftp *s, const char *path, uint64_t *out, bool *known,
                        struct err *e);

/* A file of mode 0600 in directories of mode 0700, made or emptied. write takes all or
 * fails, finish says that the server has closed the file. */
struct sftp_upload;
enum rc sftp_upload_new(struct sftp *s, const char *path, struct sftp_upload **out,
                        struct err *e);
enum rc sftp_upload_write(struct sftp_upload *u, struct bytes piece, struct err *e);
enum rc sftp_upload_finish(struct sftp_upload *u, struct err *e);
void sftp_upload_free(struct sftp_upload *u); /* NULL is fine */
OWN_DEFINE(sftp_upload)

#endif

/* An object store that speaks S3, for a test: Debian's radosgw, or Swift as a lesser one,
 * unpacked by scripts/peers and started on free ports of 127.0.0.1. It keeps everything
 * below a scratch directory, is up within a few seconds, and ends with the test.
 *
 *     OBJECTSTORE o;
 *     objectstore_start(&o, "radosgw", NULL);
 *     objectstore_bucket(&o, "backups", 0);
 *     ... store_open(&(struct store_options){ .url = objectstore_url(&o, "backups/x"),
 *                                             .credentials_file = o.credentials }) ... */
#ifndef TESTS_LIB_OBJECTSTORE_H
#define TESTS_LIB_OBJECTSTORE_H

#include <stdbool.h>
#include <sys/types.h>

enum { OBJECTSTORE_DAEMONS = 4 };

struct objectstore {
    const char *name, *dir; /* dir: scratch */
    const char *tls_dir;
    int port, tls_port;    /* tls_port: 0 without certificates */
    char endpoint[64];     /* http://127.0.0.1:PORT */
    char credentials[512]; /* a file as the AWS tools write it */
    const char *access, *secret;
    pid_t daemons[OBJECTSTORE_DAEMONS];
};

/* Is it in the peers' cache? If not, the test skips, loudly, or fails where
 * HOLDFAST_REQUIRE_PEERS is set. */
void objectstore_need(const char *name);

/* Started and answering; calls objectstore_need. Fails the test after a minute. With
 * `tls_dir`, which holds server.crt and server.key, radosgw speaks TLS, too. */
void objectstore_start(struct objectstore *o, const char *name, const char *tls_dir);
void objectstore_stop(struct objectstore *o);

/* radosgw dies at once and is started again; what it keeps, it keeps. Does not wait. */
void objectstore_crash(struct objectstore *o);
#define OBJECTSTORE [[gnu::cleanup(objectstore_stop)]] struct objectstore

enum { OBJECTSTORE_LOCKS = 1 }; /* with versions and object lock: radosgw only */
void objectstore_bucket(const struct objectstore *o, const char *bucket, int flags);

/* "s3://PLACE?endpoint=..." in a rotating buffer. */
const char *objectstore_url(const struct objectstore *o, const char *place);

/* Any request, signed by libcurl, an implementation that is not ours: for what a
 * test does behind our back. `header`, `content` and `body` may be NULL. Returns the
 * status; `body` is what was answered, until the next call. */
int objectstore_request(const struct objectstore *o, const char *method, const char *path,
                        const char *header, const char *content, const char **body);

#endif

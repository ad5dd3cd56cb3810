/* OpenSSH's server, as Debian has it, on loopback and for this test alone: with a host
 * key of its own, and one user who may only use SFTP. */
#ifndef TESTS_STORE_SSHD_H
#define TESTS_STORE_SSHD_H

#include <sys/types.h>

#include "storage/store.h"

struct sshd {
    const char *dir; /* scratch: `files` in it is where the user may write */
    char files[600], identity[600], known_hosts[600], url[700];
    int port;
    pid_t pid;
};

/* Skips the test when there is none in the peers' cache. */
void sshd_start(struct sshd *d);

/* What to open for its files. */
struct store_options sshd_options(const struct sshd *d);

/* Ends or freezes every connection there is; new ones are served. */
void sshd_cut(const struct sshd *d);
void sshd_freeze(const struct sshd *d);

/* Nobody listens any more. */
void sshd_stop(struct sshd *d);

#endif

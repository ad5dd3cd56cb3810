/* The first words between two members, on the peer port: who I am, whom I want, and what
 * for. The one that is called answers with one byte; only then anything else is sent, so
 * that a removed member learns that it was removed and a stranger is turned away.
 *
 *     offset  size
 *     0       8     "HOLDPEER"
 *     8       1     what for (enum hello_kind)
 *     9       7     zero
 *     16      8     cluster id; 0 from a member that joins and does not know it yet
 *     24      8     the caller's member id; 0 likewise
 *     32      8     the called member's id as the caller knows it; 0: whoever you are
 *     40      160   the caller's peer URL, then zeros
 */
#ifndef RAFTSTORE_HELLO_H
#define RAFTSTORE_HELLO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum { HELLO_SIZE = 200, HELLO_URL_SIZE = 160 };

enum hello_kind { HELLO_RAFT = 1, HELLO_CALLS = 2 };

enum hello_answer {
    HELLO_WELCOME = 1,
    HELLO_OTHER_CLUSTER = 2,
    HELLO_REMOVED = 3, /* the caller is no member any more */
    HELLO_NOT_ME = 4,  /* the one you want was here once */
};

struct hello {
    enum hello_kind kind;
    uint64_t cluster, from, to;
    char url[HELLO_URL_SIZE]; /* with its NUL */
};

void hello_write(const struct hello *h, uint8_t out[static HELLO_SIZE]);
/* Can these first n bytes be the beginning of one? */
bool hello_begins(const uint8_t *in, size_t n);
enum rc hello_read(const uint8_t in[static HELLO_SIZE], struct hello *out, struct err *e);

/* "http://127.0.0.1:2380" to its parts. RC_USAGE for anything but an IPv4 address or
 * "localhost" with a port. */
enum rc hello_address(const char *url, char host[static 16], uint16_t *port,
                      struct err *e);

#endif

/* What is asked of a member of the store beside etcd's API: its control socket. */
#ifndef LAB_CONTROL_H
#define LAB_CONTROL_H

#include <stdint.h>

#include "util/err.h"

/* Longest path of a socket, with its end. */
enum { LAB_SOCKET_MAX = 108, LAB_ANSWER_MAX = 640 };

/* Sends one line and reads the answer behind "ok " into `answer`. RC_NET when nobody
 * listens or answers in time; RC_USAGE with the member's own words when it refuses. */
enum rc lab_control(const char *path, const char *line,
                    char answer[static LAB_ANSWER_MAX], struct err *e);

/* What "status" answers. */
struct lab_facts {
    char state[16]; /* "leader", "follower", "candidate", "unavailable" */
    uint64_t member, cluster, leader, term, index;
    int64_t revision;
};

/* RC_CORRUPT when the text is something else. */
enum rc lab_facts_parse(const char *answer, struct lab_facts *out, struct err *e);

#endif

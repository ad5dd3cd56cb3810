/* The membership a restored cluster starts with: etcd's --initial-cluster syntax and
 * rules (server/config, pkg/types/urlsmap.go, 3.4 to 3.7). */
#ifndef RESTORE_MEMBERS_H
#define RESTORE_MEMBERS_H

#include <stdint.h>

#include "util/str.h"

enum { RESTORE_MEMBERS_MAX = 64 };

struct restore_member {
    char *name;
    struct str_list peer_urls; /* sorted bytewise, as the member id wants them */
    uint64_t id;               /* from URLs and token; 0 until restore_members_identify */
};

struct restore_members {
    struct restore_member *items; /* zero-initialise; end with restore_members_clear */
    size_t count;
};

/* "a=http://h:2380,a=http://i:2380,b=..." RC_USAGE names the part that is wrong: no name,
 * scheme other than http, https, unix, unixs, no port, a path, a URL used twice. */
enum rc restore_members_parse(const char *text, struct restore_members *out,
                              struct err *e);
void restore_members_clear(struct restore_members *m);

/* Checks one peer URL by the same rules. */
enum rc restore_url_check(const char *url, struct err *e);

/* Computes the member ids and the cluster id that these URLs and this token give, and
 * sorts the members by id, as the WAL lists them. RC_USAGE when two ids are equal. */
enum rc restore_members_identify(struct restore_members *m, const char *token,
                                 uint64_t *cluster_id, struct err *e);

/* NULL when no member has that name. */
const struct restore_member *restore_members_find(const struct restore_members *m,
                                                  const char *name);

#endif

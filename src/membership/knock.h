/* Who answers at the peer address of a new member, as far as it can be reached from here.
 * A member that was started as a new cluster, or on old data, never tells the cluster;
 * its own list of members does. */
#ifndef MEMBERSHIP_KNOCK_H
#define MEMBERSHIP_KNOCK_H

#include "http/http.h"
#include "util/str.h"

/* Does somebody answer at one of `peer_urls` whose cluster has no member `id`? False also
 * when nobody answers, or nobody that is understood. RC_NOMEM, RC_INTERRUPTED. */
enum rc membership_knock(const struct http_options *trust,
                         const struct str_list *peer_urls, uint64_t id, bool *stranger,
                         struct err *e);

/* Pure: the same of an answer to /members. */
bool membership_is_stranger(struct bytes answer, uint64_t id);

#endif

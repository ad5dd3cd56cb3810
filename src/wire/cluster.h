/* Who belongs to the cluster. Changes need a quorum and, with authentication on, role
 * root; looking needs any user that logged in. */
#ifndef WIRE_CLUSTER_H
#define WIRE_CLUSTER_H

#include "util/str.h"
#include "wire/wire.h"

struct wire_member {
    uint64_t id;
    char *name; /* as the server has it: print with care; "" until it has started */
    struct str_list peer_urls, client_urls;
    bool is_learner;
};

struct wire_members {
    struct wire_header header;
    struct wire_member *items;
    size_t count;
};

/* linearizable asks the quorum (3.5+; 3.4 always answers alone), else a member says what
 * it knows. `endpoint` may be WIRE_ANY. */
enum rc wire_member_list(struct wire_client *c, size_t endpoint, bool linearizable,
                         struct wire_members *out, struct err *e);
void wire_members_clear(struct wire_members *m);

/* *id is the new member's; RC_REFUSED (WIRE_UNHEALTHY) while the cluster is not steady.
 */
enum rc wire_member_add(struct wire_client *c, const struct str_list *peer_urls,
                        bool as_learner, uint64_t *id, struct err *e);
enum rc wire_member_remove(struct wire_client *c, uint64_t id, struct err *e);
enum rc wire_member_update(struct wire_client *c, uint64_t id,
                           const struct str_list *peer_urls, struct err *e);
enum rc wire_member_promote(struct wire_client *c, uint64_t id, struct err *e);

#endif

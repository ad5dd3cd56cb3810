/* Leases: a time to live that keys can be attached to. */
#ifndef WIRE_LEASE_H
#define WIRE_LEASE_H

#include "wire/wire.h"

struct wire_lease {
    int64_t id;
    int64_t ttl; /* seconds left; -1: it does not exist (any more) */
    int64_t granted_ttl;
    struct bytes *keys; /* borrowed from `reply` */
    size_t key_count;
    void *reply;
};

/* id 0: the server chooses. *out tells the id and the granted time; nothing to clear. */
enum rc wire_lease_grant(struct wire_client *c, int64_t id, int64_t ttl,
                         struct wire_lease *out, struct err *e);

/* Also deletes the attached keys. RC_NOTFOUND. */
enum rc wire_lease_revoke(struct wire_client *c, int64_t id, struct err *e);

/* RC_OK with ttl -1 for a lease that does not exist, as etcd answers. */
enum rc wire_lease_get(struct wire_client *c, int64_t id, bool with_keys,
                       struct wire_lease *out, struct err *e);
void wire_lease_clear(struct wire_lease *l);

struct wire_leases {
    int64_t *ids;
    size_t count;
};

/* As one member knows them; answered without a quorum too. */
enum rc wire_lease_list(struct wire_client *c, struct wire_leases *out, struct err *e);
void wire_leases_clear(struct wire_leases *l);

/* Renews once. RC_NOTFOUND when it had expired. */
enum rc wire_lease_keep_alive(struct wire_client *c, int64_t id, int64_t *ttl,
                              struct err *e);

#endif

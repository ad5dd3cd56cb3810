#include "wire/lease.h"

#include <inttypes.h>

#include "util/mem.h"
#include "wire/call.h"

enum rc wire_lease_grant(struct wire_client *c, int64_t id, int64_t ttl,
                         struct wire_lease *out, struct err *e)
{
    Etcdrpc__LeaseGrantRequest request = ETCDRPC__LEASE_GRANT_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__LeaseGrantResponse *r = NULL;
    struct wire_call q = {
        .method = "Lease/LeaseGrant",
        .request = &request,
        .reply = &etcdrpc__lease_grant_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = WIRE_ANYONE,
        .writes = true,
    };

    request.id = id;
    request.ttl = ttl;
    TRY(wire_call(c, &q, &r, NULL, e));
    *out = (struct wire_lease){ .id = r->id, .ttl = r->ttl, .granted_ttl = r->ttl };
    return RC_OK;
}

enum rc wire_lease_revoke(struct wire_client *c, int64_t id, struct err *e)
{
    Etcdrpc__LeaseRevokeRequest request = ETCDRPC__LEASE_REVOKE_REQUEST__INIT;
    struct wire_call q = {
        .method = "Lease/LeaseRevoke",
        .request = &request,
        .reply = &etcdrpc__lease_revoke_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = "a role that grants the lease's keys",
        .writes = true,
    };

    request.id = id;
    return wire_call(c, &q, NULL, NULL, e);
}

static enum rc fill_keys(struct wire_lease *l, const Etcdrpc__LeaseTimeToLiveResponse *r,
                         struct err *e)
{
    TRY(mem_new(&l->keys, r->n_keys * sizeof *l->keys, "a lease's keys", e));
    for (size_t i = 0; i < r->n_keys; i++)
        l->keys[i] = codec_bytes(&r->keys[i]);
    l->key_count = r->n_keys;
    return RC_OK;
}

enum rc wire_lease_get(struct wire_client *c, int64_t id, bool with_keys,
                       struct wire_lease *out, struct err *e)
{
    Etcdrpc__LeaseTimeToLiveRequest request = ETCDRPC__LEASE_TIME_TO_LIVE_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__LeaseTimeToLiveResponse *r = NULL;
    struct wire_call q = {
        .method = "Lease/LeaseTimeToLive",
        .request = &request,
        .reply = &etcdrpc__lease_time_to_live_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = with_keys ? "a role that grants the lease's keys" : WIRE_ANYONE,
    };

    request.id = id;
    request.keys = with_keys;
    TRY(wire_call(c, &q, &r, NULL, e));
    struct wire_lease l = { .id = r->id, .ttl = r->ttl, .granted_ttl = r->granted_ttl };

    TRY(fill_keys(&l, r, e));
    l.reply = GIVE(r);
    *out = l;
    return RC_OK;
}

void wire_lease_clear(struct wire_lease *l)
{
    mem_free(l->keys);
    codec_free(l->reply);
    *l = (struct wire_lease){ 0 };
}

enum rc wire_lease_list(struct wire_client *c, struct wire_leases *out, struct err *e)
{
    Etcdrpc__LeaseLeasesRequest request = ETCDRPC__LEASE_LEASES_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__LeaseLeasesResponse *r = NULL;
    int64_t *ids = NULL;
    struct wire_call q = {
        .method = "Lease/LeaseLeases",
        .request = &request,
        .reply = &etcdrpc__lease_leases_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = WIRE_ANYONE,
        .lone = true,
    };

    TRY(wire_call(c, &q, &r, NULL, e));
    TRY(mem_new(&ids, r->n_leases * sizeof *ids, "leases", e));
    for (size_t i = 0; i < r->n_leases; i++)
        ids[i] = r->leases[i]->id;
    *out = (struct wire_leases){ ids, r->n_leases };
    return RC_OK;
}

void wire_leases_clear(struct wire_leases *l)
{
    mem_free(l->ids);
    *l = (struct wire_leases){ 0 };
}

/* A stream in etcd's API; with one request and the end of requests sent at once, it
 * answers once and ends like a plain call. Renewing twice does no harm. */
enum rc wire_lease_keep_alive(struct wire_client *c, int64_t id, int64_t *ttl,
                              struct err *e)
{
    Etcdrpc__LeaseKeepAliveRequest request = ETCDRPC__LEASE_KEEP_ALIVE_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__LeaseKeepAliveResponse *r = NULL;
    struct wire_call q = {
        .method = "Lease/LeaseKeepAlive",
        .request = &request,
        .reply = &etcdrpc__lease_keep_alive_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = WIRE_ANYONE,
    };

    request.id = id;
    TRY(wire_call(c, &q, &r, NULL, e));
    if (r->ttl <= 0)
        return err_set(e, RC_NOTFOUND, "lease %" PRIx64 " has expired", (uint64_t)id);
    *ttl = r->ttl;
    return RC_OK;
}

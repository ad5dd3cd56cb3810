/* What a member proposes by itself: when it has started its name and client URLs, and as
 * leader the version of the cluster. etcd 3.4 knows no requests for that and dies of
 * them: to it they are told as it does itself, as writes to the v2 store. */
#include <inttypes.h>

#include "codec/message.h"
#include "raftstore/node_priv.h"
#include "util/json.h"
#include "util/mem.h"

enum { V2_ONLY = 4 }; /* of etcd 3.x */

static void ignore(void *arg, int code, const char *message, struct machine_outcome *o)
{
    (void)arg;
    (void)code;
    (void)message;
    (void)o;
}

static void propose_request(struct node *n, Raftreq__InternalRaftRequest *r)
{
    AT_END(buf_clear) struct buf b = { 0 };
    uint64_t number = propose_number(n);
    Raftreq__RequestHeader header;
    struct err e;

    raftreq__request_header__init(&header);
    header.id = number;
    r->header = &header;
    if (codec_pack(r, &b, &e) == RC_OK)
        propose(n, PAYLOAD_REQUEST, number, (struct bytes){ b.p, b.n }, ignore, NULL);
    r->header = NULL;
}

static void propose_v2(struct node *n, const char *path, const char *value)
{
    AT_END(buf_clear) struct buf b = { 0 };
    Raftreq__InternalRaftRequest r;
    V2pb__V2Request put;
    struct err e;
    char method[] = "PUT";

    raftreq__internal_raft_request__init(&r);
    v2pb__v2_request__init(&put);
    put.method = method;
    put.path = (char *)(uintptr_t)path;
    put.val = (char *)(uintptr_t)value;
    if (codec_pack(&put, &b, &e) != RC_OK)
        return;
    r.v2 = codec_field((struct bytes){ b.p, b.n });
    propose_request(n, &r);
}

/* {"name":"m1","clientURLs":["http://..."]} */
static enum rc attributes_json(const struct node *n, char **out, struct err *e)
{
    OWNED(json) o = json_new_object();
    struct json *urls = json_new_array();

    if (o == NULL || urls == NULL) {
        json_free(urls);
        return err_set(e, RC_NOMEM, "no memory for a member's attributes");
    }
    json_set_str(o, "name", n->o.name);
    json_set(o, "clientURLs", urls);
    json_add_str(urls, n->o.advertise_client);
    return json_render(o, false, out, e);
}

static void publish_v2(struct node *n)
{
    AT_END(mem_end) char *value = NULL;
    AT_END(mem_end) char *path = NULL;
    struct err e;

    if (attributes_json(n, &value, &e) == RC_OK &&
        str_format(&path, &e, "/0/members/%" PRIx64 "/attributes", n->home.member) ==
            RC_OK)
        propose_v2(n, path, value);
}

static void publish_v3(struct node *n)
{
    Raftreq__InternalRaftRequest r;
    Memberpb__MemberAttrSet set;
    Memberpb__Attributes attributes;
    char *url = (char *)(uintptr_t)n->o.advertise_client;

    raftreq__internal_raft_request__init(&r);
    memberpb__member_attr_set__init(&set);
    memberpb__attributes__init(&attributes);
    attributes.name = (char *)(uintptr_t)n->o.name;
    attributes.client_urls = &url;
    attributes.n_client_urls = 1;
    set.member_id = n->home.member;
    set.member_attributes = &attributes;
    r.cluster_member_attr_set = &set;
    propose_request(n, &r);
}

static void publish(struct node *n)
{
    const struct mvcc_member *m = node_member(n, n->home.member);
    uint64_t now = uv_now(&n->loop);

    if (m == NULL || node_leader(n) == 0 ||
        (n->published_at != 0 && now - n->published_at < node_patience_ms(n)) ||
        (m->name != NULL && strcmp(m->name, n->o.name) == 0 &&
         m->client_urls.count == 1 &&
         str_list_has(&m->client_urls, n->o.advertise_client)))
        return;
    n->published_at = now;
    if (n->o.minor == V2_ONLY)
        publish_v2(n);
    else
        publish_v3(n);
}

static void set_version_v3(struct node *n, char *version)
{
    Raftreq__InternalRaftRequest r;
    Memberpb__ClusterVersionSet set;

    raftreq__internal_raft_request__init(&r);
    memberpb__cluster_version_set__init(&set);
    set.ver = version;
    r.cluster_version_set = &set;
    propose_request(n, &r);
}

static void set_version(struct node *n)
{
    char version[] = "3.0.0";
    const char *now = machine_cluster_version(n->fsm.machine);

    version[2] = (char)('0' + n->o.minor);
    if (!node_is_leader(n) || (now != NULL && strcmp(now, version) >= 0) ||
        (n->version_at != 0 && uv_now(&n->loop) - n->version_at < node_patience_ms(n)))
        return;
    n->version_at = uv_now(&n->loop);
    if (n->o.minor == V2_ONLY)
        propose_v2(n, "/0/version", version);
    else
        set_version_v3(n, version);
}

void announce_tick(struct node *n)
{
    publish(n);
    set_version(n);
}

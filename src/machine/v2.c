/* The requests of etcd's v2 API that 3.4 and 3.5 still log for themselves: a member's
 * attributes and the cluster's version. Everything else went to the v2 store, of which
 * the database knows nothing (etcd server/etcdserver: apply_v2.go). */
#include <string.h>

#include "codec/pb.h"
#include "machine/state.h"
#include "util/json.h"
#include "util/mem.h"

static const char members_path[] = "/0/members/", attributes_path[] = "/attributes",
                  version_path[] = "/0/version";

/* In an InternalRaftRequest field 2 would be a whole message; no message reads so. */
bool v2_is(struct bytes data)
{
    static const char *const methods[] = { "PUT", "POST", "DELETE", "QGET", "SYNC" };
    struct pb_reader r = pb_reader_of(data);
    struct pb_field f;

    while (pb_next(&r, &f))
        for (size_t i = 0; f.tag == PB_TAG(2, PB_BYTES) && i < 5; i++)
            if (bytes_is(f.bytes, methods[i]))
                return true;
    return false;
}

static void list_end(struct str_list *l)
{
    str_list_clear(l);
}

/* {"name":"m1","clientURLs":["http://..."]} */
static enum rc publish(struct machine *m, uint64_t id, const char *value, struct err *e)
{
    AT_END(list_end) struct str_list urls = { 0 };
    OWNED(json) j = NULL;
    const char *name;

    TRY(json_parse(bytes_str(value), "a member's attributes", &j, e));
    const struct json *list = json_get(j, "clientURLs");

    for (size_t i = 0; i < json_count(list); i++) {
        const char *url = json_str(json_at(list, i));

        if (url == NULL)
            return err_set(e, RC_CORRUPT, "a member's client URLs are no texts");
        TRY(str_list_add(&urls, url, e));
    }
    name = json_get_str(j, "name");
    return member_publish(m, id, name == NULL ? "" : name, &urls, e);
}

/* The id between the two parts of the path; false when it is another path. */
static bool member_of(const char *path, uint64_t *id)
{
    struct bytes hex;
    struct err e;

    if (strncmp(path, members_path, sizeof members_path - 1) != 0 ||
        !str_ends(path, attributes_path))
        return false;
    hex = bytes_str(path + sizeof members_path - 1);
    if (hex.n < sizeof attributes_path - 1)
        return false;
    hex.n -= sizeof attributes_path - 1;
    return mvcc_member_key_read(hex, id, &e) == RC_OK;
}

enum rc v2_apply(struct machine *m, struct bytes data, struct err *e)
{
    AT_END(codec_end) V2pb__V2Request *r = NULL;
    uint64_t id;

    TRY(codec_unpack(&v2pb__v2_request__descriptor, data, &r, e));
    if (r->method == NULL || r->path == NULL || strcmp(r->method, "PUT") != 0)
        return RC_OK;
    const char *value = r->val == NULL ? "" : r->val;

    if (strcmp(r->path, version_path) == 0)
        return cluster_version_store(m, value, e);
    return member_of(r->path, &id) ? publish(m, id, value, e) : RC_OK;
}

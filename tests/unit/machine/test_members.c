/* Membership changes, and the v2 requests by which old members published themselves. */
#include <stdio.h>

#include "machine/machine.h"
#include "tests/lib/case.h"
#include "tests/unit/machine/mfixture.h"

static const char *change(struct machine *m, enum wal_change_type type, uint64_t id,
                          const char *context)
{
    const struct wal_change c = { .node_id = id,
                                  .type = type,
                                  .context = bytes_str(context) };
    AT_END(machine_outcome_end) struct machine_outcome o = { .wants_reply = true };
    struct err e = { 0 };

    OK(machine_change(m, &c, &o, &e), &e);
    return o.message;
}

static const char *value_of(const struct machine *m, const char *bucket, const char *key)
{
    static char text[512];
    OWNED(bolt_file) f = machine_file(m);
    struct bytes value;
    struct err e = { 0 };
    bool found;

    OK(bolt_file_get(f, bucket, bytes_str(key), &value, &found, &e), &e);
    if (!found)
        return "";
    snprintf(text, sizeof text, "%.*s", (int)value.n, (const char *)value.p);
    return text;
}

#define A "{\"id\":10,\"peerURLs\":[\"http://a\"],\"name\":\"a\"}"
#define B "{\"id\":11,\"peerURLs\":[\"http://b\"],\"isLearner\":true}"

CASE(machine_members, a_change_is_judged_as_etcd_does)
{
    static const struct {
        enum wal_change_type type;
        uint64_t id;
        const char *context, *says;
    } rows[] = {
        { WAL_CHANGE_ADD, 10, A, "" },
        { WAL_CHANGE_ADD, 10, A, "etcdserver: member ID already exist" },
        { WAL_CHANGE_ADD, 12, "{\"id\":12,\"peerURLs\":[\"http://a\"]}",
          "etcdserver: Peer URLs already exists" },
        { WAL_CHANGE_ADD_LEARNER, 11, B, "" },
        { WAL_CHANGE_ADD_LEARNER, 12,
          "{\"id\":12,\"peerURLs\":[\"http://c\"],\"isLearner\":true}",
          "etcdserver: too many learner members in cluster" },
        { WAL_CHANGE_ADD, 10, "{\"id\":10,\"peerURLs\":null,\"isPromote\":true}",
          "etcdserver: can only promote a learner member" },
        { WAL_CHANGE_ADD, 12, "{\"id\":12,\"peerURLs\":null,\"isPromote\":true}",
          "etcdserver: member not found" },
        { WAL_CHANGE_ADD, 11, "{\"id\":11,\"peerURLs\":null,\"isPromote\":true}", "" },
        { WAL_CHANGE_UPDATE, 11, "{\"id\":11,\"peerURLs\":[\"http://a\"]}",
          "etcdserver: Peer URLs already exists" },
        { WAL_CHANGE_UPDATE, 11, "{\"id\":11,\"peerURLs\":[\"http://n\"]}", "" },
        { WAL_CHANGE_UPDATE, 12, "{\"id\":12,\"peerURLs\":[\"http://n\"]}",
          "etcdserver: member not found" },
        { WAL_CHANGE_REMOVE, 12, "", "etcdserver: member not found" },
        { WAL_CHANGE_REMOVE, 10, "", "" },
        { WAL_CHANGE_REMOVE, 10, "", "etcdserver: member not found" },
        { WAL_CHANGE_ADD, 10, A, "etcdserver: member not found" },
    };

    for (int minor = 4; minor <= 7; minor++) {
        OWNED(machine) m = machine_of(minor);

        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
            cr_assert_str_eq(change(m, rows[i].type, rows[i].id, rows[i].context),
                             rows[i].says, "3.%d: row %zu", minor, i);
        cr_assert_str_eq(value_of(m, "members", "b"),
                         "{\"id\":11,\"peerURLs\":[\"http://n\"]}");
        cr_assert_str_eq(value_of(m, "members", "a"), "");
        cr_assert_str_eq(value_of(m, "members_removed", "a"), "removed");
        cr_assert_str_eq(value_of(m, "meta", MVCC_CONF_STATE),
                         minor == 4 ? "" : "{\"voters\":[11],\"auto_leave\":false}");
        cr_assert(machine_removed(m, 10) && !machine_removed(m, 11));
    }
}

static void entry(struct machine *m, const char *method, const char *path,
                  const char *value)
{
    AT_END(buf_clear) struct buf data = { 0 };
    V2pb__V2Request r = V2PB__V2_REQUEST__INIT;
    struct err e = { 0 };

    r.method = (char *)(uintptr_t)method;
    r.path = (char *)(uintptr_t)path;
    r.val = (char *)(uintptr_t)value;
    OK(codec_pack(&r, &data, &e), &e);
    const struct wal_entry w = { .index = machine_index(m) + 1,
                                 .term = 1,
                                 .data = { data.p, data.n } };

    OK(machine_apply(m, &w, NULL, &e), &e);
}

CASE(machine_members, members_of_3_5_publish_themselves_by_v2)
{
    OWNED(machine) m = machine_of(5);

    cr_assert_str_eq(change(m, WAL_CHANGE_ADD, 10, A), "");
    entry(m, "PUT", "/0/members/a/attributes",
          "{\"name\":\"new\",\"clientURLs\":[\"http://c\"]}");
    cr_assert_str_eq(value_of(m, "members", "a"),
                     "{\"id\":10,\"peerURLs\":[\"http://a\"],\"name\":\"new\","
                     "\"clientURLs\":[\"http://c\"]}");
    entry(m, "PUT", "/0/members/ff/attributes", "{\"name\":\"unknown\"}");
    entry(m, "PUT", "/0/version", "3.5.0");
    cr_assert_str_eq(machine_cluster_version(m), "3.5.0");
    cr_assert_str_eq(value_of(m, "cluster", "clusterVersion"), "3.5.0");
    entry(m, "SYNC", "", "");
    entry(m, "PUT", "/1/key", "of a v2 client");
    entry(m, "DELETE", "/0/version", "");
    cr_assert_str_eq(machine_cluster_version(m), "3.5.0");
    cr_assert_eq(machine_index(m), 6);
}

static void downgrade(struct machine *m, bool enabled, const char *version)
{
    Raftreq__InternalRaftRequest r = RAFTREQ__INTERNAL_RAFT_REQUEST__INIT;
    Memberpb__DowngradeInfoSet d;
    struct err e = { 0 };

    memberpb__downgrade_info_set__init(&d);
    d.enabled = enabled;
    d.ver = (char *)(uintptr_t)version;
    r.downgrade_info_set = &d;
    OK(machine_request(m, &r, NULL, &e), &e);
}

CASE(machine_members, a_downgrade_is_noted)
{
    OWNED(machine) m = machine_of(6);

    downgrade(m, true, "3.5.0");
    cr_assert_str_eq(value_of(m, "cluster", "downgrade"),
                     "{\"target-version\":\"3.5.0\",\"enabled\":true}");
    downgrade(m, false, "3.5.0");
    cr_assert_str_eq(value_of(m, "cluster", "downgrade"),
                     "{\"target-version\":\"\",\"enabled\":false}");
}

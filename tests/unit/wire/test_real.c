/* The client against real etcd of every version in the cache. */
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/cluster.h"
#include "util/stop.h"
#include "wire/maintenance.h"
#include "wire/snapshot.h"

/* Runs the body once for each version that is there. */
#define EACH_BACKEND(b)                                                            \
    for (const struct cluster_backend *b = cluster_backends; b->name != NULL; b++) \
        if (cluster_available(b))

static void connect_to(const struct cluster *k, struct wire_client **c)
{
    struct wire_options o = { .endpoints = cluster_endpoints(k) };
    struct err e = { 0 };

    OK(wire_client_new(&o, c, &e), &e);
}

CASE(wire_real, status_and_snapshot, .timeout = 120)
{
    EACH_BACKEND(b)
    {
        CLUSTER k = { 0 };
        OWNED(wire_client) c = NULL;
        OWNED(sink) sink = NULL;
        struct wire_status s = { 0 };
        struct wire_snapshot snap = { 0 };
        struct err e = { 0 };
        uint8_t digest[SHA256_SIZE];

        cluster_start(&k, b, &(struct cluster_options){ 0 });
        connect_to(&k, &c);
        OK(wire_status_get(c, 0, &s, &e), &e);
        cr_assert(strncmp(s.version, b->version, 3) == 0, "%s: %s", b->name, s.version);
        cr_assert(s.leader == s.header.member_id && wire_cluster_id(c) != 0, "%s",
                  b->name);
        OK(null_sink_new(&sink, &e), &e);
        OK(sha256_sink_new(GIVE(sink), digest, &sink, &e), &e);
        OK(wire_snapshot_take(c, 0, &(struct wire_snapshot_options){ 0 }, sink, &snap,
                              &e),
           &e);
        cr_assert(snap.bytes == snap.db_size + 32 && snap.db_size >= s.db_size, "%s",
                  b->name);
        wire_status_clear(&s);
    }
}

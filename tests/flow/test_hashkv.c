/* HashKV from the file is what the server answers, at every revision that it still has.
 * Seeds are fixed; HOLDFAST_LONG=1 tries more of them. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "boltdb/file.h"
#include "mvcc/survey.h"
#include "tests/flow/flow.h"
#include "tests/flow/history.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

enum { PHASES = 4, REVISIONS = 70, SEEDS_LONG = 10 };

struct compared {
    unsigned answers; /* revisions at which the server had one */
    int64_t compact, head;
};

/* The server has an answer for each revision above the compacted one. At it, 3.4 has
 * one of the same kind; 3.5 and later repeat what they hashed on the way of compacting,
 * so still with the compaction before. */
static void compare_at(struct wire_client *c, const struct bolt_file *file,
                       int64_t revision, struct compared *n, const char *what)
{
    struct wire_hashkv theirs = { 0 };
    struct mvcc_hashkv ours = { 0 };
    struct err e = { 0 };

    if (wire_hashkv_get(c, 0, revision, &theirs, &e) != RC_OK) {
        cr_assert(wire_last(c)->detail == WIRE_COMPACTED && revision <= n->compact,
                  "%s: revision %" PRId64 ": %s", what, revision, e.why);
        return;
    }
    if (revision == n->compact && theirs.compact_revision < revision)
        return;
    OK(mvcc_hashkv_file(file, revision, &ours, &e), &e);
    cr_assert(ours.hash == theirs.hash &&
                  ours.compact_revision == theirs.compact_revision,
              "%s: at revision %" PRId64 " we say %u (compacted %" PRId64
              "), the server %u (%" PRId64 ")",
              what, revision, ours.hash, ours.compact_revision, theirs.hash,
              theirs.compact_revision);
    cr_assert_eq(ours.revision, revision, "%s", what);
    n->answers++;
}

static void compare_all(const struct cluster *k, struct wire_client *c, const char *path,
                        struct compared *n, const char *what)
{
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    TOOL(p, 0, "snapshot", "save", path, "--endpoints", cluster_endpoints(k));
    OK(bolt_file_open(path, NULL, &file, &e), &e);
    n->head = history_revision(c);
    n->answers = 0;
    for (int64_t r = n->compact < 1 ? 1 : n->compact; r <= n->head; r++)
        compare_at(c, file, r, n, what);
    cr_assert_geq((int64_t)n->answers, n->head - n->compact, "%s: %u answers", what,
                  n->answers);
}

/* Grow, compact somewhere in what is there, compare; the first phase has no compaction,
 * and the last compacts at the head itself. */
static void check_history(const struct cluster *k, struct wire_client *c, uint64_t seed)
{
    struct history_random r = { seed };
    struct compared n = { 0 };
    struct err e = { 0 };
    char what[80], name[32];

    for (unsigned i = 0; i < PHASES; i++) {
        history_grow(c, &r, REVISIONS, i == 1 ? 3 : 0);
        n.head = history_revision(c);
        if (i == PHASES - 1)
            n.compact = n.head;
        else if (i > 0)
            n.compact += 1 + history_below(&r, (uint32_t)(n.head - n.compact - 1));
        if (i > 0)
            OK(wire_compact(c, n.compact, true, &e), &e);
        snprintf(what, sizeof what, "%s, seed %" PRIu64 ", phase %u", k->backend->name,
                 seed, i);
        snprintf(name, sizeof name, "%" PRIu64 "-%u.db", seed, i);
        compare_all(k, c, path_in(k->dir, name), &n, what);
    }
}

EACH_BACKEND(hashkv, equals_the_servers_at_every_revision)
{
    unsigned seeds = getenv("HOLDFAST_LONG") == NULL ? 1 : SEEDS_LONG;

    for (uint64_t seed = 1; seed <= seeds; seed++) {
        CLUSTER k = { 0 };
        OWNED(wire_client) c = NULL;

        cluster_start(&k, b, NULL);
        flow_connect(&k, &c);
        check_history(&k, c, seed);
    }
}

/* A record with main 1 does not exist, but an empty store answers for it. */
EACH_BACKEND(hashkv, an_empty_store_has_one_too)
{
    CLUSTER k = { 0 };
    OWNED(wire_client) c = NULL;
    struct compared n = { 0 };

    cluster_start(&k, b, NULL);
    flow_connect(&k, &c);
    compare_all(&k, c, path_in(k.dir, "empty.db"), &n, b->name);
    cr_assert_eq(n.head, 1);
}

static void command_says(const char *file, int64_t revision, struct flow_hash want)
{
    OWNED(json) said = NULL;
    char rev[32];

    snprintf(rev, sizeof rev, "%" PRId64, revision);
    TOOL(p, 0, "snapshot", "hashkv", file, "--rev", rev, "-w", "json");
    flow_json(&p, &said);
    cr_assert_eq(flow_number(said, "hash"), want.hash, "%s at %s", file, rev);
    cr_assert_eq(flow_number(said, "compactRevision"), want.compact, "%s at %s", file,
                 rev);
    cr_assert_eq(flow_number(said, "hashRevision"),
                 revision == 0 ? want.revision : revision, "%s at %s", file, rev);
}

EACH_BACKEND(hashkv, the_command_says_the_same)
{
    CLUSTER k = { 0 };
    OWNED(wire_client) c = NULL;
    int64_t compacted, head;
    char past[32], future[32];
    const char *file, *packed;

    cluster_start(&k, b, NULL);
    flow_connect(&k, &c);
    compacted = history_make(c, 7);
    head = history_revision(c);
    file = path_in(k.dir, "x.db");
    packed = path_in(k.dir, "x.db.zst");
    TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&k));
    TOOL(z, 0, "snapshot", "save", packed, "--endpoints", cluster_endpoints(&k));
    command_says(file, 0, flow_hashkv(c, 0, 0));
    command_says(file, head, flow_hashkv(c, 0, head));
    command_says(file, compacted + 1, flow_hashkv(c, 0, compacted + 1));
    command_says(file, head - 5, flow_hashkv(c, 0, head - 5));
    command_says(packed, head - 5, flow_hashkv(c, 0, head - 5));
    snprintf(past, sizeof past, "%" PRId64, compacted - 1);
    snprintf(future, sizeof future, "%" PRId64, head + 1);
    TOOL(below, 10, "snapshot", "hashkv", file, "--rev", past);
    TOOL(beyond, 10, "snapshot", "hashkv", file, "--rev", future);
    TOOL(packed_below, 10, "snapshot", "hashkv", packed, "--rev", past);
}

static void cluster_says(const struct cluster *k, const char *file, int status,
                         const char *verdict)
{
    OWNED(json) said = NULL;

    TOOL(p, status, "snapshot", "verify", file, "--against-cluster", "--endpoints",
         cluster_endpoints(k), "--json");
    flow_json(&p, &said);
    cr_assert_str_eq(flow_text(json_at(json_get(said, "cluster"), 0), "verdict"), verdict,
                     "%s: %s", k->backend->name, p.out);
}

/* The member has its answer also when it was compacted up to the snapshot's revision,
 * and no longer when it was compacted beyond. */
EACH_BACKEND(hashkv, a_verify_asks_the_cluster)
{
    CLUSTER k = { 0 };
    OWNED(wire_client) c = NULL;
    struct err e = { 0 };
    const char *file;

    cluster_start(&k, b, NULL);
    flow_connect(&k, &c);
    history_fill(c, "fill", 30, 10);
    history_fill(c, "fill", 20, 10);
    OK(wire_compact(c, history_revision(c), true, &e), &e);
    file = path_in(k.dir, "x.db");
    TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&k));
    cluster_says(&k, file, 0, "equal");
    history_fill(c, "fill", 10, 10);
    cluster_says(&k, file, 8, "unknown");
    OK(wire_compact(c, history_revision(c), true, &e), &e);
    cluster_says(&k, file, 8, "unknown");
}

/* Another cluster that has the same revisions is not this one. */
EACH_BACKEND(hashkv, another_history_of_the_same_length_differs)
{
    CLUSTER one = { 0 }, two = { 0 };
    OWNED(wire_client) c1 = NULL;
    OWNED(wire_client) c2 = NULL;
    const char *file;

    cluster_start(&one, b, NULL);
    flow_connect(&one, &c1);
    history_put(c1, "a", "1");
    file = path_in(one.dir, "x.db");
    TOOL(p, 0, "snapshot", "save", file, "--endpoints", cluster_endpoints(&one));
    cluster_kill(&one, 0, SIGKILL);
    cluster_start(&two, b, NULL);
    flow_connect(&two, &c2);
    history_put(c2, "a", "2");
    cluster_says(&two, file, 3, "differs");
}

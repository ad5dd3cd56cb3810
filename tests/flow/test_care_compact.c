/* Compacting a living cluster, on real servers. */
#include <stdio.h>
#include <string.h>

#include "tests/flow/flow.h"
#include "util/str.h"
#include "wire/kv.h"

static int64_t write_history(struct wire_client *w, int n)
{
    struct wire_header h = { 0 };
    struct err e = { 0 };

    for (int i = 0; i < n; i++)
        OK(wire_put(w, bytes_str("key"), bytes_str("value"), 0, &h, &e), &e);
    return h.revision;
}

/* Whether the key can still be read as of that revision. */
static bool readable(struct wire_client *w, int64_t revision)
{
    AT_END(wire_kvs_clear) struct wire_kvs kvs = { 0 };
    const struct wire_range q = { .key = bytes_str("key"), .revision = revision };
    struct err e = { 0 };

    if (wire_range_get(w, &q, &kvs, &e) == RC_OK)
        return true;
    cr_assert_eq(wire_last(w)->detail, WIRE_COMPACTED, "%s", e.why);
    return false;
}

static const char *number(int64_t n)
{
    static char text[4][24];
    static unsigned turn;
    char *to = text[turn++ % 4];

    snprintf(to, sizeof text[0], "%lld", (long long)n);
    return to;
}

EACH_ETCD(care_compact, goes_as_far_as_it_said)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) dry = NULL;
    OWNED(json) done = NULL;
    const char *at;
    int64_t newest;

    cluster_start(&c, b, NULL);
    at = cluster_endpoint(&c, 0);
    flow_connect(&c, &w);
    newest = write_history(w, 40);
    TOOL(p, 0, "compact", "--keep-revisions", "10", "--dry-run", "-w", "json",
         "--endpoints", at);
    flow_json(&p, &dry);
    cr_assert_eq(flow_number(dry, "compact_revision"), newest - 10);
    cr_assert(readable(w, 2), "a dry run changes nothing");
    AT_END(proc_end) struct proc unasked = { 0 };

    /* Without a terminal to ask on, wherever the tests run. */
    flow_tool(&unasked, 2, NULL,
              (const char *const[]){ "setsid", "-w", HOLDFAST_BIN, "compact",
                                     "--keep-revisions", "10", "--endpoints", at, NULL });
    cr_assert(readable(w, 2), "nobody confirmed it");
    TOOL(newest_too, 5, "compact", "--keep-revisions", "0", "--yes", "--endpoints", at);
    TOOL(guarded, 0, "compact", "--keep-revisions", "10", "--protect",
         number(newest - 20), "--yes", "--endpoints", at);
    cr_assert(readable(w, newest - 20) && !readable(w, newest - 21));
    TOOL(q, 0, "compact", "--revision", number(newest - 10), "--physical", "--yes", "-w",
         "json", "--endpoints", at);
    flow_json(&q, &done);
    cr_assert_eq(flow_number(done, "compacted_before"), newest - 20);
    cr_assert(readable(w, newest - 10) && !readable(w, newest - 11));
    TOOL(again, 0, "compact", "--keep-revisions", "10", "--yes", "--endpoints", at);
    cr_assert(strstr(again.err, "nothing to do") != NULL, "%s", again.err);
    TOOL(well, 0, "doctor", "--endpoints", at);
}

static void age_the_samples(const char *dir)
{
    PEER(p, "python3", "-c",
         "import sqlite3, sys\n"
         "d = sqlite3.connect(sys.argv[1] + '/state.sqlite')\n"
         "d.execute('update sample set time = time - 7200')\n"
         "d.commit()\n",
         dir);
}

/* What was the newest revision two hours ago stays readable, what is older goes. */
CASE(care_compact, a_time_becomes_a_revision, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    const char *at, *state = tmpdir_new();
    int64_t then;

    flow_need("3.5");
    cluster_start(&c, cluster_backend("3.5"), NULL);
    at = cluster_endpoint(&c, 0);
    flow_connect(&c, &w);
    then = write_history(w, 20);
    TOOL(early, 10, "compact", "--keep", "1h", "--yes", "--state-dir", state,
         "--endpoints", at);
    cr_assert(strstr(early.err, "no sample of this cluster is that old") != NULL, "%s",
              early.err);
    TOOL(sampled, 0, "status", "--state-dir", state, "--endpoints", at);
    age_the_samples(state);
    write_history(w, 20);
    TOOL(p, 0, "compact", "--keep", "1h", "--yes", "--state-dir", state, "--endpoints",
         at);
    cr_assert(readable(w, then) && !readable(w, then - 1));
}

/* A quota that is exhausted, and the way out. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "tests/flow/trouble.h"
#include "util/str.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

EACH_BACKEND(space, one_command_brings_writes_back)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) told = NULL;
    OWNED(json) o = NULL;
    struct err e = { 0 };
    const char *state;

    cluster_start(
        &c, b, &(struct cluster_options){ .members = 3, .flags = trouble_small_quota });
    state = path_in(c.dir, "state");
    flow_connect(&c, &w);
    TOOL(calm, 0, "space", "--state-dir", state, "--endpoints", cluster_endpoint(&c, 0));
    cr_assert(strstr(calm.out, "there is room") != NULL, "%s", calm.out);
    trouble_fill(w, true, 0);
    trouble_await_nospace(&c);
    TOOL(full, 8, "space", "-w", "json", "--state-dir", state, "--endpoints",
         cluster_endpoint(&c, 0));
    flow_json(&full, &told);
    cr_assert(strstr(flow_text(told, "advice"), "holdfast space fix") != NULL);
    cr_assert_eq(flow_number(json_at(json_get(told, "members"), 0), "quota"), 16777216);
    TOOL(dry, 0, "space", "fix", "--dry-run", "--state-dir", state, "--endpoints",
         cluster_endpoint(&c, 0));
    cr_assert(trouble_is_nospace(&c), "a dry run changes nothing");
    TOOL(ask, 2, "space", "fix", "--state-dir", state, "--endpoints",
         cluster_endpoint(&c, 0));
    TOOL(fix, 0, "space", "fix", "--yes", "-w", "json", "--state-dir", state,
         "--endpoints", cluster_endpoint(&c, 0));
    flow_json(&fix, &o);
    cr_assert(flow_number(o, "disarmed") >= 1 && flow_number(o, "proved_revision") > 0,
              "%s", fix.out);
    cr_assert(!trouble_is_nospace(&c));
    OK(trouble_put(w, "key-0", &e), &e);
    cr_assert_str_eq(CTL(&c, 0, "get", "--prefix", "holdfast/"), "", "no probe is left");
    TOOL(fine, 0, "alarm", "list", "--endpoints", cluster_endpoint(&c, 0));
}

/* What fills it is wanted: then the alarm stays, and that is said. */
EACH_BACKEND(space, keys_that_live_are_not_dropped)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    const char *state;
    bool stays = false;

    cluster_start(&c, b, &(struct cluster_options){ .flags = trouble_small_quota });
    state = path_in(c.dir, "state");
    flow_connect(&c, &w);
    for (int round = 0, next = 0; round < 8 && !stays; round++) {
        next = trouble_fill(w, false, next);
        trouble_await_nospace(&c);
        HOLDFAST(fix, "space", "fix", "--yes", "--state-dir", state, "--endpoints",
                 cluster_endpoint(&c, 0));
        stays = fix.status == 8;
        cr_assert(stays || fix.status == 0, "%s", fix.err);
        cr_assert(!stays || strstr(fix.err, "m0 still fills") != NULL, "%s", fix.err);
        cr_assert_eq(trouble_is_nospace(&c), stays);
    }
    cr_assert(stays, "there is always a little to gain, but not for ever");
    cr_assert(strstr(CTL(&c, 0, "get", "key-0", "--keys-only"), "key-0") != NULL);
    TOOL(kept, 8, "space", "fix", "--yes", "--keep-revisions", "20", "--state-dir", state,
         "--endpoints", cluster_endpoint(&c, 0));
    CTL(&c, 0, "del", "key-1", "key-4"); /* and all between */
    TOOL(again, 0, "space", "fix", "--yes", "--state-dir", state, "--endpoints",
         cluster_endpoint(&c, 0));
    cr_assert(!trouble_is_nospace(&c));
}

/* No health check is green while CORRUPT is raised: all are up and have a leader. */
static void await_all(const struct cluster *c)
{
    for (int i = 0; i < 100; i++) {
        RUN(p, HOLDFAST_BIN, "space", "fix", "--dry-run", "--endpoints",
            cluster_endpoint(c, 0));
        RUN(hash, HOLDFAST_BIN, "hash", "--endpoints", cluster_endpoint(c, 0));
        if (p.status == 0 && hash.status == 0)
            return;
        usleep(100000);
    }
    cr_assert(false, "they are not well again");
}

/* All voters hold the same: then CORRUPT is a false alarm. Unless that can be known,
 * nothing is done. */
EACH_BACKEND(space, corrupt_is_disarmed_only_when_all_agree)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    struct err e = { 0 };
    const char *state;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    state = path_in(c.dir, "state");
    flow_connect(&c, &w);
    OK(trouble_put(w, "key", &e), &e);
    OK(wire_alarm_activate(
           w, (struct wire_alarm){ wire_cluster_id(w) + 1, WIRE_ALARM_CORRUPT }, &e),
       &e);
    kill(c.members[2].pid, SIGSTOP);
    TOOL(ill, 5, "space", "fix", "--yes", "--command-timeout", "1s", "--state-dir", state,
         "--endpoints", cluster_endpoint(&c, 0));
    kill(c.members[2].pid, SIGCONT);
    cr_assert(strstr(ill.err, "CORRUPT is raised") != NULL, "%s", ill.err);
    await_all(&c);
    TOOL(fix, 0, "space", "fix", "--yes", "--state-dir", state, "--endpoints",
         cluster_endpoint(&c, 0));
    cr_assert(strstr(fix.err, "all voters hold the same data") != NULL, "%s", fix.err);
    cr_assert(strstr(CTL(&c, 0, "alarm", "list"), "CORRUPT") == NULL);
    OK(trouble_put(w, "key", &e), &e);
}

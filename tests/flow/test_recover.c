/* From lost quorum to a healthy cluster, on real etcd. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/flow/disaster.h"
#include "tests/flow/history.h"
#include "tests/flow/storm.h"
#include "util/clock.h"

enum { MOMENTS_LONG = 8 };

/* ---- under load, at random moments --------------------------------------------------
 */

/* The member whose copy raft would elect; what any client was told is in it. */
static unsigned best_copy(const struct cluster *c)
{
    OWNED(json) a = NULL;

    TOOL(p, 0, "assess", c->members[0].data_dir, c->members[1].data_dir,
         c->members[2].data_dir, "--json", "--endpoints", DISASTER_NOBODY);
    flow_json(&p, &a);
    for (unsigned i = 0; i < c->count; i++)
        if (strcmp(flow_text(a, "best"), c->members[i].data_dir) == 0)
            return i;
    cr_assert_fail("no best copy");
    return 0;
}

/* Three members under load, all killed, two of the disks destroyed: every write that was
 * acknowledged up to the announced point is there, and all of them when the newest copy
 * is what was left. */
static void at_one_moment(const struct cluster_backend *b, unsigned turn)
{
    const struct cluster_options o = { .members = 3 };
    bool best = turn % 2 == 0;
    OWNED(wire_client) w = NULL;
    OWNED(json) plan = NULL;
    struct storm *storm;
    LEDGER ledger = NULL;
    CLUSTER c = { 0 };
    unsigned left, kept, all;

    cluster_start(&c, b, &o);
    ledger = ledger_start(&c);
    storm = storm_start(&c, 4000 + turn, true);
    clock_sleep_ms(200 + 90 * (turn % 7));
    for (unsigned i = 0; i < 3; i++)
        cluster_kill(&c, (i + turn) % 3, SIGKILL);
    storm_join(storm);
    all = ledger_join(ledger);
    left = best ? best_copy(&c) : turn % 3;
    disaster_lose_all_but(&c, left);

    DISASTER_PLAN(&c, "plan.json", &plan, c.members[left].data_dir);
    disaster_apply_all(&c, path_in(c.dir, "plan.json"), plan);
    disaster_over(&c, plan);
    flow_connect_to(&c, left, &w);
    kept = ledger_check(ledger, w, disaster_point(plan));
    if (best)
        cr_assert_eq(kept, all, "turn %u: %u of %u acknowledged writes are left", turn,
                     kept, all);
    disaster_back(&c, left, 5, path_in(c.dir, "plan.json"), "has been written to");
    disaster_old_stays_out(&c, left, disaster_aside(&c, left, plan));
}

EACH_ETCD(recover, two_of_three_disks_are_gone)
{
    unsigned turns = getenv("HOLDFAST_LONG") == NULL ? 1 + (b->minor == 6) : MOMENTS_LONG;

    for (unsigned turn = 0; turn < turns; turn++)
        at_one_moment(b, turn * 3 + (unsigned)b->minor);
}

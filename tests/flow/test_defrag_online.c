/* Defragmenting a living cluster: under load, ill, interrupted, and only looked at. */
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/flow.h"
#include "tests/lib/fakeetcd.h"
#include "util/clock.h"
#include "util/str.h"
#include "util/task.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

enum { VALUE = 32 << 10, ROUNDS = 3 };

/* Rewrites all keys and drops their history: two thirds of each file are free then. */
static void fragment(struct wire_client *w, int keys)
{
    static char value[VALUE];
    struct wire_header h = { 0 };
    struct err e = { 0 };

    memset(value, 'v', sizeof value);
    for (int round = 0; round < ROUNDS; round++)
        for (int k = 0; k < keys; k++) {
            char key[24];

            snprintf(key, sizeof key, "big-%03d", k);
            OK(wire_put(w, bytes_str(key),
                        (struct bytes){ (const uint8_t *)value, sizeof value }, 0, &h,
                        &e),
               &e);
        }
    OK(wire_compact(w, h.revision, true, &e), &e);
}

/* ---- load -----------------------------------------------------------------------------
 */

enum phase { BEFORE, DURING, AFTER, PHASES };
enum { SAMPLES_MAX = 20000, CLIENTS = 3 };

struct load {
    struct wire_client *clients[CLIENTS];
    struct task tasks[CLIENTS];
    struct writer {
        struct load *load;
        unsigned number;
    } writers[CLIENTS];
    atomic_int phase;
    atomic_bool over;
    atomic_uint failed;
    atomic_ullong last_ack, longest_gap;
    atomic_uint count[PHASES];
    uint32_t us[PHASES][SAMPLES_MAX];
};

static void note(struct load *l, uint64_t took_us)
{
    unsigned long long now = clock_ms(), before = atomic_exchange(&l->last_ack, now);
    int phase = atomic_load(&l->phase);
    unsigned at = atomic_fetch_add(&l->count[phase], 1);

    if (before != 0 && now > before && now - before > atomic_load(&l->longest_gap))
        atomic_store(&l->longest_gap, now - before);
    if (at < SAMPLES_MAX)
        l->us[phase][at] = (uint32_t)took_us;
}

static enum rc write_on(void *arg, struct err *e)
{
    const struct writer *me = arg;
    struct load *l = me->load;

    (void)e;
    for (unsigned i = 0; !atomic_load(&l->over); i++) {
        uint64_t begun = clock_us();
        struct err why = { 0 };
        char key[24];

        snprintf(key, sizeof key, "small-%u-%u", me->number, i % 50);
        if (wire_put(l->clients[me->number], bytes_str(key), bytes_str("x"), 0, NULL,
                     &why) == RC_OK)
            note(l, clock_us() - begun);
        else
            atomic_fetch_add(&l->failed, 1);
        usleep(5000);
    }
    return RC_OK;
}

static void load_start(struct load *l, const struct cluster *c)
{
    struct err e = { 0 };

    for (unsigned i = 0; i < CLIENTS; i++) {
        flow_connect_to(c, i, &l->clients[i]);
        l->writers[i] = (struct writer){ l, i };
        OK(task_start(&l->tasks[i], write_on, &l->writers[i], &e), &e);
    }
}

static void load_end(struct load *l)
{
    struct err e = { 0 };

    atomic_store(&l->over, true);
    for (unsigned i = 0; i < CLIENTS; i++) {
        OK(task_join(&l->tasks[i], &e), &e);
        wire_client_free(l->clients[i]);
    }
}

static int by_size(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

static double p99_ms(struct load *l, enum phase p)
{
    unsigned n = atomic_load(&l->count[p]);

    n = n > SAMPLES_MAX ? SAMPLES_MAX : n;
    if (n == 0)
        return 0;
    qsort(l->us[p], n, sizeof l->us[p][0], by_size);
    return l->us[p][(n - 1) * 99 / 100] / 1000.0;
}

static void all_are_done(const struct json *o)
{
    const struct json *members = json_get(o, "members");

    cr_assert_eq(json_count(members), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct json *m = json_at(members, i);
        int64_t size = flow_number(m, "size_after"),
                in_use = flow_number(m, "in_use_after");

        cr_assert_str_eq(flow_text(m, "state"), "done");
        cr_assert_lt(size, flow_number(m, "size_before") * 2 / 3);
        cr_assert_lt((size - in_use) * 100, size * 5, "%lld of %lld in use",
                     (long long)in_use, (long long)size);
    }
}

/* Three members under a steady load: files shrink, and somebody always takes writes. */
EACH_ETCD(defrag_online, writes_go_on)
{
    static struct load l;
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) o = NULL;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    flow_connect(&c, &w);
    fragment(w, 200);
    load_start(&l, &c);
    usleep(700000);
    atomic_store(&l.phase, DURING);
    TOOL(p, 0, "defrag", "--cluster", "--move-leader", "--yes", "-w", "json",
         "--state-dir", path_in(c.dir, "state"), "--endpoints", cluster_endpoint(&c, 0));
    atomic_store(&l.phase, AFTER);
    usleep(700000);
    load_end(&l);
    flow_json(&p, &o);
    all_are_done(o);
    cr_assert_eq(flow_number(o, "leader_moves"), 1);
    cr_assert(strstr(p.err, "leads now, in place of") != NULL, "%s", p.err);
    fprintf(stderr,
            "%s: p99 of a put %.1f ms before, %.1f ms during, %.1f ms after; the longest "
            "time without one %llu ms; %u failed\n",
            b->name, p99_ms(&l, BEFORE), p99_ms(&l, DURING), p99_ms(&l, AFTER),
            atomic_load(&l.longest_gap), atomic_load(&l.failed));
    cr_assert(atomic_load(&l.count[DURING]) > 10);
    cr_assert_lt(atomic_load(&l.longest_gap), 5000);
    cr_assert_lt(atomic_load(&l.failed) * 10, atomic_load(&l.count[DURING]),
                 "a few at the change of leaders");
    TOOL(same, 0, "hash", "--endpoints", cluster_endpoint(&c, 0));
}

/* ---- refusals -------------------------------------------------------------------------
 */

static int64_t size_of(const struct cluster *c, unsigned i)
{
    return json_number(CTL(c, i, "endpoint", "status", "-w", "json"), "dbSize");
}

/* One who is down, one who hangs, a rule that does not hold, a budget that is too small,
 * no terminal to ask: nothing happens, and each is told in its own words. */
EACH_BACKEND(defrag_online, refuses_while_somebody_is_ill)
{
    CLUSTER c = { 0 };
    const char *at, *state;
    int64_t before;

    cluster_start(&c, b, &(struct cluster_options){ .members = 3 });
    at = cluster_endpoint(&c, 0);
    state = path_in(c.dir, "state");
    before = size_of(&c, 0);
    TOOL(rule, 0, "defrag", "--yes", "--rule", "dbQuotaUsage > 0.5", "-w", "json",
         "--state-dir", state, "--endpoints", at);
    cr_assert(strstr(rule.out, "\"state\":\"skipped\"") != NULL, "%s", rule.out);
    TOOL(budget, 8, "defrag", "--yes", "--max-stall", "50ms", "--state-dir", state,
         "--endpoints", at);
    cr_assert(strstr(budget.err, "longer than --max-stall") != NULL, "%s", budget.err);
    TOOL(wrong, 2, "defrag", "--rule", "dbSize >", "--endpoints", at);
    cr_assert(strstr(wrong.err, "at character 9: it ends too early") != NULL, "%s",
              wrong.err);
    kill(c.members[2].pid, SIGSTOP);
    TOOL(paused, 5, "defrag", "--cluster", "--yes", "--command-timeout", "1s",
         "--state-dir", state, "--endpoints", at);
    kill(c.members[2].pid, SIGCONT);
    cr_assert(strstr(paused.err, "m2 is silent, and no other member may pause") != NULL,
              "%s", paused.err);
    cluster_kill(&c, 1, SIGKILL);
    TOOL(killed, 5, "defrag", "--yes", "--state-dir", state, "--endpoints", at);
    cr_assert(strstr(killed.err, "m1 is down, and no other member may pause") != NULL,
              "%s", killed.err);
    cr_assert_eq(size_of(&c, 0), before);
}

/* ---- signals --------------------------------------------------------------------------
 */

static void read_log(const char *log, char *text, size_t room)
{
    FILE *f = fopen(log, "r");

    text[0] = '\0';
    if (f == NULL)
        return;
    text[fread(text, 1, room - 1, f)] = '\0';
    fclose(f);
}

static void await(const char *log, const char *words)
{
    char text[8192] = "";

    for (int i = 0; i < 400; i++) {
        read_log(log, text, sizeof text);
        if (strstr(text, words) != NULL)
            return;
        usleep(50000);
    }
    cr_assert(false, "no '%s' in: %s", words, text);
}

/* A stream that is known keeps a defragmentation away. One of
 * somebody else that nobody reads holds up the defragmentation of its member, so that the
 * signal arrives in the middle of it. It is done, and nothing after it. */
EACH_ETCD(defrag_online, a_signal_waits_for_the_end_of_a_turn)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    const char *log, *state;
    char script[1500], text[8192];
    pid_t stream, defrag;

    cluster_start(&c, b, &(struct cluster_options){ .members = 1 });
    flow_connect(&c, &w);
    fragment(w, 400); /* more than lies in buffers on the way */
    log = path_in(c.dir, "defrag.log");
    state = path_in(c.dir, "state");
    snprintf(script, sizeof script,
             "'%s' snapshot save - --state-dir '%s' --endpoints %s | "
             "(head -c 1000; sleep 100)",
             HOLDFAST_BIN, path_in(c.dir, "other"), cluster_endpoint(&c, 0));
    stream = proc_start(path_in(c.dir, "stream.log"),
                        (const char *const[]){ "sh", "-c", script, NULL });
    await(path_in(c.dir, "stream.log"), "taking the snapshot");
    usleep(500000);
    TOOL(locked, 11, "defrag", "--yes", "--state-dir", path_in(c.dir, "other"),
         "--endpoints", cluster_endpoint(&c, 0));
    cr_assert(strstr(locked.err, "a snapshot of this cluster is being taken") != NULL,
              "%s", locked.err);
    defrag = proc_start(log, (const char *const[]){ HOLDFAST_BIN, "defrag", "--yes",
                                                    "--state-dir", state, "--endpoints",
                                                    cluster_endpoint(&c, 0), NULL });
    await(log, "step 1: defragment m0");
    usleep(1500000);
    kill(defrag, SIGTERM);
    usleep(500000);
    cr_assert(proc_runs(defrag), "it waits for the member");
    kill(-stream, SIGKILL); /* all of the pipe */
    proc_stop(stream, SIGKILL);
    cr_assert_eq(proc_stop(defrag, SIGTERM), 130);
    read_log(log, text, sizeof text);
    cr_assert(strstr(text, "became") != NULL && strstr(text, "stopped by a signal"), "%s",
              text);
}

/* ---- what is asked of a server --------------------------------------------------------
 */

/* RangeResponse with a header: cluster 0xc1, member 0x11, revision 10, term 2. */
static const uint8_t range_reply[] = { 0x0A, 9,    0x08, 0xC1, 0x01, 0x10,
                                       0x11, 0x18, 10,   0x20, 2 };
static const struct fake_answer answers[] = {
    { .method = "KV/Range", .message = range_reply, .size = sizeof range_reply },
};

static unsigned changes(struct fake *f)
{
    static const char *const methods[] = { "Maintenance/Defragment",
                                           "Maintenance/MoveLeader",
                                           "KV/Compact",
                                           "KV/Put",
                                           "KV/DeleteRange",
                                           "KV/Txn",
                                           "Maintenance/Alarm" };
    unsigned n = 0;

    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
        n += fake_calls(f, methods[i]);
    return n;
}

CASE(defrag_online, a_dry_run_asks_and_changes_nothing, .timeout = FLOW_TIMEOUT_S)
{
    struct fake_script script = {
        .snapshot_db_size = 1 << 20, .revision = 10, .answers = answers, .answer_count = 1
    };
    OWNED(json) o = NULL;
    FAKE f = fake_start(&script);
    const char *state = path_in(tmpdir_new(), "state"), *at = fake_endpoint(f);

    TOOL(p, 0, "defrag", "--cluster", "--move-leader", "--dry-run", "-w", "json",
         "--state-dir", state, "--endpoints", at);
    flow_json(&p, &o);
    cr_assert_eq(json_count(json_get(o, "steps")), 1, "%s", p.out);
    cr_assert_str_eq(flow_text(json_at(json_get(o, "steps"), 0), "action"), "defragment");
    TOOL(fix, 0, "space", "fix", "--dry-run", "--state-dir", state, "--endpoints", at);
    TOOL(space, 0, "space", "--state-dir", state, "--endpoints", at);
    cr_assert_eq(changes(f), 0);
    TOOL(real, 0, "defrag", "--yes", "--state-dir", state, "--endpoints", at);
    cr_assert_eq(fake_calls(f, "Maintenance/Defragment"), 1);
    cr_assert_eq(changes(f), 1);
}

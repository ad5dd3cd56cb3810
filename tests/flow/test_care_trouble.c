/* Members that are cut off, clusters that lost their leader, jobs that meet, and what is
 * remembered of last week: what status, doctor, compact and alarm make of it. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "care/lock.h"
#include "care/samples.h"
#include "tests/flow/lab.h"
#include "tests/lib/fakeetcd.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/str.h"
#include "wire/kv.h"

static const struct json *finding(const struct json *o, const char *code)
{
    const struct json *all = json_get(o, "findings");

    for (size_t i = 0; i < json_count(all); i++)
        if (strcmp(flow_text(json_at(all, i), "code"), code) == 0)
            return json_at(all, i);
    return NULL;
}

/* There is such a finding, and its sentence has these words in it. */
static void finds(const struct json *o, const char *code, const char *words)
{
    const struct json *f = finding(o, code);

    cr_assert_not_null(f, "no finding '%s'", code);
    cr_assert(strstr(flow_text(f, "message"), words) != NULL, "%s: %s", code,
              flow_text(f, "message"));
}

/* ---- members that are cut off -------------------------------------------------------
 */

static void cut_off(const struct cluster *c, unsigned i)
{
    for (unsigned k = 0; k < c->count; k++) {
        char command[32];

        snprintf(command, sizeof command, "cut m%u", k);
        if (k != i)
            lab_say(c, i, command);
    }
}

static void until_leaderless(const struct cluster *c, unsigned i)
{
    uint64_t end = clock_ms() + 20000;

    while (strstr(lab_say(c, i, "status"), "leader 0 ") == NULL) {
        cr_assert_lt(clock_ms(), end, "it still has a leader");
        clock_sleep_ms(20);
    }
}

/* It says how it is and has the data; only a linearizable read tells that it is no use.
 * The others know better who leads, also where it was the leader. */
CASE(care_trouble, a_frozen_member_is_told_from_one_that_is_down,
     .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    OWNED(json) o = NULL;
    unsigned lone;
    char words[200];

    flow_need("lab");
    lab_start(&c, 3);
    lone = lab_leader(&c);
    cut_off(&c, lone);
    until_leaderless(&c, lone);
    cluster_wait(&c, (lone + 1) % 3);
    TOOL(status, 8, "status", "--command-timeout", "1s", "--endpoints",
         cluster_endpoint(&c, (lone + 1) % 3));
    snprintf(words, sizeof words, "m%u is frozen", lone);
    cr_assert(strstr(status.err, words) != NULL, "%s %s", status.err, status.out);
    TOOL(p, 8, "doctor", "-w", "json", "--command-timeout", "1s", "--endpoints",
         cluster_endpoints(&c));
    flow_json(&p, &o);
    cr_assert_str_eq(flow_text(o, "verdict"), "degraded", "%s", p.out);
    finds(o, "member-down", words);
    finds(o, "quorum-edge", "2 of 3 work, and 2 are needed");
    cr_assert_null(finding(o, "no-leader"), "%s", p.out);
    cr_assert_null(finding(o, "diverged"), "%s", p.out);
    cr_assert_str_neq(flow_text(o, "leader"), c.members[lone].name);
    cr_assert(strstr(flow_text(o, "next"), "ssh 127.0.0.1 ") != NULL, "%s", p.out);
}

/* Everybody answers, and nobody leads. */
CASE(care_trouble, a_quorum_that_does_not_meet_has_no_leader, .timeout = FLOW_TIMEOUT_S)
{
    CLUSTER c;
    OWNED(json) o = NULL;

    flow_need("lab");
    lab_start(&c, 3);
    for (unsigned i = 0; i < 3; i++)
        cut_off(&c, i);
    for (unsigned i = 0; i < 3; i++)
        until_leaderless(&c, i);
    TOOL(status, 8, "status", "--command-timeout", "500ms", "--endpoints",
         cluster_endpoints(&c));
    cr_assert(strstr(status.err, "the cluster has no leader") != NULL, "%s", status.err);
    TOOL(p, 8, "doctor", "-w", "json", "--command-timeout", "500ms", "--endpoints",
         cluster_endpoints(&c));
    flow_json(&p, &o);
    cr_assert_str_eq(flow_text(o, "verdict"), "no-quorum", "%s", p.out);
    finds(o, "no-leader", "do not reach each other on their peer ports");
    cr_assert_null(finding(o, "member-down"), "%s", p.out);
    cr_assert(strstr(flow_text(o, "next"), "holdfast status --watch") != NULL, "%s",
              p.out);
}

/* The trap is told beside the loss that it caused. */
EACH_BACKEND(care_trouble, two_members_are_a_trap)
{
    CLUSTER c = { 0 };
    OWNED(json) o = NULL;

    cluster_start(&c, b, &(struct cluster_options){ .members = 2 });
    cluster_kill(&c, 1, SIGKILL);
    TOOL(p, 8, "doctor", "-w", "json", "--command-timeout", "1s", "--endpoints",
         cluster_endpoint(&c, 0));
    flow_json(&p, &o);
    cr_assert_str_eq(flow_text(o, "verdict"), "no-quorum", "%s", p.out);
    finds(o, "quorum-lost", "1 of 2 voters work and 2 are needed");
    finds(o, "even-voters", "two voters need both");
    finds(o, "member-down", "m1 is down");
}

/* ---- jobs that meet -----------------------------------------------------------------
 */

static int64_t write_history(struct wire_client *w, int n)
{
    struct wire_header h = { 0 };
    struct err e = { 0 };

    for (int i = 0; i < n; i++)
        OK(wire_put(w, bytes_str("key"), bytes_str("value"), 0, &h, &e), &e);
    return h.revision;
}

static void await(const char *log, const char *words)
{
    char text[4096];

    for (int i = 0; i < 400; i++) {
        FILE *f = fopen(log, "r");

        text[f == NULL ? 0 : fread(text, 1, sizeof text - 1, f)] = '\0';
        if (f != NULL)
            fclose(f);
        if (strstr(text, words) != NULL)
            return;
        usleep(50000);
    }
    cr_assert(false, "no '%s' in: %s", words, text);
}

/* The shell is reaped, and those it ran may take a moment more to let go. */
static void until_gone(pid_t group)
{
    uint64_t end = clock_ms() + 10000;

    while (kill(-group, 0) == 0 && clock_ms() < end)
        clock_sleep_ms(20);
}

/* A save that nobody reads from goes on for ever; it keeps its revision readable, and
 * holds off a defragmentation, until it is killed. */
EACH_BACKEND(care_trouble, a_running_snapshot_keeps_its_revision)
{
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) bound = NULL;
    OWNED(json) freed = NULL;
    const char *at, *state, *log;
    char script[1500], big[65536];
    struct err e = { 0 };
    int64_t held, newest;
    pid_t stream;

    cluster_start(&c, b, NULL);
    at = cluster_endpoint(&c, 0);
    flow_connect(&c, &w);
    memset(big, 'x', sizeof big);
    for (int i = 0; i < 40; i++)
        OK(wire_put(w, bytes_str(i % 2 == 0 ? "a" : "b"),
                    (struct bytes){ (const uint8_t *)big, sizeof big }, 0, NULL, &e),
           &e);
    held = write_history(w, 5);
    state = path_in(c.dir, "state");
    log = path_in(c.dir, "stream.log");
    snprintf(script, sizeof script,
             "'%s' snapshot save - --state-dir '%s' --endpoints %s | "
             "(head -c 1000 >/dev/null; sleep 100)",
             HOLDFAST_BIN, state, at);
    stream = proc_start(log, (const char *const[]){ "sh", "-c", script, NULL });
    await(log, "taking the snapshot");
    newest = write_history(w, 20);
    TOOL(p, 0, "compact", "--keep-revisions", "1", "--dry-run", "-w", "json",
         "--state-dir", state, "--endpoints", at);
    flow_json(&p, &bound);
    cr_assert_eq(flow_number(bound, "held"), held);
    cr_assert_eq(flow_number(bound, "compact_revision"), held, "%s", p.out);
    TOOL(defrag, 11, "defrag", "--yes", "--state-dir", state, "--endpoints", at);
    cr_assert(strstr(defrag.err, "a snapshot of this cluster is being taken") != NULL,
              "%s", defrag.err);
    kill(-stream, SIGKILL); /* all of the pipe */
    proc_stop(stream, SIGKILL);
    until_gone(stream);
    TOOL(q, 0, "compact", "--keep-revisions", "1", "--yes", "-w", "json", "--state-dir",
         state, "--endpoints", at);
    flow_json(&q, &freed);
    cr_assert_eq(flow_number(freed, "compact_revision"), newest - 1, "%s", q.out);
}

/* The other way round: no stream begins while a member is being defragmented. */
CASE(care_trouble, a_change_holds_snapshots_off, .timeout = FLOW_TIMEOUT_S)
{
    struct fake_script script = { .cluster_id = 0xc7, .revision = 10 };
    FAKE f = fake_start(&script);
    const char *state = tmpdir_new(), *file = path_in(tmpdir_new(), "a.db");
    OWNED(care_store) store = NULL;
    OWNED_FD int lock = -1;
    struct err e = { 0 };

    OK(care_store_open(state, &store, &e), &e);
    OK(care_lock_take(store, 0xc7, CARE_LOCK_CHANGE, &lock, &e), &e);
    TOOL(p, 11, "snapshot", "save", file, "--state-dir", state, "--endpoints",
         fake_endpoint(f));
    cr_assert(strstr(p.err, "a defragmentation of this cluster is running") != NULL, "%s",
              p.err);
    cr_assert_eq(fake_calls(f, "Maintenance/Snapshot"), 0);
    cr_assert_neq(access(file, F_OK), 0);
    TOOL(nowhere, 3, "snapshot", "save", file, "--state-dir", "/proc/none", "--endpoints",
         fake_endpoint(f));
    cr_assert(strstr(nowhere.err, "do not see this one") != NULL, "%s", nowhere.err);
    cr_assert_gt(fake_calls(f, "Maintenance/Snapshot"), 0, "it was tried all the same");
}

/* ---- what is asked of a server ------------------------------------------------------
 */

/* RangeResponse and AlarmResponse with a header of cluster 0xc1, member 0x11, revision
 * 1000, term 2; the second names NOSPACE for 0x11. */
#define HEADER 0x0A, 10, 0x08, 0xC1, 0x01, 0x10, 0x11, 0x18, 0xE8, 0x07, 0x20, 2
static const uint8_t range_reply[] = { HEADER };
static const uint8_t alarm_reply[] = { HEADER, 0x12, 4, 0x08, 0x11, 0x10, 1 };
static const struct fake_answer answers[] = {
    { .method = "KV/Range", .message = range_reply, .size = sizeof range_reply },
    { .method = "KV/Compact", .message = range_reply, .size = sizeof range_reply },
    { .method = "Maintenance/Alarm", .message = alarm_reply, .size = sizeof alarm_reply },
};

CASE(care_trouble, looking_and_dry_runs_change_nothing, .timeout = FLOW_TIMEOUT_S)
{
    struct fake_script script = { .snapshot_db_size = 1 << 20,
                                  .revision = 1000,
                                  .answers = answers,
                                  .answer_count = sizeof answers / sizeof *answers };
    OWNED(json) plan = NULL;
    FAKE f = fake_start(&script);
    const char *state = path_in(tmpdir_new(), "state"), *at = fake_endpoint(f);

    TOOL(compact, 0, "compact", "--keep-revisions", "10", "--dry-run", "-w", "json",
         "--state-dir", state, "--endpoints", at);
    flow_json(&compact, &plan);
    cr_assert_eq(flow_number(plan, "compact_revision"), 990);
    TOOL(disarm, 0, "alarm", "disarm", "--dry-run", "--endpoints", at);
    cr_assert(strstr(disarm.out, "NOSPACE") != NULL, "%s", disarm.out);
    TOOL(list, 8, "alarm", "list", "--endpoints", at);
    TOOL(status, 0, "status", "--state-dir", state, "--endpoints", at);
    TOOL(doctor, 0, "doctor", "--state-dir", state, "--endpoints", at);
    TOOL(hash, 0, "hash", "--endpoints", at);
    cr_assert_gt(fake_calls(f, "Maintenance/Alarm"), 0);
    cr_assert_eq(fake_changes(f), 0);
    TOOL(compacts, 0, "compact", "--keep-revisions", "10", "--yes", "--state-dir", state,
         "--endpoints", at);
    cr_assert_eq(fake_calls(f, "KV/Compact"), 1);
    TOOL(disarms, 0, "alarm", "disarm", "--yes", "--endpoints", at);
    cr_assert_eq(fake_calls(f, FAKE_ALARM_CHANGE), 1);
    cr_assert_eq(fake_changes(f), 2);
}

/* ---- what is remembered -------------------------------------------------------------
 */

struct week {
    uint64_t in_use, grows;      /* on the first day; a day */
    int64_t compacted, compacts; /* likewise */
};

/* A sample each day of the last week, of 100000 revisions a day; the last one is so new
 * that the doctor's own look adds none. */
static void remember(const char *dir, struct wire_client *w, const struct week *week)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    OWNED(care_store) store = NULL;
    struct err e = { 0 };
    int64_t now = clock_unix_ms() / 1000;

    OK(wire_status_get(w, 0, &s, &e), &e);
    OK(care_store_open(dir, &store, &e), &e);
    for (int day = 0; day <= 6; day++) {
        struct care_member m = { .id = s.header.member_id,
                                 .answered = true,
                                 .metrics_known = true };
        struct care_view v = { .cluster_id = s.header.cluster_id,
                               .items = &m,
                               .count = 1 };

        m.metrics.compacted = (double)(week->compacted + day * week->compacts);
        m.status.header.revision = 1000000 + day * 100000;
        m.status.db_size = m.status.db_size_in_use =
            week->in_use + (uint64_t)day * week->grows;
        OK(care_samples_add(store, &v, now - (6 - day) * 86400, &e), &e);
    }
}

static void consult(const char *at, const char *state, int status, struct json **out)
{
    TOOL(p, status, "doctor", "-w", "json", "--state-dir", state, "--endpoints", at);
    flow_json(&p, out);
}

/* 100 MB a day to a quota of 2 GiB, and nobody compacts; then a cluster that is cared
 * for. */
EACH_BACKEND(care_trouble, doctor_remembers_last_week)
{
    static const struct week careless = { 900000000, 100000000, 500, 0 };
    static const struct week careful = { 900000000, 0, 900000, 100000 };
    CLUSTER c = { 0 };
    OWNED(wire_client) w = NULL;
    OWNED(json) bad = NULL;
    OWNED(json) good = NULL;
    const char *at, *state[2] = { tmpdir_new(), tmpdir_new() };

    cluster_start(&c, b, NULL);
    at = cluster_endpoint(&c, 0);
    flow_connect(&c, &w);
    remember(state[0], w, &careless);
    consult(at, state[0], 8, &bad);
    finds(bad, "quota-forecast",
          "grows by 100.0 MB a day, and reaches its quota in 6 days");
    finds(bad, "no-compaction", "nothing compacts the history: 1599500 revisions");
    cr_assert(strstr(flow_text(bad, "next"), "holdfast compact --keep-revisions") != NULL,
              "%s", flow_text(bad, "next"));
    remember(state[1], w, &careful);
    consult(at, state[1], 0, &good);
    finds(good, "compaction", "compacted about every 1440 minutes; 100000 revisions");
    cr_assert_null(finding(good, "quota-forecast"));
    cr_assert_null(finding(good, "no-compaction"));
}

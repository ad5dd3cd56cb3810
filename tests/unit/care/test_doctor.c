#include "care/doctor.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/unit/care/sample.h"

enum { NOW = 1700000000, DAY = 86400 };

/* A cluster of three without a blemish, to be spoiled by each case. */
struct patient {
    struct care_view view;
    struct care_ballot ballots[9];
    struct care_vote vote;
    struct care_cert cert;
    struct care_certs certs;
    struct care_trend trends[9];
    struct care_unfinished unfinished;
    struct care_exam exam;
    struct care_diagnosis d;
};

static void patient_end(struct patient *p)
{
    care_view_clear(&p->view);
    care_diagnosis_clear(&p->d);
}
#define PATIENT [[gnu::cleanup(patient_end)]] struct patient

static void admit(struct patient *p, size_t voters)
{
    *p = (struct patient){ .view = sample_view(voters) };
    for (size_t i = 0; i < voters; i++)
        p->ballots[i] = (struct care_ballot){ .id = i + 1,
                                              .name = p->view.items[i].name,
                                              .endpoint = p->view.items[i].endpoint,
                                              .told = true };
    p->vote = (struct care_vote){ .items = p->ballots, .count = voters, .revision = 9 };
    care_vote_count(&p->vote);
    p->certs.items = &p->cert;
    p->exam = (struct care_exam){ .view = &p->view,
                                  .vote = &p->vote,
                                  .certs = &p->certs,
                                  .trends = p->trends,
                                  .endpoints = "10.0.0.1:2379",
                                  .now = NOW };
}

static void diagnose(struct patient *p)
{
    struct err e = { 0 };

    care_diagnosis_clear(&p->d);
    care_vote_count(&p->vote);
    OK(care_diagnose(&p->exam, &p->d, &e), &e);
}

static const struct care_finding *found(const struct patient *p, const char *code)
{
    for (size_t i = 0; i < p->d.count; i++)
        if (strcmp(p->d.items[i].code, code) == 0)
            return &p->d.items[i];
    return NULL;
}

static void expect(const struct patient *p, const char *code, enum care_severity severity,
                   const char *text)
{
    const struct care_finding *f = found(p, code);

    cr_assert_not_null(f, "no finding '%s'", code);
    cr_assert_eq(f->severity, severity, "%s: %s", code, care_severity_name(f->severity));
    cr_assert(strstr(f->message, text) != NULL, "%s: %s", code, f->message);
}

static void next_is(const struct patient *p, const char *text)
{
    cr_assert(strstr(p->d.next, text) != NULL, "%s", p->d.next);
}

CASE(care_doctor, a_healthy_cluster_is_left_alone)
{
    PATIENT p;
    struct err e = { 0 };

    admit(&p, 3);
    diagnose(&p);
    cr_assert_eq(p.d.count, 0);
    cr_assert_eq(p.d.health, CARE_HEALTHY);
    OK(care_diagnosis_result(&p.d, &e), &e);
    cr_assert_str_eq(p.d.next,
                     "holdfast snapshot save etcd.db.zst --endpoints 10.0.0.1:2379");
}

CASE(care_doctor, one_of_three_down_leaves_no_room)
{
    PATIENT p;
    struct err e = { 0 };

    admit(&p, 3);
    sample_fail(&p.view, 1, CARE_DOWN, "connection refused");
    diagnose(&p);
    cr_assert_eq(p.d.health, CARE_DEGRADED);
    expect(&p, "quorum-edge", CARE_WARN, "2 of 3 work, and 2 are needed");
    expect(&p, "member-down", CARE_WARN, "m1 is down (connection refused)");
    next_is(&p, "ssh 10.0.0.2 'systemctl status etcd");
    cr_assert_eq(care_diagnosis_result(&p.d, &e), RC_DEGRADED);
}

CASE(care_doctor, one_of_five_down_leaves_room_for_one_more)
{
    PATIENT p;

    admit(&p, 5);
    sample_fail(&p.view, 4, CARE_DOWN, "connection refused");
    diagnose(&p);
    cr_assert_null(found(&p, "quorum-edge"));
    cr_assert_eq(p.d.quorum.tolerates, 1);
}

CASE(care_doctor, each_state_has_its_own_words)
{
    static const struct {
        enum care_state state;
        const char *text;
    } rows[] = {
        { CARE_FROZEN, "m2 is frozen: it says how it is, but" },
        { CARE_SILENT, "m2 is silent: it takes connections" },
        { CARE_DOWN, "m2 is down (why)" },
        { CARE_LOCKED, "m2 runs, but lets nobody log in: that takes a leader" },
        { CARE_BARRED, "m2 lets nobody in (why)" },
        { CARE_STRANGER, "m2 is not who it should be (why)" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PATIENT p;

        admit(&p, 3);
        sample_fail(&p.view, 2, rows[i].state, "why");
        diagnose(&p);
        expect(&p, "member-down", CARE_WARN, rows[i].text);
    }
}

CASE(care_doctor, one_that_never_started_is_offered_for_removal)
{
    PATIENT p;

    admit(&p, 4);
    sample_fail(&p.view, 3, CARE_DOWN, "it has not told an address for clients yet");
    p.view.items[3].listed = true;
    p.view.items[3].name[0] = p.view.items[3].endpoint[0] = '\0';
    diagnose(&p);
    expect(&p, "never-started", CARE_WARN, "member 4 was added and never started");
    cr_assert_null(found(&p, "member-down"));
    next_is(&p, "holdfast member remove 4 --endpoints 10.0.0.1:2379");
    sample_fail(&p.view, 2, CARE_DOWN, "why");
    diagnose(&p);
    cr_assert(strstr(p.d.next, "member remove") == NULL, "without a quorum: %s",
              p.d.next);
}

CASE(care_doctor, lost_quorum_comes_first_and_says_what_is_missing)
{
    PATIENT p;

    admit(&p, 5);
    for (size_t i = 1; i < 4; i++)
        sample_fail(&p.view, i, CARE_DOWN, "connection refused");
    p.view.leader = 0;
    diagnose(&p);
    cr_assert_eq(p.d.health, CARE_NO_QUORUM);
    cr_assert_str_eq(p.d.items[0].code, "quorum-lost");
    expect(&p, "quorum-lost", CARE_CRITICAL, "1 more of m1, m2, m3 work again");
    cr_assert_null(found(&p, "no-leader"), "that goes without saying");
    next_is(&p, "ssh 10.0.0.2 ");
}

CASE(care_doctor, a_quorum_without_a_leader_is_told_apart)
{
    PATIENT p;

    admit(&p, 3);
    p.view.leader = 0;
    diagnose(&p);
    cr_assert_eq(p.d.health, CARE_NO_QUORUM);
    expect(&p, "no-leader", CARE_CRITICAL, "an election is on");
    next_is(&p, "holdfast status --watch");
    p.view.leader = 1;
    p.view.reads_hang = true;
    diagnose(&p);
    cr_assert_eq(p.d.health, CARE_NO_QUORUM);
    expect(&p, "reads-hang", CARE_CRITICAL, "no member finishes");
}

CASE(care_doctor, nobody_answers)
{
    PATIENT p;
    struct err e = { 0 };

    admit(&p, 2);
    sample_fail(&p.view, 0, CARE_DOWN, "connection refused");
    sample_fail(&p.view, 1, CARE_DOWN, "connection refused");
    p.view.cluster_id = 0;
    p.exam.vote = NULL;
    diagnose(&p);
    cr_assert_eq(p.d.health, CARE_UNREACHABLE);
    expect(&p, "unreachable", CARE_CRITICAL, "no member answers");
    cr_assert_eq(care_diagnosis_result(&p.d, &e), RC_NET);
    sample_fail(&p.view, 0, CARE_LOCKED, "no leader");
    diagnose(&p);
    expect(&p, "unreachable", CARE_CRITICAL, "nobody can log in without a leader");
    sample_fail(&p.view, 0, CARE_BARRED, "permission denied");
    sample_fail(&p.view, 1, CARE_BARRED, "permission denied");
    diagnose(&p);
    expect(&p, "unreachable", CARE_CRITICAL, "lets us in: permission denied");
}

CASE(care_doctor, sizes_that_buy_nothing_are_explained)
{
    static const size_t even[] = { 2, 4, 6, 8 };

    for (size_t i = 0; i < 4; i++) {
        PATIENT p;

        admit(&p, even[i]);
        diagnose(&p);
        cr_assert_not_null(found(&p, "even-voters"));
        cr_assert_eq(p.d.health, CARE_HEALTHY, "a note is no illness");
    }
    PATIENT one;

    admit(&one, 1);
    diagnose(&one);
    expect(&one, "single-member", CARE_NOTE, "bears no failure");
}

CASE(care_doctor, a_member_that_lags)
{
    PATIENT p;

    admit(&p, 3);
    p.view.items[0].status.raft_index = 1200;
    p.view.items[0].status.raft_applied_index = 1200;
    p.view.items[1].status.raft_applied_index = 1200;
    care_view_derive(&p.view);
    diagnose(&p);
    cr_assert_null(found(&p, "lagging"), "1000 behind is not far");
    p.view.items[2].status.raft_applied_index = 199;
    diagnose(&p);
    expect(&p, "lagging", CARE_WARN, "m2 lags: 1001 entries");
    p.view.items[2].learner = true;
    diagnose(&p);
    expect(&p, "lagging", CARE_NOTE, "m2 lags");
    expect(&p, "learner", CARE_NOTE, "has no vote");
}

CASE(care_doctor, divergence_names_the_odd_one_and_saves_first)
{
    PATIENT p;

    admit(&p, 3);
    p.ballots[0].hash.hash = 7;
    diagnose(&p);
    expect(&p, "diverged", CARE_CRITICAL, "the data of m0 differs");
    cr_assert_eq(found(&p, "diverged")->member, 1);
    next_is(&p, "holdfast snapshot save before-repair.db --endpoints "
                "http://10.0.0.2:2379");
    p.ballots[1].hash.compact_revision = 5;
    p.ballots[2].told = false;
    diagnose(&p);
    expect(&p, "hash-unknown", CARE_NOTE, "unknown");
    p.exam.vote = NULL;
    p.exam.vote_failure = "permission denied";
    diagnose(&p);
    expect(&p, "hash-unknown", CARE_NOTE, "not known: permission denied");
}

CASE(care_doctor, alarms_lead_to_what_removes_their_reason)
{
    PATIENT p;

    admit(&p, 3);
    p.view.items[1].alarms = 1U << WIRE_ALARM_NOSPACE;
    diagnose(&p);
    expect(&p, "alarm-nospace", CARE_CRITICAL, "raised for m1");
    next_is(&p, "holdfast alarm disarm --type NOSPACE");
    p.view.items[2].status.db_size = 2000000000;
    diagnose(&p);
    next_is(&p, "holdfast space fix");
    p.view.items[0].alarms = 1U << WIRE_ALARM_CORRUPT;
    diagnose(&p);
    expect(&p, "alarm-corrupt", CARE_CRITICAL, "raised for m0");
    next_is(&p, "holdfast hash");
    p.view.foreign_alarms = 1;
    diagnose(&p);
    expect(&p, "alarm-of-the-gone", CARE_WARN, "no longer in the cluster");
}

CASE(care_doctor, size_against_quota)
{
    static const struct {
        double share;
        int severity; /* -1: not worth a word */
    } rows[] = { { 0.79, -1 }, { 0.81, CARE_WARN }, { 0.96, CARE_CRITICAL } };

    for (size_t i = 0; i < 3; i++) {
        PATIENT p;
        struct wire_status *s;

        admit(&p, 3);
        s = &p.view.items[1].status;
        s->db_size = s->db_size_in_use = (uint64_t)(rows[i].share * 2147483648.0);
        diagnose(&p);
        if (rows[i].severity < 0) {
            cr_assert_null(found(&p, "quota-near"));
            continue;
        }
        expect(&p, "quota-near", (enum care_severity)rows[i].severity,
               "the database of m1 fills");
        next_is(&p, "holdfast compact --keep-revisions 10000");
    }
}

CASE(care_doctor, the_day_the_quota_is_reached)
{
    static const struct {
        int64_t full_at;
        int severity;
        const char *text;
    } rows[] = {
        { 0, -1, "" },
        { NOW + 400LL * DAY, -1, "" },
        { NOW + 60 * DAY + 5, CARE_NOTE, "in 60 days" },
        { NOW + 14 * DAY + 5, CARE_WARN, "in 14 days" },
        { NOW + 1 * DAY + 5, CARE_WARN, "in 1 day" },
        { NOW + 5, CARE_CRITICAL, "today" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PATIENT p;

        admit(&p, 3);
        p.trends[1].forecast = (struct care_forecast){ true, 1e6, rows[i].full_at };
        diagnose(&p);
        if (rows[i].severity < 0)
            cr_assert_null(found(&p, "quota-forecast"));
        else
            expect(&p, "quota-forecast", (enum care_severity)rows[i].severity,
                   rows[i].text);
    }
}

CASE(care_doctor, fragmentation_must_be_worth_it)
{
    PATIENT p;

    admit(&p, 3);
    p.view.items[0].status.db_size = 190000000;
    p.view.items[0].status.db_size_in_use = 95000000;
    diagnose(&p);
    cr_assert_null(found(&p, "fragmented"), "95 MB");
    p.view.items[0].status.db_size = 220000000;
    p.view.items[0].status.db_size_in_use = 110000000;
    diagnose(&p);
    expect(&p, "fragmented", CARE_WARN, "50 % of the database of m0");
    next_is(&p, "holdfast defrag --cluster");
    p.view.items[0].status.db_size_in_use = 168500000;
    p.view.items[0].status.db_size = 300000000;
    diagnose(&p);
    cr_assert_null(found(&p, "fragmented"), "44 %%");
}

CASE(care_doctor, certificates)
{
    static const struct {
        int64_t left;
        int severity;
        const char *code, *text;
    } rows[] = {
        { 31 * DAY + 5, -1, "", "" },
        { 30 * DAY + 5, CARE_WARN, "cert-expiring", "in 30 days" },
        { 7 * DAY + 5, CARE_CRITICAL, "cert-expiring", "in 7 days" },
        { -2 * DAY - 5, CARE_CRITICAL, "cert-expired", "expired 2 days ago" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PATIENT p;

        admit(&p, 3);
        p.cert = (struct care_cert){ .what = "the certificate of m1",
                                     .at = "https://10.0.0.2:2379",
                                     .server = true,
                                     .not_after = NOW + rows[i].left };
        p.certs.count = 1;
        diagnose(&p);
        if (rows[i].severity < 0) {
            cr_assert_eq(p.d.count, 0);
            continue;
        }
        expect(&p, rows[i].code, (enum care_severity)rows[i].severity, rows[i].text);
        next_is(&p, "openssl s_client -connect 10.0.0.2:2379 ");
    }
    PATIENT p;

    admit(&p, 3);
    p.cert = (struct care_cert){ .what = "the client certificate 'a b'",
                                 .at = "a b",
                                 .not_before = NOW + DAY,
                                 .not_after = NOW + 90 * DAY };
    p.certs.count = 1;
    diagnose(&p);
    expect(&p, "cert-expired", CARE_CRITICAL, "not valid yet");
    next_is(&p, "-in 'a b'");
}

CASE(care_doctor, clocks_are_apart_only_for_certain)
{
    PATIENT p;

    admit(&p, 3);
    for (size_t i = 0; i < 3; i++) {
        p.view.items[i].clock_known = true;
        p.view.items[i].clock_low_ms = -500;
        p.view.items[i].clock_high_ms = 500;
    }
    p.view.items[2].clock_low_ms = 1400;
    p.view.items[2].clock_high_ms = 2400;
    diagnose(&p);
    cr_assert_null(found(&p, "clock-skew"), "perhaps 900 ms");
    p.view.items[2].clock_low_ms = 4200;
    p.view.items[2].clock_high_ms = 5200;
    diagnose(&p);
    expect(&p, "clock-skew", CARE_WARN, "m0 and m2 are at least 3.7 s apart");
    p.view.items[2].clock_known = false;
    diagnose(&p);
    cr_assert_null(found(&p, "clock-skew"));
}

static void measure(struct patient *p, size_t i)
{
    p->view.items[i].metrics_known = true;
    p->view.items[i].metrics = (struct care_metrics){
        .quota = -1, .leader_changes = 1, .started = NOW - 36000, .defrags = 0
    };
}

CASE(care_doctor, slow_disks_and_restless_leaders)
{
    PATIENT p;
    struct care_metrics *m;

    admit(&p, 3);
    measure(&p, 1);
    m = &p.view.items[1].metrics;
    m->wal_fsync = (struct care_latency){ 1000, 16 };
    m->backend_commit = (struct care_latency){ 1000, 32 };
    diagnose(&p);
    cr_assert_eq(p.d.count, 0);
    m->wal_fsync.p99_ms = 32;
    diagnose(&p);
    expect(&p, "slow-disk", CARE_WARN,
           "one fsync of its log in a hundred takes more "
           "than 16 ms");
    m->wal_fsync = (struct care_latency){ 1000, HUGE_VAL };
    diagnose(&p);
    expect(&p, "slow-disk", CARE_WARN, "more than 8 s");
    m->wal_fsync = (struct care_latency){ 99, 64 };
    m->backend_commit = (struct care_latency){ 1000, 64 };
    diagnose(&p);
    expect(&p, "slow-disk", CARE_WARN, "one commit of its database");
    m->backend_commit.count = 0;
    m->leader_changes = 9; /* in ten hours */
    diagnose(&p);
    cr_assert_null(found(&p, "leader-changes"));
    m->leader_changes = 10;
    diagnose(&p);
    expect(&p, "leader-changes", CARE_WARN, "m1 has seen 10 changes of leader in 10.0 h");
    m->leader_changes = 3;
    m->started = NOW - 10;
    m->defrags = 1;
    diagnose(&p);
    cr_assert_null(found(&p, "leader-changes"), "a start takes a few");
    expect(&p, "defragmenting", CARE_NOTE, "just now");
}

CASE(care_doctor, versions)
{
    static const struct {
        const char *version, *text;
    } rows[] = {
        { "3.5.0", "loses consistency" },
        { "3.5.2", "loses consistency" },
        { "3.5.3", "corrupts data" },
        { "3.5.5", "corrupts data" },
        { "3.5.6", NULL },
        { "3.4.2", NULL },
        { "3.6.0", NULL },
        { "nonsense", NULL },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        PATIENT p;

        admit(&p, 3);
        for (size_t k = 0; k < 3; k++)
            snprintf(p.view.items[k].status.version, 32, "%s", rows[i].version);
        diagnose(&p);
        if (rows[i].text == NULL)
            cr_assert_eq(p.d.count, 0, "%s", rows[i].version);
        else
            expect(&p, "version-unsafe", CARE_WARN, rows[i].text);
    }
    PATIENT p;

    admit(&p, 3);
    snprintf(p.view.items[1].status.version, 32, "3.5.30");
    snprintf(p.view.items[2].status.version, 32, "3.5.30");
    diagnose(&p);
    cr_assert_eq(p.d.count, 1);
    expect(&p, "version-mixed", CARE_NOTE, "3.6.5 and 3.5.30");
}

CASE(care_doctor, habits_and_what_broke_off)
{
    PATIENT p;

    admit(&p, 3);
    p.trends[1].habit = (struct care_habit){ CARE_COMPACTION_NONE, 0, 5000 };
    p.trends[2].habit = p.trends[1].habit;
    snprintf(p.unfinished.kind, sizeof p.unfinished.kind, "defrag");
    snprintf(p.unfinished.detail, sizeof p.unfinished.detail, "m0, m1");
    p.exam.unfinished = &p.unfinished;
    diagnose(&p);
    expect(&p, "no-compaction", CARE_WARN, "5000 revisions are kept");
    expect(&p, "unfinished", CARE_WARN, "'holdfast defrag' broke off (m0, m1)");
    cr_assert_eq(p.d.count, 2, "said once");
    next_is(&p, "holdfast compact");
    p.trends[1].habit = (struct care_habit){ CARE_COMPACTION_PERIODIC, 300, 77 };
    diagnose(&p);
    expect(&p, "compaction", CARE_NOTE, "about every 5 minutes; 77 revisions");
}

CASE(care_doctor, backups_that_are_missing_or_old)
{
    PATIENT p;
    struct care_backups b = { .age_max = 26 * 3600, .options = "--repo /r" };

    admit(&p, 3);
    p.exam.now = 1000000000;
    p.exam.backups = &b;
    diagnose(&p);
    expect(&p, "no-backup", CARE_WARN, "no proved backup");
    b.newest = p.exam.now - 27 * 3600;
    b.sequence = 12;
    diagnose(&p);
    expect(&p, "backup-old", CARE_WARN, "12, is 27 hours old");
    next_is(&p, "holdfast backup --repo /r");
    b.newest = p.exam.now - 26 * 3600;
    diagnose(&p);
    expect(&p, "backup", CARE_NOTE, "12, is 26 hours old");
    b.failure = "the disk is gone";
    diagnose(&p);
    expect(&p, "backups-unknown", CARE_WARN, "the disk is gone");
}

/* What is gravest leads, and all findings of a kind keep their order. */
CASE(care_doctor, findings_are_sorted_by_weight)
{
    PATIENT p;

    admit(&p, 4);
    sample_fail(&p.view, 1, CARE_DOWN, "x");
    p.view.items[2].alarms = 1U << WIRE_ALARM_CORRUPT;
    diagnose(&p);
    for (size_t i = 1; i < p.d.count; i++)
        cr_assert_geq(p.d.items[i - 1].severity, p.d.items[i].severity);
    cr_assert_str_eq(p.d.items[0].code, "alarm-corrupt");
}

/* A name that a member advertises must not become a command when it is pasted. */
CASE(care_doctor, nothing_from_a_member_reaches_the_shell)
{
    static const struct {
        const char *text, *word;
    } rows[] = {
        { "10.0.0.1:2379", "10.0.0.1:2379" },
        { "http://[::1]:2379", "http://[::1]:2379" },
        { "", "''" },
        { "a b", "'a b'" },
        { "$(reboot)", "'$(reboot)'" },
        { "x;rm -rf /", "'x;rm -rf /'" },
        { "a'b", "'a'\\''b'" },
        { "-oProxyCommand=x", "'-oProxyCommand=x'" },
        { "a\nb", "'a\\x0ab'" },
    };
    char out[64], tiny[20];

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        care_shell_word(out, sizeof out, rows[i].text);
        cr_assert_str_eq(out, rows[i].word);
    }
    care_shell_word(tiny, sizeof tiny, "''''''''''''''''''''");
    cr_assert_eq(tiny[strlen(tiny) - 1], '\'', "%s", tiny);
    PATIENT p;

    admit(&p, 3);
    sample_fail(&p.view, 1, CARE_DOWN, "x");
    snprintf(p.view.items[1].endpoint, 22, "http://`a`;reboot:99");
    diagnose(&p);
    next_is(&p, "ssh '`a`;reboot' '");
}

CASE(care_doctor, no_memory_is_said)
{
    PATIENT p;
    unsigned runs = 0;

    admit(&p, 3);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };
        enum rc rc;

        care_diagnosis_clear(&p.d);
        rc = care_diagnose(&p.exam, &p.d, &e);
        runs = nth;
        cr_assert(rc == RC_OK || rc == RC_NOMEM);
    }
    cr_assert_eq(runs, 2);
}

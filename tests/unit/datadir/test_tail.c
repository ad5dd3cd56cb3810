#include "datadir/tail.h"

#include <inttypes.h>
#include <string.h>
#include <unistd.h>

#include "tests/lib/fault.h"
#include "tests/unit/datadir/den.h"

enum { APPLIED = 93, TERM = 2 }; /* of the 3.5 database */

/* What applying came to, and what was lost. */
struct outcome {
    enum rc rc;
    struct datadir_tail tail;
    struct str_list lost;
    struct err e;
};

static void outcome_end(struct outcome *o)
{
    datadir_tail_clear(&o->tail);
    str_list_clear(&o->lost);
}
#define OUTCOME [[gnu::cleanup(outcome_end)]] struct outcome

static void apply(struct den *den, struct datadir_tail_options o, struct outcome *out)
{
    *out = (struct outcome){ 0 };
    OK(den_open(den), &den->e);
    OK(datadir_lost(den->d, &out->lost, &out->e), &out->e);
    out->rc = datadir_apply(den->d, &o, &out->tail, &out->e);
}

static struct mvcc_hashkv hash_of(struct outcome *o)
{
    struct mvcc_hashkv h;

    OK(kvstore_hashkv(machine_kv(o->tail.machine), 0, &h, &o->e), &o->e);
    return h;
}

static void is_golden(struct outcome *o, const struct den_golden *g, const char *from)
{
    struct mvcc_hashkv h;

    cr_assert_eq(o->rc, RC_OK, "%s, %s: %s / %s", g->version, from, o->e.what, o->e.why);
    h = hash_of(o);
    cr_assert(h.hash == g->hashkv && h.revision == DEN_REVISION &&
                  h.compact_revision == DEN_COMPACTED,
              "%s, %s: HashKV %u at %" PRId64 ", compacted at %" PRId64, g->version, from,
              h.hash, h.revision, h.compact_revision);
    cr_assert_eq(o->tail.revision, DEN_REVISION);
    cr_assert_eq(o->tail.minor, g->version[2] - '0', "%s, %s: rules of 3.%d", g->version,
                 from, o->tail.minor);
    cr_assert_eq(o->lost.count, 0);
}

CASE(tail, what_real_servers_answered)
{
    for (int i = 0; i < DEN_GOLDENS; i++) {
        const struct den_golden *g = &den_goldens[i];
        bool lags = strcmp(g->version, "3.4") == 0;
        OUTCOME both, alone;
        DEN den;

        den_golden(&den, g->version);
        apply(&den, (struct datadir_tail_options){ 0 }, &both);
        is_golden(&both, g, "database and log");
        cr_assert_eq(both.tail.db_revision, lags ? DEN_REVISION - 2 : DEN_REVISION);
        datadir_tail_clear(&both.tail);

        cr_assert_eq(unlink(den.db), 0);
        apply(&den, (struct datadir_tail_options){ 0 }, &alone);
        is_golden(&alone, g, "the log alone");
        cr_assert_eq(alone.tail.first, 1);
        cr_assert_eq(alone.tail.db_revision, 1);
        datadir_tail_clear(&alone.tail);
    }
}

static void made_up(struct den *den, struct den_log log)
{
    den_make(den);
    den_golden_db(den, "3.5", "db");
    log.term = TERM;
    den_log(den, log);
}

CASE(tail, entries_beyond_commit_are_kept_unless_told)
{
    const struct datadir_tail_options committed = { .committed_only = true };
    OUTCOME all, some;
    DEN den;

    made_up(&den, (struct den_log){ .first = 90, .last = 100, .commit = 97 });
    apply(&den, (struct datadir_tail_options){ 0 }, &all);
    cr_assert_eq(all.rc, RC_OK, "%s", all.e.why);
    cr_assert(all.tail.first == APPLIED + 1 && all.tail.last == 100);
    cr_assert_eq(all.tail.beyond_commit, 3);
    cr_assert_eq(machine_index(all.tail.machine), 100);
    datadir_tail_clear(&all.tail);

    apply(&den, committed, &some);
    cr_assert_eq(some.tail.last, 97);
    cr_assert_eq(some.tail.beyond_commit, 3, "those left out");
    cr_assert_eq(machine_index(some.tail.machine), 97);
    datadir_tail_clear(&some.tail);
}

/* What the database has is committed whatever the log's last STATE says. */
CASE(tail, the_database_itself_is_committed)
{
    const struct datadir_tail_options committed = { .committed_only = true };
    OUTCOME o;
    DEN den;

    made_up(&den, (struct den_log){ .first = 80, .last = 95, .commit = 85 });
    apply(&den, committed, &o);
    cr_assert_eq(o.rc, RC_OK, "%s", o.e.why);
    cr_assert(o.tail.last == APPLIED && o.tail.beyond_commit == 2);
    datadir_tail_clear(&o.tail);
}

CASE(tail, what_may_be_missing_is_refused_or_listed)
{
    static const struct {
        struct den_log log;
        const char *lost;
    } cases[] = {
        { { .first = 96, .last = 100 }, "entries 94 to 95: they are in no file" },
        { { .first = 80, .last = 90 }, "entries from 94 on, if there were any" },
        { { .first = 96, .last = 100, .mark = 95 }, "entries 94 to 95" },
    };
    const struct datadir_tail_options loss = { .allow_loss = true };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        OUTCOME no, yes;
        DEN den;

        made_up(&den, cases[i].log);
        apply(&den, (struct datadir_tail_options){ 0 }, &no);
        cr_assert_eq(no.rc, RC_CORRUPT, "%zu", i);
        cr_assert_not_null(strstr(no.e.hint, "--allow-damaged-wal"), "%s", no.e.hint);
        apply(&den, loss, &yes);
        cr_assert_eq(yes.rc, RC_OK, "%zu: %s", i, yes.e.why);
        cr_assert_eq(yes.tail.revision, DEN_REVISION, "the database itself");
        cr_assert_eq(strncmp(yes.lost.items[0], cases[i].lost, strlen(cases[i].lost)), 0,
                     "%s", yes.lost.items[0]);
        datadir_tail_clear(&yes.tail);
    }
}

CASE(tail, no_log_at_all)
{
    const struct datadir_tail_options loss = { .allow_loss = true };
    OUTCOME no, yes, nothing;
    DEN den;

    den_golden(&den, "3.7");
    cr_assert_eq(unlink(den.segment), 0);
    apply(&den, (struct datadir_tail_options){ 0 }, &no);
    cr_assert_eq(no.rc, RC_CORRUPT);
    apply(&den, loss, &yes);
    cr_assert_eq(yes.rc, RC_OK, "%s", yes.e.why);
    cr_assert_str_eq(yes.lost.items[0], "entries from 94 on: there is no log");
    cr_assert_eq(hash_of(&yes).hash, den_goldens[3].hashkv);
    datadir_tail_clear(&yes.tail);

    /* Nothing is nothing, whatever is allowed. */
    cr_assert_eq(unlink(den.db), 0);
    apply(&den, loss, &nothing);
    cr_assert_eq(nothing.rc, RC_CORRUPT);
}

/* The log alone, damaged in its middle: what precedes the damage is applied. */
CASE(tail, a_damaged_log_up_to_the_damage)
{
    const struct datadir_tail_options loss = { .allow_loss = true };
    OUTCOME no, yes;
    DEN den;

    den_golden(&den, "3.6");
    cr_assert_eq(unlink(den.db), 0);
    den_flip(den.segment, den_size(den.segment) - 1500);
    apply(&den, (struct datadir_tail_options){ 0 }, &no);
    cr_assert_eq(no.rc, RC_CORRUPT);
    cr_assert_not_null(strstr(no.e.why, "offset"), "the place: %s", no.e.why);
    apply(&den, loss, &yes);
    cr_assert_eq(yes.rc, RC_OK, "%s", yes.e.why);
    cr_assert(yes.tail.revision > DEN_COMPACTED && yes.tail.revision < DEN_REVISION,
              "%" PRId64, yes.tail.revision);
    cr_assert_not_null(strstr(yes.lost.items[0], "the log is damaged in 0000"), "%s",
                       yes.lost.items[0]);
    cr_assert_geq(yes.lost.count, 2, "and what stands behind the damage");
    datadir_tail_clear(&yes.tail);
}

CASE(tail, a_damaged_database_is_never_built_on)
{
    const struct datadir_tail_options loss = { .allow_loss = true };
    OUTCOME o;
    DEN den;

    den_golden(&den, "3.5");
    OK(den_open(&den), &den.e);
    den_flip(den.db, bolt_file_meta(den.d->db)->root * 4096 + 8);
    apply(&den, loss, &o);
    cr_assert_eq(o.rc, RC_CORRUPT);
    den_cut(den.db, 100);
    apply(&den, loss, &o);
    cr_assert_eq(o.rc, RC_CORRUPT);
    cr_assert_not_null(strstr(o.e.why, "db-unreadable"), "%s", o.e.why);
}

CASE(tail, an_entry_that_no_etcd_could_apply)
{
    OUTCOME o;
    DEN den;

    made_up(&den, (struct den_log){ .first = 90, .last = 100, .bad = 96 });
    apply(&den, (struct datadir_tail_options){ .allow_loss = true }, &o);
    cr_assert_eq(o.rc, RC_CORRUPT);
    cr_assert_not_null(strstr(o.e.what, "entry 96"), "%s", o.e.what);
}

CASE(tail, any_failed_allocation)
{
    unsigned runs = 0;
    DEN den;

    den_golden(&den, "3.4");
    OK(den_open(&den), &den.e);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        const struct datadir_tail_options o = { 0 };
        AT_END(datadir_tail_clear) struct datadir_tail t = { 0 };
        struct err e = { 0 };
        enum rc rc = datadir_apply(den.d, &o, &t, &e);

        runs = nth;
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
    }
    cr_assert_gt(runs, 100);
}

/* An error that the list had no room for is one nevertheless. */
CASE(tail, errors_that_are_not_told_count)
{
    const struct datadir_tail_options loss = { .allow_loss = true };
    struct datadir_tail t = { 0 };
    struct err e = { 0 };
    DEN den;

    den_golden(&den, "3.5");
    OK(den_open(&den), &den.e);
    while (den.d->findings.kept < FINDINGS_KEPT)
        OK(findings_add(&den.d->findings, FINDING_WARN, "noise", FINDING_NO_PAGE, &e,
                        "."),
           &e);
    cr_assert(!datadir_blocked(den.d));
    OK(findings_add(&den.d->findings, FINDING_ERROR, "page-id", FINDING_NO_PAGE, &e, "."),
       &e);
    cr_assert(datadir_blocked(den.d));
    cr_assert_eq(datadir_apply(den.d, &loss, &t, &e), RC_CORRUPT);
}

/* Wherever a bit turns over, the state is the server's or there is none. */
CASE(tail, a_flipped_log_is_right_or_refused)
{
    unsigned refused = 0;
    DEN den;

    den_golden(&den, "3.5");
    cr_assert_eq(unlink(den.db), 0);

    uint64_t size = den_size(den.segment);

    for (uint64_t at = 3; at < size; at += size / 61) {
        OUTCOME o;

        den_flip(den.segment, at);
        apply(&den, (struct datadir_tail_options){ 0 }, &o);
        refused += o.rc != RC_OK;
        if (o.rc == RC_OK)
            cr_assert_eq(hash_of(&o).hash, den_goldens[1].hashkv, "byte %" PRIu64, at);
        else
            cr_assert_eq(o.rc, RC_CORRUPT, "byte %" PRIu64 ": %s", at, o.e.why);
        datadir_tail_clear(&o.tail);
        den_clear(&den);
        den_flip(den.segment, at);
    }
    cr_assert_gt(refused, 50);
}

/* Cut anywhere it is a moment of the server's own history: the keys as of that revision
 * have the HashKV that the whole log gives for it. */
CASE(tail, a_cut_log_is_a_moment_of_the_history)
{
    OUTCOME whole;
    DEN full, den;

    den_golden(&full, "3.7");
    cr_assert_eq(unlink(full.db), 0);
    apply(&full, (struct datadir_tail_options){ 0 }, &whole);
    is_golden(&whole, &den_goldens[3], "the log alone");
    den_golden(&den, "3.7");
    cr_assert_eq(unlink(den.db), 0);
    for (uint64_t cut = 1; cut < 3000; cut += 97) {
        struct mvcc_hashkv part, want;
        OUTCOME o;

        den_cut(den.segment, den_size(full.segment) - cut);
        apply(&den, (struct datadir_tail_options){ 0 }, &o);
        cr_assert_eq(o.rc, RC_OK, "%" PRIu64 " bytes less: %s", cut, o.e.why);
        part = hash_of(&o);
        OK(kvstore_hashkv(machine_kv(whole.tail.machine), part.revision, &want, &o.e),
           &o.e);
        cr_assert(part.hash == want.hash, "%" PRIu64 " bytes less: revision %" PRId64,
                  cut, part.revision);
        datadir_tail_clear(&o.tail);
        den_clear(&den);
    }
    datadir_tail_clear(&whole.tail);
    den_clear(&full);
}

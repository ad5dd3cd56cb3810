#include "recover/judge.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/fault.h"
#include "tests/unit/recover/estate.h"
#include "util/mem.h"

static void best_is(const struct estate *s, const char *path)
{
    cr_assert_not_null(s->v.best, "no best: %s", s->v.why);
    cr_assert_str_eq(s->v.best->path, path);
}

static void stands(const struct estate *s, const char *path, enum recover_standing want)
{
    enum recover_standing got = estate_ranked(s, path)->standing;

    cr_assert_eq(got, want, "%s is '%s', not '%s'", path, recover_standing_name(got),
                 recover_standing_name(want));
}

static void state_is(const struct estate *s, enum recover_state want, const char *note)
{
    cr_assert_eq(s->v.state, want, "%s: '%s', not '%s': %s", note,
                 recover_state_name(s->v.state), recover_state_name(want), s->v.why);
}

/* ---- is quorum lost? ----------------------------------------------------------------
 */

/* Every size, every number of sound directories, stopped or in use. */
CASE(judge, a_majority_of_directories_brings_quorum_back)
{
    for (size_t voters = 1; voters <= 7; voters++)
        for (size_t left = 1; left <= voters; left++)
            for (size_t in_use = 0; in_use <= left; in_use++) {
                enum recover_state want = RECOVER_LOST;
                ESTATE s = { 0 };
                char note[60];

                for (size_t i = 0; i < left; i++) {
                    struct recover_copy *c = estate_directory(&s, i + 1, voters, 2, 50);

                    c->in_use = i < in_use;
                    c->ok = c->startable = !c->in_use;
                }
                if (in_use > voters / 2)
                    want = RECOVER_RUNS;
                else if (left > voters / 2)
                    want = RECOVER_STARTABLE;
                estate_judge(&s);
                snprintf(note, sizeof note, "%zu of %zu, %zu in use", left, voters,
                         in_use);
                state_is(&s, want, note);
                cr_assert_eq(s.v.now.voters, voters);
                cr_assert_eq(s.v.now.needed, voters / 2 + 1);
                cr_assert_eq(s.v.now.up, in_use);
                cr_assert_eq(s.v.startable, left - in_use);
            }
}

CASE(judge, names_those_to_start_and_says_to_build_nothing)
{
    ESTATE s = { 0 };
    struct err e = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    estate_directory(&s, 3, 3, 2, 40);
    estate_judge(&s);
    estate_says(s.v.why, "m1 and m3 can be started");
    estate_says(s.v.why, "build no new cluster");
    cr_assert_str_eq(s.v.next, "holdfast doctor --endpoints "
                               "http://10.0.0.1:2379,http://10.0.0.3:2379");
    cr_assert_eq(recover_verdict_result(&s.v, &e), RC_OK);
}

CASE(judge, a_damaged_directory_starts_nobody)
{
    struct recover_copy *c;
    ESTATE s = { 0 };
    struct err e = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    c = estate_directory(&s, 2, 3, 2, 60);
    c->ok = c->startable = false;
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "one sound, one damaged");
    best_is(&s, "d1");
    stands(&s, "d2", RECOVER_DAMAGED);
    cr_assert(estate_notes(&s, "it goes 10 revisions beyond the newest sound copy"));
    cr_assert_eq(recover_verdict_result(&s.v, &e), RC_DEGRADED);
    cr_assert_str_eq(s.v.next, "holdfast recover --plan plan.json d1 d2");
}

/* What salvage took out of it knows the names, and is told by the ids to be of it. */
CASE(judge, a_database_without_names_has_them_from_a_snapshot)
{
    const struct mvcc_member *m;
    struct recover_copy *c;
    ESTATE s = { 0 };
    struct err e = { 0 };

    c = estate_directory(&s, 1, 3, 2, 50);
    c->ok = c->startable = false;
    OK(recover_members_set(c, NULL, 0, &e), &e);
    c->name[0] = '\0';
    estate_judge(&s);
    cr_assert_null(recover_verdict_member(&s.v, 2));
    estate_snapshot(&s, 3, 2, 50);
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "one damaged, and its snapshot");
    best_is(&s, "b1");
    for (size_t i = 0; i < s.v.seat_count; i++) {
        m = recover_verdict_member(&s.v, s.v.seats[i].id);
        cr_assert_not_null(m);
        cr_assert_str_eq(s.v.seats[i].name, m->name);
        cr_assert_eq(m->client_urls.count, 1);
    }
}

CASE(judge, whoever_serves_settles_it)
{
    ESTATE s = { 0 };

    estate_directory(&s, 3, 3, 9, 900);
    estate_look(&s, 3);
    s.view.items[2].state = CARE_DOWN;
    s.view.items[2].answered = false;
    estate_judge(&s);
    state_is(&s, RECOVER_HAS, "two serve");
    estate_says(s.v.why, "nothing is restored");
    cr_assert_str_eq(s.v.next, "holdfast doctor --endpoints "
                               "http://10.0.0.1:2379,http://10.0.0.2:2379");
}

CASE(judge, one_that_runs_and_one_that_could_are_two)
{
    ESTATE s = { 0 };

    estate_directory(&s, 2, 3, 2, 50);
    estate_look(&s, 3);
    estate_freeze(&s, 1);
    estate_judge(&s);
    state_is(&s, RECOVER_STARTABLE, "m1 answers, d2 is sound");
    estate_says(s.v.why, "m2 can be started");
}

CASE(judge, a_majority_that_serves_nobody_is_for_the_doctor)
{
    struct err e = { 0 };
    ESTATE s = { 0 };

    estate_look(&s, 3);
    estate_freeze(&s, 2);
    estate_judge(&s);
    state_is(&s, RECOVER_RUNS, "two frozen");
    cr_assert_eq(recover_verdict_result(&s.v, &e), RC_DEGRADED);
}

/* Silence is not death: it may still be written there. */
CASE(judge, who_may_be_alive_is_not_counted_as_lost)
{
    static const enum care_state doubtful[] = { CARE_SILENT, CARE_BARRED };

    for (size_t i = 0; i < 2; i++) {
        ESTATE s = { 0 };

        estate_directory(&s, 1, 3, 2, 50);
        estate_look(&s, 3);
        estate_freeze(&s, 0);
        s.view.items[1].state = doubtful[i];
        estate_judge(&s);
        state_is(&s, RECOVER_UNKNOWN, care_state_name(doubtful[i]));
        estate_says(s.v.why, "m2 may be alive");
    }
}

/* The operator knows better; of one that answers he does not. */
CASE(judge, who_is_said_to_be_off_is_not_doubted)
{
    static const struct {
        const char *name;
        enum care_state second;
        bool answers;
        enum recover_state want;
    } rows[] = {
        { "m2", CARE_SILENT, false, RECOVER_LOST },
        { "m2", CARE_BARRED, false, RECOVER_LOST },
        { "m3", CARE_BARRED, false, RECOVER_UNKNOWN },
        { "m2", CARE_FROZEN, true, RECOVER_RUNS },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AT_END(str_list_clear) struct str_list off = { 0 };
        struct err e = { 0 };
        ESTATE s = { 0 };
        const struct recover_scene scene = { .copies = &s.copies,
                                             .view = &s.view,
                                             .assumed = &off };

        OK(str_list_add(&off, rows[i].name, &e), &e);
        estate_directory(&s, 1, 3, 2, 50)->in_use = true;
        estate_look(&s, 3);
        estate_freeze(&s, 1);
        s.view.items[1].state = rows[i].second;
        s.view.items[1].answered = rows[i].answers;
        OK(recover_judge(&scene, &s.v, &e), &e);
        state_is(&s, rows[i].want, rows[i].name);
    }
}

/* Nobody says which cluster is there, so nobody can be told by an id. */
CASE(judge, whoever_keeps_us_out_at_a_members_address_may_be_it)
{
    struct recover_scene scene;
    ESTATE s = { 0 };
    struct err e = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    estate_look(&s, 3);
    estate_freeze(&s, 0);
    s.view.cluster_id = 0;
    for (size_t i = 0; i < 3; i++)
        s.view.items[i].id = 0;
    s.view.items[1].state = CARE_BARRED;
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "strangers do not count");
    scene = (struct recover_scene){ .copies = &s.copies,
                                    .view = &s.view,
                                    .strangers_count = true };
    recover_verdict_clear(&s.v);
    OK(recover_judge(&scene, &s.v, &e), &e);
    state_is(&s, RECOVER_UNKNOWN, "they do");
    estate_says(s.v.why, "m2 may be alive");
    recover_verdict_clear(&s.v);
    s.view.items[2].state = s.view.items[1].state = CARE_LOCKED;
    OK(recover_judge(&scene, &s.v, &e), &e);
    state_is(&s, RECOVER_RUNS, "they do run, without a leader");
}

CASE(judge, without_copies_the_living_alone_do_not_say_it_is_lost)
{
    ESTATE s = { 0 };

    estate_look(&s, 3);
    estate_freeze(&s, 1);
    estate_judge(&s);
    state_is(&s, RECOVER_UNKNOWN, "one frozen, no copies");
    cr_assert_str_eq(s.v.next, "holdfast assess DIR...");
}

CASE(judge, nothing_is_nothing)
{
    ESTATE s = { 0 };
    struct err e = { 0 };

    estate_judge(&s);
    state_is(&s, RECOVER_UNKNOWN, "nothing at all");
    cr_assert_eq(recover_verdict_result(&s.v, &e), RC_DEGRADED);
}

CASE(judge, learners_do_not_vote)
{
    struct recover_copy *c;
    ESTATE s = { 0 };
    struct err e = { 0 };

    c = estate_directory(&s, 1, 3, 2, 50);
    OK(mvcc_ids_add(&c->latest.learners, 4, &e), &e);
    OK(mvcc_ids_add(&c->decided.learners, 4, &e), &e);
    c = estate_directory(&s, 4, 3, 2, 60);
    OK(mvcc_ids_add(&c->latest.learners, 4, &e), &e);
    OK(mvcc_ids_add(&c->decided.learners, 4, &e), &e);
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "a voter and a learner of three");
    cr_assert_eq(s.v.now.voters, 3);
    cr_assert_eq(s.v.startable, 1);
    best_is(&s, "d4"); /* its log is a copy as any other */
}

/* Both the old and the new members must allow it. */
CASE(judge, a_change_of_members_that_is_not_decided)
{
    struct recover_copy *c;
    ESTATE s = { 0 };
    struct err e = { 0 };

    c = estate_directory(&s, 1, 2, 2, 50); /* the new ones: 1, 2 and 3 */
    OK(mvcc_ids_add(&c->latest.voters, 3, &e), &e);
    estate_directory(&s, 3, 3, 2, 40);
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "two of three, but one of the old two");
}

/* ---- which copy is the newest? ------------------------------------------------------
 */

CASE(judge, term_then_index_as_raft_elects)
{
    static const struct {
        uint64_t term[3], index[3];
        const char *best;
    } rows[] = {
        { { 2, 2, 2 }, { 50, 60, 40 }, "d2" },
        { { 3, 2, 2 }, { 50, 60, 90 }, "d1" }, /* a later term beats a longer log */
        { { 2, 3, 3 }, { 99, 50, 51 }, "d3" },
        { { 2, 2, 2 }, { 50, 50, 50 }, "d1" },
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        ESTATE s = { 0 };

        for (size_t m = 0; m < 3; m++)
            estate_directory(&s, m + 1, 7, rows[i].term[m], rows[i].index[m]);
        estate_judge(&s);
        state_is(&s, RECOVER_LOST, "three of seven");
        best_is(&s, rows[i].best);
    }
}

CASE(judge, commit_and_the_databases_revision_do_not_rank)
{
    struct recover_copy *c;
    ESTATE s = { 0 };

    c = estate_directory(&s, 1, 5, 2, 60);
    c->commit = c->applied = 20;
    c->revision = 10;
    estate_directory(&s, 2, 5, 2, 50);
    estate_judge(&s);
    best_is(&s, "d1");
    cr_assert(estate_notes(&s, "40 entries at the end of the newest log"));
}

CASE(judge, what_each_choice_would_lose)
{
    const struct recover_ranked *r;
    ESTATE s = { 0 };

    estate_directory(&s, 1, 5, 2, 60);
    estate_directory(&s, 2, 5, 2, 45);
    estate_judge(&s);
    r = estate_ranked(&s, "d2");
    cr_assert(r->loss_known);
    cr_assert_eq(r->loses, 15);
    cr_assert_eq(r->behind, 15);
    cr_assert_eq(estate_ranked(&s, "d1")->loses, 0);
}

CASE(judge, two_copies_of_one_member_are_one)
{
    ESTATE s = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    mem_free(s.copies.items[0].path);
    s.copies.items[0].path = mem_str("old");
    estate_directory(&s, 1, 3, 2, 60);
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "one member twice");
    best_is(&s, "d1");
    stands(&s, "old", RECOVER_TWIN);
    cr_assert(estate_notes(&s, "never start etcd on it"));
}

CASE(judge, an_older_sound_copy_beside_a_damaged_one_is_for_building_only)
{
    struct recover_copy *c;
    ESTATE s = { 0 };

    estate_directory(&s, 1, 1, 2, 50);
    mem_free(s.copies.items[0].path);
    s.copies.items[0].path = mem_str("old");
    c = estate_directory(&s, 1, 1, 2, 60);
    c->ok = c->startable = false;
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "the newer copy is damaged");
    best_is(&s, "old");
    cr_assert_eq(s.v.seats[0].presence, RECOVER_UNSOUND);
}

CASE(judge, removed_members_do_not_count)
{
    ESTATE s = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    estate_directory(&s, 4, 4, 2, 30); /* it still believes in four */
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "one of three, and one removed");
    cr_assert_eq(s.v.now.voters, 3);
    best_is(&s, "d1");
    stands(&s, "d4", RECOVER_REMOVED);
}

CASE(judge, another_cluster_is_set_apart)
{
    ESTATE s = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    estate_directory(&s, 2, 3, 2, 50);
    estate_directory(&s, 3, 3, 9, 999)->cluster_id = ESTATE_OTHER;
    estate_judge(&s);
    state_is(&s, RECOVER_STARTABLE, "two of this, one of the other");
    stands(&s, "d3", RECOVER_FOREIGN);
    cr_assert(estate_notes(&s, "it is of another cluster, c2"));
}

CASE(judge, of_two_clusters_it_asks_which)
{
    ESTATE s = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    estate_directory(&s, 3, 3, 9, 999)->cluster_id = ESTATE_OTHER;
    estate_judge(&s);
    state_is(&s, RECOVER_UNKNOWN, "one of each");
    cr_assert_null(s.v.best);
    cr_assert_str_eq(s.v.next, "holdfast assess d1");
    estate_look(&s, 3); /* the living say which */
    estate_freeze(&s, 0);
    s.view.cluster_id = ESTATE_OTHER;
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "the other one is meant");
    best_is(&s, "d3");
}

CASE(judge, endpoints_of_another_cluster_are_set_aside)
{
    ESTATE s = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    estate_look(&s, 3);
    s.view.cluster_id = ESTATE_OTHER;
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "its successor serves");
    cr_assert(estate_notes(&s, "it was recovered already"));
}

CASE(judge, one_that_runs_without_a_directory_may_be_ahead)
{
    ESTATE s = { 0 };

    estate_directory(&s, 2, 5, 2, 50);
    estate_look(&s, 5);
    estate_freeze(&s, 1);
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "one runs, one stopped, of five");
    cr_assert(estate_notes(&s, "m1 still runs, at entry 100, beyond the newest copy"));
    cr_assert(estate_notes(&s, "m3, m4 and m5: nobody answers"));
}

CASE(judge, what_is_in_use_must_be_stopped_before_it_is_built_on)
{
    struct recover_copy *c;
    ESTATE s = { 0 };

    c = estate_directory(&s, 1, 3, 2, 50);
    c->in_use = true;
    c->ok = c->startable = c->tail_known = false;
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "one runs of three");
    best_is(&s, "d1");
    estate_says(s.v.why, "stop it, and assess again");
    cr_assert_str_eq(s.v.next, "holdfast assess d1");
}

/* ---- backups ------------------------------------------------------------------------
 */

CASE(judge, the_survivor_is_newer_than_the_backup)
{
    ESTATE s = { 0 };

    estate_snapshot(&s, 3, 2, 30);
    estate_directory(&s, 1, 3, 2, 50);
    estate_judge(&s);
    best_is(&s, "d1");
    estate_says(s.v.why, "the newest snapshot ends 20 revisions before it");
    cr_assert_eq(estate_ranked(&s, "b0")->loses, 20);
}

CASE(judge, the_backup_is_as_new_as_the_survivor)
{
    ESTATE s = { 0 };

    estate_snapshot(&s, 3, 2, 50);
    estate_directory(&s, 1, 3, 2, 51)->revision_with_tail = 40;
    estate_judge(&s);
    best_is(&s, "d1");
    estate_says(s.v.why, "the newest snapshot has the same revision");
}

CASE(judge, the_backup_is_newer_than_the_survivor)
{
    static const uint64_t terms[] = { 2, 0 }; /* 3.4 does not say of which term */

    for (size_t i = 0; i < 2; i++) {
        ESTATE s = { 0 };

        estate_snapshot(&s, 3, terms[i], 70);
        estate_directory(&s, 1, 3, 2, 50);
        estate_judge(&s);
        best_is(&s, "b0");
        estate_says(s.v.why, "newer than every member's copy, by 20 revisions");
        cr_assert_str_eq(s.v.next, "holdfast recover --plan plan.json --backup b0 d1");
    }
}

CASE(judge, a_backup_of_another_cluster_is_set_apart)
{
    struct recover_copy *c;
    ESTATE s = { 0 };

    estate_directory(&s, 1, 3, 2, 50);
    c = estate_snapshot(&s, 3, 9, 999);
    for (size_t i = 0; i < 3; i++) {
        c->members[i].id += 100;
        c->latest.voters.items[i] += 100;
    }
    estate_judge(&s);
    best_is(&s, "d1");
    stands(&s, "b1", RECOVER_FOREIGN);
}

CASE(judge, all_disks_lost)
{
    ESTATE s = { 0 };

    estate_snapshot(&s, 3, 2, 30);
    estate_snapshot(&s, 3, 2, 40);
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "only backups");
    cr_assert_eq(s.v.now.voters, 3);
    best_is(&s, "b1");
}

CASE(judge, nothing_sound_is_for_salvage)
{
    struct recover_copy *c;
    struct err e = { 0 };
    ESTATE s = { 0 };

    c = estate_directory(&s, 1, 3, 2, 50);
    c->ok = c->startable = c->tail_known = false;
    OK(recover_note_add(c, FINDING_ERROR, "page-id", &e, "page 7 is not page 7"), &e);
    estate_judge(&s);
    state_is(&s, RECOVER_LOST, "one damaged");
    cr_assert_null(s.v.best);
    cr_assert_str_eq(s.v.next, "holdfast snapshot salvage d1 -o saved.db");
    cr_assert(estate_notes(&s, "d1 of m1 is damaged: page 7 is not page 7"));
    cr_assert_eq(recover_verdict_result(&s.v, &e), RC_CORRUPT);
}

CASE(judge, a_statement_names_its_host)
{
    struct recover_copy *c;
    ESTATE s = { 0 };

    c = estate_directory(&s, 1, 3, 2, 50);
    c->statement = mem_str("a.json");
    mem_free(c->host);
    c->host = mem_str("alpha");
    estate_judge(&s);
    estate_says(s.v.why, "d1 of m1 on host alpha");
}

CASE(judge, memory_may_run_out)
{
    ESTATE s = { 0 };
    const struct recover_scene scene = { .copies = &s.copies,
                                         .view = &s.view,
                                         .strangers_count = true };
    unsigned runs = 0;

    estate_directory(&s, 1, 3, 2, 50);
    estate_snapshot(&s, 3, 2, 30);
    estate_look(&s, 3);
    estate_freeze(&s, 0);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        struct err e = { 0 };
        enum rc rc;

        recover_verdict_clear(&s.v);
        rc = recover_judge(&scene, &s.v, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "%u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 6);
    state_is(&s, RECOVER_LOST, "the last run");
}

#include "recover/survey.h"

#include <string.h>
#include <unistd.h>

#include "recover/conf.h"
#include "tests/lib/fault.h"
#include "tests/unit/datadir/den.h"
#include "tests/unit/recover/estate.h"

static struct recover_copy *survey(struct estate *s, const char *dir)
{
    struct err e = { 0 };

    OK(recover_survey_directory(&s->copies, dir, NULL, &e), &e);
    return &s->copies.items[s->copies.count - 1];
}

static bool told(const struct recover_copy *c, const char *code)
{
    for (size_t i = 0; i < c->note_count; i++)
        if (strcmp(c->notes[i].code, code) == 0)
            return true;
    return false;
}

/* What a real server of each version left, and answered just before. */
CASE(survey, real_directories)
{
    for (int i = 0; i < DEN_GOLDENS; i++) {
        const struct recover_copy *c;
        ESTATE s = { 0 };
        DEN den;

        den_golden(&den, den_goldens[i].version);
        c = survey(&s, den.dir);
        cr_assert(c->readable && c->ok && c->startable && !c->in_use, "%s",
                  den_goldens[i].version);
        cr_assert_eq(c->member_id, den_goldens[i].member);
        cr_assert(c->tail_known);
        cr_assert_eq(c->revision_with_tail, DEN_REVISION);
        cr_assert(c->term_known && c->term > 1 && c->index >= c->applied);
        cr_assert_eq(c->latest.voters.count, 1);
        cr_assert_eq(c->latest.voters.items[0], c->member_id);
        cr_assert_neq(c->name[0], '\0');
        estate_judge(&s);
        cr_assert_eq(s.v.state, RECOVER_STARTABLE, "%s", s.v.why);
    }
}

CASE(survey, a_database_that_is_gone_can_be_made_again_but_not_started)
{
    const struct recover_copy *c;
    ESTATE s = { 0 };
    DEN den;

    den_golden(&den, "3.5");
    cr_assert_eq(unlink(den.db), 0);
    c = survey(&s, den.dir);
    cr_assert(c->ok && !c->startable);
    cr_assert_eq(c->revision_with_tail, DEN_REVISION);
    estate_judge(&s);
    cr_assert_eq(s.v.state, RECOVER_LOST);
    cr_assert(estate_notes(&s, "etcd would not start on it"));
}

CASE(survey, a_database_alone_is_known_as_far_as_it_goes)
{
    const struct recover_copy *c;
    ESTATE s = { 0 };
    DEN den;

    den_golden(&den, "3.6");
    cr_assert_eq(unlink(den.segment), 0);
    c = survey(&s, den.dir);
    cr_assert(c->readable && !c->ok && !c->startable);
    cr_assert_str_eq(c->verdict, "no-log");
    cr_assert_eq(c->index, c->applied);
    cr_assert(c->term_known);
    estate_judge(&s);
    cr_assert_eq(s.v.state, RECOVER_LOST, "%s", s.v.why);
    cr_assert_eq(estate_ranked(&s, den.dir)->standing, RECOVER_DAMAGED);
    estate_says(s.v.next, "snapshot from-data-dir");
    estate_says(s.v.next, "--allow-damaged-wal");
}

CASE(survey, a_damaged_database_is_told)
{
    const struct recover_copy *c;
    ESTATE s = { 0 };
    DEN den;

    den_golden(&den, "3.6");
    den_cut(den.db, 3 * 4096);
    c = survey(&s, den.dir);
    cr_assert(c->readable && !c->ok && !c->startable);
    cr_assert_gt(c->note_count, 0);
}

CASE(survey, what_is_no_directory_does_not_end_it)
{
    const struct recover_copy *c;
    ESTATE s = { 0 };

    c = survey(&s, tmpdir_new());
    cr_assert(!c->readable && told(c, "unreadable"));
    c = survey(&s, "/nonexistent/etcd");
    cr_assert(!c->readable && told(c, "unreadable"));
    estate_judge(&s);
    cr_assert_eq(s.v.state, RECOVER_UNKNOWN);
}

/* Before a mark's configuration, at it, and behind a change. */
CASE(survey, who_belongs_is_told_by_the_log)
{
    for (int i = 0; i < DEN_GOLDENS; i++) {
        AT_END(recover_conf_clear) struct recover_conf none = { 0 };
        AT_END(recover_conf_clear) struct recover_conf one = { 0 };
        bool known;
        DEN den;

        den_golden(&den, den_goldens[i].version);
        OK(den_open(&den), &den.e);
        OK(recover_conf_at(den.d, 0, &none, &known, &den.e), &den.e);
        cr_assert(!known);
        OK(recover_conf_at(den.d, 1, &one, &known, &den.e), &den.e);
        cr_assert(known && one.voters.count == 1 && one.learners.count == 0);
    }
}

/* A copy for which memory ran out is not told as one that is damaged. */
CASE(survey, memory_may_run_out)
{
    bool went_off = true;
    unsigned refused = 0;
    DEN den;

    den_golden(&den, "3.6");
    for (unsigned nth = 1; went_off; nth = nth * 3 / 2 + 1) {
        ESTATE s = { 0 };
        struct err e = { 0 };
        enum rc rc;

        fault_arm(FAULT_ALLOC, nth, 0);
        rc = recover_survey_directory(&s.copies, den.dir, NULL, &e);
        went_off = fault_disarm();
        cr_assert(rc == RC_OK || (went_off && rc == RC_NOMEM), "%u: %s", nth, e.why);
        refused += rc == RC_NOMEM;
        if (rc != RC_OK)
            continue;
        cr_assert(s.copies.items[0].ok && s.copies.items[0].startable, "%u", nth);
        cr_assert_eq(s.copies.items[0].revision_with_tail, DEN_REVISION);
    }
    cr_assert_gt(refused, 8);
}

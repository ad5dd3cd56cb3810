#include "cli/resume.h"

#include <stdio.h>

#include "care/journal.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/clock.h"
#include "util/mem.h"

static void run_of(struct care_store *s, const char *words, uint64_t id, bool learner,
                   bool ends_well)
{
    AT_END(mem_end) char *detail = NULL;
    struct care_journal j;
    struct err e = { 0 };

    OK(resume_detail(words, id, learner, &detail, &e), &e);
    OK(care_journal_begin(&j, s, 7, "replace", detail, &e), &e);
    if (ends_well)
        care_journal_settle(&j, RC_OK, &e);
}

static struct resume recalled(struct care_store *s, const char *words)
{
    struct resume past;
    struct err e = { 0 };

    OK(resume_recall(s, 7, "replace", words, &past, &e), &e);
    return past;
}

CASE(resume, only_what_has_not_ended_well_since)
{
    OWNED(care_store) s = NULL;
    struct err e = { 0 };

    OK(care_store_open(tmpdir_new(), &s, &e), &e);
    cr_assert_not(recalled(s, "a: ").found);
    run_of(s, "a: ", 0xbeef, true, false);
    run_of(s, "b: ", 0x1, false, false);
    cr_assert(recalled(s, "a: ").found && recalled(s, "a: ").learner);
    cr_assert_eq(recalled(s, "a: ").id, 0xbeef);
    cr_assert_not(recalled(s, "b: ").learner);
    run_of(s, "a: ", 0xbeef, true, true);
    cr_assert_not(recalled(s, "a: ").found);
    cr_assert(recalled(s, "b: ").found);
    cr_assert_not(recalled(NULL, "b: ").found);
}

CASE(resume, a_backup_is_of_the_run_when_it_is_not_older)
{
    struct resume past = { .found = true, .begun = clock_unix_ms() / 1000 - 10 };
    const char *file = path_in(tmpdir_new(), "b.db");

    cr_assert_not(resume_has_backup(&past, file));
    fclose(fopen(file, "w"));
    cr_assert(resume_has_backup(&past, file));
    past.begun += 3600;
    cr_assert_not(resume_has_backup(&past, file));
    past = (struct resume){ .found = false };
    cr_assert_not(resume_has_backup(&past, file));
}

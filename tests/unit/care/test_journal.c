#include "care/journal.h"

#include <stdio.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/clock.h"

struct seen {
    unsigned count, fulfilled;
    char details[8][16];
};

static void note(void *arg, const struct care_past *past)
{
    struct seen *s = arg;

    snprintf(s->details[s->count++], sizeof s->details[0], "%s", past->detail);
    s->fulfilled += past->fulfilled;
}

static void operation(struct care_store *s, uint64_t cluster, const char *kind,
                      const char *detail, int ends)
{
    struct care_journal j;
    struct err e = { 0 };

    OK(care_journal_begin(&j, s, cluster, kind, detail, &e), &e);
    if (ends >= 0)
        care_journal_settle(&j, (enum rc)ends, &e);
}

/* One that broke off is in the past like one that failed; another kind's is not. */
CASE(care_journal, the_past_of_one_kind_newest_first)
{
    OWNED(care_store) s = NULL;
    struct seen seen = { 0 };
    struct err e = { 0 };

    OK(care_store_open(tmpdir_new(), &s, &e), &e);
    operation(s, 7, "grow", "one", RC_OK);
    operation(s, 7, "grow", "two", RC_NET);
    operation(s, 7, "replace", "other", RC_OK);
    operation(s, 8, "grow", "elsewhere", RC_OK);
    operation(s, 7, "grow", "three", -1);
    OK(care_journal_past(s, 7, "grow", clock_unix_ms() / 1000, note, &seen, &e), &e);
    cr_assert_eq(seen.count, 3);
    cr_assert_eq(seen.fulfilled, 1);
    cr_assert_str_eq(seen.details[0], "three");
    cr_assert_str_eq(seen.details[2], "one");
    seen = (struct seen){ 0 };
    OK(care_journal_past(s, 7, "grow", clock_unix_ms() / 1000 + 31 * 86400, note, &seen,
                         &e),
       &e);
    cr_assert_eq(seen.count, 0, "what is older than a month is forgotten");
}

/* A journal that cannot be written is no reason to stop. */
CASE(care_journal, settles_without_a_store)
{
    struct care_journal j = { 0 };
    struct err e = { 0 };

    care_journal_settle_step(&j, 1, "x", RC_NET, &e);
    care_journal_settle(&j, RC_OK, &e);
    cr_assert_eq(e.code, RC_OK);
}

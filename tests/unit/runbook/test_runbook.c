#include "runbook/runbook.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"

static void know(struct runbook_facts *f, const char *blank, const char *value)
{
    struct err e = { 0 };

    OK(runbook_know(f, blank, value, &e), &e);
}

static const char *filled(const struct runbook_facts *f, const char *text, bool commands,
                          const char *here)
{
    static char out[512];
    AT_END(buf_clear) struct buf b = { .cap_max = sizeof out };
    struct err e = { 0 };

    OK(runbook_fill(f, text, commands, here, &b, &e), &e);
    snprintf(out, sizeof out, "%.*s", (int)b.n, (const char *)b.p);
    return out;
}

CASE(runbook, what_is_known_is_filled_in)
{
    AT_END(runbook_facts_clear) struct runbook_facts f = { 0 };
    struct err e = { 0 };

    know(&f, "new", "m4");
    know(&f, "new", "m5");
    cr_assert_str_eq(filled(&f, "add {new} at {new-peer}", false, NULL),
                     "add m4 at NEW_PEER_URL");
    cr_assert_str_eq(filled(&f, "on {here}", false, "m1"), "on m1");
    cr_assert_str_eq(filled(&f, "on {here}", false, NULL), "on THIS_MEMBER");
    cr_assert_eq(runbook_know(&f, "colour", "red", &e), RC_USAGE);
}

/* Names come from a cluster that somebody else set up. */
CASE(runbook, no_value_is_more_than_a_word_to_a_shell)
{
    AT_END(runbook_facts_clear) struct runbook_facts f = { 0 };

    know(&f, "lost", "x'; echo `id` $HOME #\n\"");
    RUN(p, "sh", "-c", filled(&f, "printf %s {lost}", true, NULL));
    cr_assert_str_eq(p.out, "x'; echo `id` $HOME #\n\"");
}

/* A blank of the wrong name, or a brace that is not closed, would fail here. */
CASE(runbook, every_page_can_be_filled)
{
    AT_END(runbook_facts_clear) struct runbook_facts all = { 0 };
    const struct runbook_facts none = { 0 };
    struct err e = { 0 };

    for (size_t i = 0; runbook_blanks[i].name != NULL; i++)
        know(&all, runbook_blanks[i].name, "known");
    OK(str_list_add(&all.members, "m0", &e), &e);
    for (const struct runbook *b = runbooks; b->name != NULL; b++) {
        AT_END(mem_end) char *page = NULL, *full = NULL;

        cr_assert(runbook_find(b->name) == b);
        OK(runbook_markdown(b, &none, &page, &e), &e);
        cr_assert(strstr(page, "## 4. ") != NULL, "%s", page);
        cr_assert_null(strchr(page, '{'), "%s", page);
        OK(runbook_markdown(b, &all, &full, &e), &e);
        for (size_t i = 0; runbook_blanks[i].name != NULL; i++) {
            cr_assert(!runbook_lacks(b, &all, i));
            cr_assert_eq(runbook_lacks(b, &none, i),
                         strstr(page, runbook_blanks[i].shown) != NULL, "%s in %s",
                         runbook_blanks[i].shown, page);
        }
    }
    cr_assert_null(runbook_find("lost"));
}

/* A step for each host stands there as often as there are hosts. */
CASE(runbook, each_member_has_its_own_commands)
{
    AT_END(runbook_facts_clear) struct runbook_facts f = { 0 };
    AT_END(mem_end) char *page = NULL;
    struct err e = { 0 };

    OK(str_list_add(&f.members, "first", &e), &e);
    OK(str_list_add(&f.members, "second", &e), &e);
    OK(str_list_add(&f.situation, "it is bad", &e), &e);
    OK(runbook_markdown(runbook_find("restore-from-backup"), &f, &page, &e), &e);
    cr_assert(strstr(page, "--member first ") != NULL &&
                  strstr(page, "--member second ") != NULL,
              "%s", page);
    cr_assert(strstr(page, "\n- it is bad\n") != NULL, "%s", page);
}

CASE(runbook, without_memory_there_is_no_page)
{
    const struct runbook_facts none = { 0 };
    struct err e = { 0 };
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(mem_end) char *page = NULL;
        enum rc rc = runbook_markdown(&runbooks[0], &none, &page, &e);

        runs = nth;
        cr_assert((rc == RC_OK) == (page != NULL));
        cr_assert(rc == RC_OK || rc == RC_NOMEM);
    }
    cr_assert_gt(runs, 5);
}

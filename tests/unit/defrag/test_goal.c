#include "defrag/goal.h"

#include <inttypes.h>
#include <string.h>

#include "tests/lib/case.h"

CASE(goal, follows_the_rules)
{
    static const struct {
        enum defrag_goal_kind kind;
        int64_t number, finished, scheduled, head;
        enum rc rc;
        int64_t revision;
        const char *says; /* part of the message */
    } cases[] = {
        { DEFRAG_REVISION, 5, -1, -1, 10, RC_OK, 5, NULL },
        { DEFRAG_REVISION, 10, 4, 4, 10, RC_OK, 10, NULL },
        { DEFRAG_REVISION, 11, 4, 4, 10, RC_USAGE, 0, "lies in the future" },
        { DEFRAG_REVISION, 0, -1, -1, 10, RC_USAGE, 0, "there is no revision 0" },
        { DEFRAG_REVISION, 4, 4, 4, 10, RC_REFUSED, 0, "was compacted at 4" },
        { DEFRAG_REVISION, 3, 4, 4, 10, RC_REFUSED, 0, "was compacted at 4" },
        { DEFRAG_REVISION, 6, 4, 7, 10, RC_REFUSED, 0, "at revision 7 was begun" },
        { DEFRAG_REVISION, 7, 4, 7, 10, RC_OK, 7, NULL },
        { DEFRAG_NEWEST, 4, -1, -1, 10, RC_OK, 6, NULL },
        { DEFRAG_NEWEST, 0, -1, -1, 10, RC_OK, 10, NULL },
        { DEFRAG_NEWEST, 9, -1, -1, 10, RC_OK, 1, NULL },
        { DEFRAG_NEWEST, 10, -1, -1, 10, RC_REFUSED, 0, "nothing can be dropped" },
        { DEFRAG_NEWEST, INT64_MAX, -1, -1, 10, RC_REFUSED, 0, "nothing can be dropped" },
        { DEFRAG_NEWEST, -1, -1, -1, 10, RC_USAGE, 0, "cannot be kept" },
        { DEFRAG_NEWEST, 6, 4, 4, 10, RC_REFUSED, 0, "was compacted at 4" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct defrag_goal g = { .kind = cases[i].kind, .number = cases[i].number };
        const struct defrag_marks m = { cases[i].finished, cases[i].scheduled };
        struct err e = { 0 };
        int64_t revision = -7;
        enum rc rc = defrag_goal_revision(&g, &m, cases[i].head, &revision, &e);

        cr_assert_eq(rc, cases[i].rc, "case %zu: %s", i, e.why);
        cr_assert_eq(revision, rc == RC_OK ? cases[i].revision : -7, "case %zu", i);
        if (rc != RC_OK)
            cr_assert_not_null(strstr(e.why, cases[i].says), "case %zu: %s", i, e.why);
    }
}

CASE(goal, knows_which_etcd_drops_the_tombstone)
{
    static const struct {
        const char *version;
        enum rc rc;
        bool drops;
    } cases[] = {
        { "3.4", RC_OK, false },         { "3.4.33", RC_OK, true },
        { "3.4.34", RC_OK, false },      { "3.5", RC_OK, false },
        { "3.5.0", RC_OK, true },        { "3.5.15", RC_OK, true },
        { "3.5.16", RC_OK, false },      { "3.6", RC_OK, false },
        { "3.6.0", RC_OK, false },       { "3.7.1", RC_OK, false },
        { "3.3.25", RC_USAGE, false },   { "3.8", RC_USAGE, false },
        { "3.5.", RC_USAGE, false },     { "3.5.15x", RC_USAGE, false },
        { "3.55", RC_USAGE, false },     { "4.5", RC_USAGE, false },
        { "v3.5", RC_USAGE, false },     { "3.5.-1", RC_USAGE, false },
        { "3.5.16.1", RC_USAGE, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct err e = { 0 };
        bool drops = false;

        cr_assert_eq(defrag_goal_version(cases[i].version, &drops, &e), cases[i].rc, "%s",
                     cases[i].version);
        cr_assert_eq(drops, cases[i].drops, "%s", cases[i].version);
    }
}

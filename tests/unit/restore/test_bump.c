#include "restore/bump.h"

#include <string.h>

#include "tests/lib/case.h"

static struct restore_bump decide(struct restore_bump_input in)
{
    struct restore_bump b = { 0 };
    struct err e = { 0 };

    OK(restore_bump_decide(&in, &b, &e), &e);
    return b;
}

CASE(restore_bump, kubernetes_is_bumped_and_marked_by_default)
{
    struct restore_bump b =
        decide((struct restore_bump_input){ .last_revision = 500, .kubernetes = true });

    cr_assert_eq(b.by, 1000000000);
    cr_assert_eq(b.revision, 1000000500);
    cr_assert(b.mark_compacted);
    b = decide((struct restore_bump_input){ .last_revision = 500 });
    cr_assert(b.by == 0 && !b.mark_compacted && b.revision == 500);
}

CASE(restore_bump, a_newer_revision_seen_elsewhere_is_passed)
{
    struct restore_bump b = decide(
        (struct restore_bump_input){ .last_revision = 500, .high_water = 5000000000 });

    cr_assert_eq(b.revision, 6000000000);
    cr_assert(b.mark_compacted);
    b = decide((struct restore_bump_input){
        .kind = RESTORE_BUMP_AUTO, .last_revision = 500, .high_water = 400 });
    cr_assert_eq(b.revision, 1000000500);
    cr_assert(!b.mark_compacted, "only when asked for, since the bump was asked for");
}

CASE(restore_bump, zero_turns_it_off)
{
    struct restore_bump b = decide((struct restore_bump_input){
        .kind = RESTORE_BUMP_BY, .last_revision = 500, .kubernetes = true });

    cr_assert(b.by == 0 && !b.mark_compacted);
}

CASE(restore_bump, bounds_are_kept)
{
    static const struct {
        struct restore_bump_input in;
        const char *why;
    } cases[] = {
        { { .kind = RESTORE_BUMP_BY, .by = INT64_MAX, .last_revision = 60 },
          "out of bounds" },
        { { .kind = RESTORE_BUMP_BY, .by = -1, .last_revision = 60 }, "out of bounds" },
        { { .kind = RESTORE_BUMP_AUTO, .last_revision = RESTORE_REVISION_MAX },
          "out of bounds" },
        { { .kind = RESTORE_BUMP_AUTO, .last_revision = 9, .high_water = INT64_MAX },
          "high-water mark" },
        { { .kind = RESTORE_BUMP_BY, .by = 5, .last_revision = 9, .high_water = 14 },
          "not past the high-water mark 14" },
        { { .kind = RESTORE_BUMP_BY, .last_revision = 9, .mark_compacted = true },
          "--mark-compacted needs" },
        { { .last_revision = 9, .mark_compacted = true }, "--mark-compacted needs" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct restore_bump b;
        struct err e = { 0 };

        cr_assert_eq(restore_bump_decide(&cases[i].in, &b, &e), RC_USAGE, "case %zu", i);
        cr_assert_not_null(strstr(e.why, cases[i].why), "case %zu: %s", i, e.why);
    }
}

#include "care/space.h"

#include <string.h>

#include "tests/lib/case.h"
#include "tests/unit/care/sample.h"

#define VIEW [[gnu::cleanup(care_view_clear)]] struct care_view
#define MIB ((uint64_t)1 << 20)

/* clang-format off */
static const struct {
    uint64_t size, in_use, quota; /* MiB */
    bool alarm;
    double compacted; /* of revision 100000 */
    enum care_lever lever;
    const char *says;
} rows[] = {
    {  100,   90, 2048, false,     0, CARE_LEVER_NONE,    "there is room" },
    {  300,   90, 2048, false,     0, CARE_LEVER_DEFRAG,  "free pages" },
    {   60,    1, 2048, false,     0, CARE_LEVER_NONE,    "there is room" },
    { 1700, 1500, 2048, false,     0, CARE_LEVER_DEFRAG,  "free pages" },
    { 1700, 1690, 2048, false,     0, CARE_LEVER_COMPACT, "old revisions" },
    { 1700, 1690, 2048, false,    -1, CARE_LEVER_COMPACT, "old revisions" },
    { 1700, 1690, 2048, false, 99500, CARE_LEVER_KEYS,    "what fills it is live" },
    { 1700, 1690,    0, false, 99500, CARE_LEVER_NONE,    "there is room" },
    { 2048, 2047, 2048, true,  99500, CARE_LEVER_COMPACT, "NOSPACE is raised" },
    { 2048,  100, 2048, true,  99500, CARE_LEVER_DEFRAG,  "NOSPACE is raised" },
};
/* clang-format on */

CASE(care_space, levers)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        VIEW v = sample_view(1);
        struct care_member *m = &v.items[0];
        char text[300];
        struct care_space s;

        v.revision = 100000;
        m->status.db_size = rows[i].size * MIB;
        m->status.db_size_in_use = rows[i].in_use * MIB;
        m->quota = rows[i].quota * MIB;
        m->alarms = rows[i].alarm ? 1U << WIRE_ALARM_NOSPACE : 0;
        m->metrics_known = true;
        m->metrics.compacted = rows[i].compacted;
        s = care_space_of(&v, m);
        cr_expect_eq(s.lever, rows[i].lever, "row %zu: %s", i, care_lever_name(s.lever));
        cr_expect_eq(s.free, (rows[i].size - rows[i].in_use) * MIB);
        cr_expect_eq(s.history,
                     rows[i].compacted < 0 ? -1 : 100000 - (int64_t)rows[i].compacted);
        care_space_sentence(&v, text, sizeof text);
        cr_expect(strstr(text, rows[i].says) != NULL, "row %zu: %s", i, text);
    }
}

CASE(care_space, an_alarm_would_come_back_above_ninety_percent)
{
    struct err e = { 0 };
    VIEW v = sample_view(3);

    v.items[1].quota = 1000 * MIB;
    v.items[1].status.db_size = 899 * MIB;
    OK(care_space_roomy(&v, &e), &e);
    v.items[1].status.db_size = 900 * MIB;
    cr_assert_eq(care_space_roomy(&v, &e), RC_DEGRADED);
    cr_assert_str_eq(e.why, "m1 still fills 90 % of its quota");
    v.items[1].status.db_size_in_use = 700 * MIB;
    cr_assert(care_space_would_be_roomy(&v));
    v.items[1].status.db_size_in_use = 800 * MIB;
    cr_assert(!care_space_would_be_roomy(&v));
    sample_fail(&v, 1, CARE_DOWN, "connection refused");
    cr_assert_eq(care_space_roomy(&v, &e), RC_DEGRADED);
    cr_assert(strstr(e.why, "m1 does not answer") != NULL, "%s", e.why);
}

CASE(care_space, history_is_given_up_step_by_step)
{
    VIEW v = sample_view(2);

    cr_assert_eq(care_space_keep_less(5000), 1000);
    cr_assert_eq(care_space_keep_less(1000), 100);
    cr_assert_eq(care_space_keep_less(50), 10);
    cr_assert_eq(care_space_keep_less(10), 0);
    cr_assert_eq(care_space_keep_less(0), -1);
    v.revision = 1500;
    cr_assert_eq(care_space_target(&v, 1000), 500);
    cr_assert_eq(care_space_target(&v, 1500), 0, "there is no revision 0");
    v.items[1].metrics_known = true;
    v.items[1].metrics.compacted = 500;
    cr_assert_eq(care_space_target(&v, 1000), 0, "done already");
    cr_assert_eq(care_space_target(&v, 999), 501);
}

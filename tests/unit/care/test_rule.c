#include "care/rule.h"

#include <string.h>

#include "tests/lib/case.h"

static const struct care_rule_facts facts = { .size = 1000,
                                              .in_use = 400,
                                              .quota = 2000 };

static bool holds(const char *text)
{
    struct care_rule r;
    struct err e = { 0 };

    OK(care_rule_parse(text, &r, &e), &e);
    return care_rule_holds(&r, &facts);
}

/* clang-format off */
static const struct {
    const char *text;
    bool holds;
} rows[] = {
    { "dbSize == 1000", true },
    { "dbSizeInUse == 400", true },
    { "dbSizeFree == 600", true },
    { "dbSizeFree == dbSize - dbSizeInUse", true },
    { "dbQuota == 2000", true },
    { "dbQuotaUsage == 0.5", true },
    { "dbQuotaUsage > 0.5", false },
    { "dbSize > dbQuota*80/100 || dbSize - dbSizeInUse > 200*1024*1024", false },
    { "dbSize > dbQuota*40/100 && dbSizeFree*100/dbSize >= 45", true },
    { "dbSize<2KiB", true },
    { "dbSize < 1KB", false },
    { "dbSize <= 1KB", true },
    { "1 + 2 * 3 == 7", true },
    { "(1 + 2) * 3 == 9", true },
    { "10 - 3 - 2 == 5", true },
    { "16 / 4 / 2 == 2", true },
    { "1/2 == 0.5", true },
    { "7 % 4 == 3", true },
    { "-1 < 0", true },
    { "- -1 == 1", true },
    { "2 - -1 == 3", true },
    { "!(1 < 2)", false },
    { "!!(1 < 2)", true },
    { "!(1 > 2) && 1 < 2", true },
    { "1 > 2 || 2 > 1 && 1 > 2", false },
    { "(1 < 2) == (3 < 4)", true },
    { "(1 < 2) != (3 < 4)", false },
    { "1 != 2", true },
    { " \t( dbSize>0 )\n", true },
    { "1/0 > 0", false },
    { "1/0 < 0", false },
    { "1/0 != 1", false },
    { "0/0 == 0/0", false },
    { "5 % 0 >= 0", false },
};

static const struct {
    const char *text, *says;
} wrong[] = {
    { "", "character 1: it ends too early" },
    { "dbSize", "character 1: a condition is needed here, and this is a number" },
    { "dbSize >", "character 9: it ends too early" },
    { "dbSize > 1 &&", "character 14: it ends too early" },
    { "dbSize > 1 2", "character 12: this does not belong here" },
    { "dbsize > 1", "character 1: there are dbSize, dbSizeInUse" },
    { "size > 1", "character 1: there are" },
    { "dbSize > 1.2.3", "character 10: this is no number" },
    { "dbSize > 12parsec", "character 10: this is no number" },
    { "dbSize > .", "character 10: this is no number" },
    { "(dbSize > 1", "character 1: this parenthesis is never closed" },
    { "dbSize > 1)", "character 11: this does not belong here" },
    { "!dbSize", "character 1: a condition is needed" },
    { "-(1 < 2)", "character 1: a number is needed" },
    { "1 && 2", "character 1: a condition is needed" },
    { "1 < 2 && 3", "character 10: a condition is needed" },
    { "1 < 2 < 3", "a number is needed" },
    { "1 == (1 < 2)", "character 6: a number is needed" },
    { "1 = 1", "character 3: this does not belong here" },
    { "1 & 1", "character 3: this does not belong here" },
    { "system(1) > 0", "character 1: there are" },
    { "\x80 > 1", "character 1: a value is needed" },
};
/* clang-format on */

CASE(care_rule, conditions)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        cr_expect_eq(holds(rows[i].text), rows[i].holds, "%s", rows[i].text);
}

CASE(care_rule, mistakes_are_told_with_their_place)
{
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct care_rule r;
        struct err e = { 0 };

        cr_expect_eq(care_rule_parse(wrong[i].text, &r, &e), RC_USAGE, "%s",
                     wrong[i].text);
        cr_expect(strstr(e.why, wrong[i].says) != NULL, "%s: %s", wrong[i].text, e.why);
    }
}

CASE(care_rule, without_a_quota_nothing_can_be_said_of_it)
{
    const struct care_rule_facts none = { .size = 10, .in_use = 20 };
    struct care_rule r;
    struct err e = { 0 };

    OK(care_rule_parse("dbQuotaUsage >= 0 || dbQuota >= 0", &r, &e), &e);
    cr_assert(r.needs_quota);
    cr_assert(!care_rule_holds(&r, &none));
    OK(care_rule_parse("dbSizeFree == 0", &r, &e), &e);
    cr_assert(!r.needs_quota && care_rule_holds(&r, &none));
}

/* Deep and long ones end with a sentence, not with the stack. */
CASE(care_rule, length_and_depth_are_bounded)
{
    char text[4096];
    struct care_rule r;
    struct err e = { 0 };

    memset(text, '(', sizeof text);
    text[sizeof text - 1] = '\0';
    cr_assert_eq(care_rule_parse(text, &r, &e), RC_USAGE);
    cr_assert(strstr(e.why, "nested too deeply") != NULL, "%s", e.why);
    memset(text, '!', sizeof text - 1);
    cr_assert_eq(care_rule_parse(text, &r, &e), RC_USAGE);
    cr_assert(strstr(e.why, "nested too deeply") != NULL, "%s", e.why);
    text[0] = '1';
    for (size_t i = 1; i + 2 < sizeof text; i += 2) {
        text[i] = '+';
        text[i + 1] = '1';
    }
    text[sizeof text - 1] = '\0';
    cr_assert_eq(care_rule_parse(text, &r, &e), RC_USAGE);
    cr_assert(strstr(e.why, "too long") != NULL, "%s", e.why);
}

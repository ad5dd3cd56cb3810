#include "util/guess.h"

#include <stdint.h>
#include <string.h>

#include "tests/lib/case.h"

CASE(util_guess, distances)
{
    static const struct {
        const char *a, *b;
        size_t want;
    } cases[] = {
        { "", "", 0 },          { "", "abc", 3 },           { "abc", "", 3 },
        { "save", "save", 0 },  { "save", "svae", 1 },      { "save", "sve", 1 },
        { "save", "saved", 1 }, { "save", "sane", 1 },      { "verify", "verfiy", 1 },
        { "ab", "ba", 1 },      { "kitten", "sitting", 3 },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(guess_distance(cases[i].a, cases[i].b), cases[i].want, "%s and %s",
                     cases[i].a, cases[i].b);
}

CASE(util_guess, long_words_are_far_from_everything)
{
    char word[65];

    memset(word, 'a', 64);
    word[64] = '\0';
    cr_assert_eq(guess_distance(word, word), SIZE_MAX);
    cr_assert_eq(guess_distance(word + 1, word + 1), 0);
    struct guess g = { .word = word };

    guess_offer(&g, "aaaa");
    cr_assert_null(g.name);
}

CASE(util_guess, the_nearest_wins_and_strangers_lose)
{
    struct guess g = { .word = "snpashot" }, none = { .word = "x" },
                 start = { .word = "snap" };

    guess_offer(&g, "restore");
    cr_assert_null(g.name);
    guess_offer(&g, "snapshots");
    guess_offer(&g, "snapshot");
    guess_offer(&g, "snapshotx");
    cr_assert_str_eq(g.name, "snapshot");
    guess_offer(&none, "y");
    guess_offer(&none, "xy");
    cr_assert_null(none.name);
    guess_offer(&start, "snapshot");
    cr_assert_str_eq(start.name, "snapshot");
}

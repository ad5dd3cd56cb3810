#include "util/guess.h"

#include <stdint.h>
#include <string.h>

enum { WORD_MAX = 63 };

static size_t least(size_t a, size_t b, size_t c)
{
    size_t m = a < b ? a : b;

    return m < c ? m : c;
}

/* Optimal string alignment: row[k] is the distance of the first i-k letters of `a`. */
size_t guess_distance(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    size_t rows[3][WORD_MAX + 1];

    if (n > WORD_MAX || m > WORD_MAX)
        return SIZE_MAX;
    for (size_t j = 0; j <= m; j++)
        rows[0][j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t *now = rows[i % 3];
        const size_t *before = rows[(i + 2) % 3], *earlier = rows[(i + 1) % 3];

        now[0] = i;
        for (size_t j = 1; j <= m; j++) {
            now[j] = least(before[j] + 1, now[j - 1] + 1,
                           before[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], earlier[j - 2] + 1, now[j]);
        }
    }
    return rows[n % 3][m];
}

/* Near enough to be a slip: one letter, two in a longer word, or a name's beginning. */
void guess_offer(struct guess *g, const char *name)
{
    size_t typed = strlen(g->word);
    size_t d = guess_distance(g->word, name);

    if (typed >= 2 && strncmp(name, g->word, typed) == 0)
        d = 1;
    if (d > (typed < 5 ? 1u : 2u) || d >= typed)
        return;
    if (g->name == NULL || d < g->distance) {
        g->name = name;
        g->distance = d;
    }
}

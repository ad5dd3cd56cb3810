/* "Did you mean": the nearest of some names to a mistyped word. */
#ifndef UTIL_GUESS_H
#define UTIL_GUESS_H

#include <stddef.h>

/* Zero-initialise, offer every name, then look at `name`. */
struct guess {
    const char *word; /* what was typed */
    const char *name; /* the nearest so far; NULL while none is near */
    size_t distance;
};

void guess_offer(struct guess *g, const char *name);

/* Insertions, deletions, replacements and swaps of neighbours between two words.
 * Words of more than 63 bytes are SIZE_MAX apart from everything. */
size_t guess_distance(const char *a, const char *b);

#endif

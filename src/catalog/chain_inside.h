/* What chain.c and chain_walk.c share. */
#ifndef CATALOG_CHAIN_INSIDE_H
#define CATALOG_CHAIN_INSIDE_H

#include "catalog/chain.h"

/* The index of the first item with this sequence or a higher one; items are sorted. */
size_t chain_first_at(const struct chain *c, uint64_t sequence);

/* Makes it a stray, with a sentence. */
enum rc chain_stray(struct chain_item *i, const char *why, struct err *e, const char *fmt,
                    ...) PRINTF_LIKE(4, 5);

#endif

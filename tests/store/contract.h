/* What storage/store.h promises, tried on any store: every driver must hold all of it. */
#ifndef TESTS_STORE_CONTRACT_H
#define TESTS_STORE_CONTRACT_H

#include "storage/store.h"

/* Below `prefix` ("" or ending in '/'), where nothing may be; leaves nothing.
 * `exclusive`: of two puts of one key that go on at the same time the second is refused.
 */
void contract_holds(struct store *s, const char *prefix, bool exclusive);

/* The keys below `prefix`, joined by blanks; the text is good until the next call. */
const char *store_listing(struct store *s, const char *prefix);

/* The object is exactly this text. */
bool store_holds(struct store *s, const char *key, const char *text);

/* Puts `n` bytes of a pattern in pieces, and compares what is there with them. */
enum rc store_put_pattern(struct store *s, const char *key, const struct store_put *o,
                          uint64_t n, struct err *e);
bool store_has_pattern(struct store *s, const char *key, uint64_t n);

#endif

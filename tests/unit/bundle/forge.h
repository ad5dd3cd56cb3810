/* Archives that no tar writes: headers made by hand, with right checksums. */
#ifndef TESTS_UNIT_BUNDLE_FORGE_H
#define TESTS_UNIT_BUNDLE_FORGE_H

#include <stdint.h>

#include "util/bytes.h"

struct forged {
    struct buf tar, sums;
};

struct forged_member {
    const char *name, *link;
    char type;        /* 0: '0', a regular file */
    uint32_t mode;    /* 0: 0600 */
    uint64_t claimed; /* size in the header; 0: that of the content */
    const char *content;
};

/* A header, the content and its padding; and its line of SHA256SUMS, which the name in
 * `listed` stands in for when it is not NULL. */
void forge_member(struct forged *f, const struct forged_member *m, const char *listed);

/* A pax header with one record for the member that follows; `n` bytes of value. */
void forge_pax(struct forged *f, const char *keyword, const void *value, size_t n);

/* The sums of all members so far. */
void forge_sums(struct forged *f);

/* The blocks that end a tar. */
void forge_end(struct forged *f);

void forge_clear(struct forged *f);
#define FORGED [[gnu::cleanup(forge_clear)]] struct forged

#endif

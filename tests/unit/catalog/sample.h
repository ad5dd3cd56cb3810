/* A log that is written in memory, signed with a key that is the same in every run, and
 * then harmed as the test wants. */
#ifndef TESTS_UNIT_CATALOG_SAMPLE_H
#define TESTS_UNIT_CATALOG_SAMPLE_H

#include "catalog/chain.h"

#define SAMPLE_REPO "00112233445566778899aabbccddeeff"
#define SAMPLE_CLUSTER "prod"
#define SAMPLE_EPOCH INT64_C(1800000000) /* 2027-01-15 */

/* A backup's record with everything in it, as number 1. The caller frees it. */
struct record *sample_backup(int64_t revision);

/* The key that signs, and a list that has it. `other` keys: who is not believed. */
const struct minisign_secret *sample_key(void);
const struct minisign_secret *sample_other_key(void);
const struct minisign_trust *sample_trust(void);

struct sample_entry {
    uint64_t sequence;
    struct buf record, signature;
};

struct sample_log {
    struct sample_entry *items;
    size_t count;
    struct record_link head;
    int64_t high_water, clock;
    const struct minisign_secret *key; /* NULL: unsigned */
};
void sample_log_begin(struct sample_log *l);
void sample_log_end(struct sample_log *l);
#define SAMPLE_LOG(l)                                   \
    AT_END(sample_log_end) struct sample_log l = { 0 }; \
    sample_log_begin(&l)

/* Each writes a record behind the head and returns its sequence. */
uint64_t sample_log_backup(struct sample_log *l);
uint64_t sample_log_tag(struct sample_log *l, uint64_t target, const char *tag);
/* The removal of these, up to a 0. */
uint64_t sample_log_prune(struct sample_log *l, const uint64_t *sequences);
/* Sets its place in the chain, and writes it; the record is freed. */
uint64_t sample_log_write(struct sample_log *l, struct record *r);
/* The same without moving the head. */
void sample_log_put(struct sample_log *l, struct record *r);

struct sample_entry *sample_log_find(struct sample_log *l, uint64_t sequence);
struct bytes sample_bytes(const struct buf *b);
/* Gone from the store, signature and all. */
void sample_log_lose(struct sample_log *l, uint64_t sequence);
/* Puts what another log has under that sequence in its place. */
void sample_log_swap(struct sample_log *l, uint64_t sequence, struct sample_log *from);

/* The chain of it, closed with these marks, checked with sample_trust() or none. The
 * caller frees it. */
struct chain *sample_chain(const struct sample_log *l, bool with_keys,
                           const struct chain_mark *marks, size_t count);

/* "code code code" of all findings, in order; errors only or all. */
const char *sample_codes(const struct chain *c, bool errors_only);

#endif

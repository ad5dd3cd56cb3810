/* Databases for the tests of mvcc: those that real etcd wrote, and invented ones. */
#ifndef TESTS_UNIT_MVCC_FIXTURE_H
#define TESTS_UNIT_MVCC_FIXTURE_H

#include "mvcc/facts.h"
#include "mvcc/survey.h"
#include "util/json.h"

enum { GOLDEN_COUNT = 4 };
extern const char *const golden_names[GOLDEN_COUNT]; /* "etcd-3.4" ... */

/* A file of tests/golden/NAME, unpacked when it ends in .zst. End with buf_clear. */
struct buf golden_read(const char *name, const char *file);
struct json *golden_json(const char *name, const char *file);

/* The bytes as an open database. */
enum rc image_open(struct bytes image, struct findings *f, struct bolt_file **out,
                   struct err *e);

/* One finding with this code, or NULL. */
const struct finding *findings_find(const struct findings *f, const char *code);
/* All of them, a line each; in a static buffer. */
const char *findings_text(const struct findings *f);

/* A bucket's pairs, in the order in which they are given. */
struct pairs {
    struct buf bytes; /* key size, value size, key, value ... */
    size_t count;
};
void pairs_add(struct pairs *p, struct bytes key, struct bytes value);
void pairs_text(struct pairs *p, const char *key, const char *value);
void pairs_clear(struct pairs *p);

/* All ten buckets in one; they are empty until pairs come. */
struct database {
    struct pairs buckets[MVCC_BUCKETS];
    bool without[MVCC_BUCKETS]; /* leave the bucket out */
};
void database_clear(struct database *db);
struct buf database_image(const struct database *db);

/* meta's usual content: consistent_index 7, term 2, and the marks unless negative. */
void database_meta(struct database *db, int64_t finished, int64_t scheduled);

/* A put or, with version 0, a tombstone in bucket key; mod is main. */
struct change {
    int64_t main, sub;
    const char *key;
    int64_t create, version, lease;
    const char *value;
};
void change_pair(const struct change *c, struct buf *key, struct buf *value);
void database_change(struct database *db, const struct change *c);

/* Survey of an image at level full, which must run. Both are the caller's to clear. */
void image_survey(struct bytes image, struct findings *f, struct mvcc_facts *facts);

#endif

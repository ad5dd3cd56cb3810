#include "tests/flow/hostile.h"

#include "boltdb/build.h"
#include "crypto/sha256.h"
#include "mvcc/schema.h"
#include "tests/forge/forge.h"
#include "tests/lib/case.h"
#include "tests/lib/image.h"
#include "util/mem.h"

enum { PAGE = 4096, TRAILER = 32, PAIRS_MAX = 2000 };

static void add(struct buf *b, const void *p, size_t n)
{
    struct err e = { 0 };

    OK(buf_add(b, p, n, &e), &e);
}

static void add_trailer(struct buf *b)
{
    OWNED(sha256) hash = NULL;
    uint8_t digest[SHA256_SIZE];
    struct err e = { 0 };

    OK(sha256_new(&hash, &e), &e);
    OK(sha256_add(hash, b->p, b->n, &e), &e);
    OK(sha256_end(hash, digest, &e), &e);
    add(b, digest, sizeof digest);
}

/* ---- no database, or not all of it (B1, B2, B20, B26)
 * ----------------------------------- */

static void nothing(struct image *db, struct buf *out)
{
    (void)db;
    (void)out;
}

static void one_byte(struct image *db, struct buf *out)
{
    add(out, db->p, 1);
}

static void one_page(struct image *db, struct buf *out)
{
    add(out, db->p, PAGE);
}

static void text(struct image *db, struct buf *out)
{
    (void)db;
    for (int i = 0; i < 1000; i++)
        add(out, "this is no database\n", 20);
}

static void half(struct image *db, struct buf *out)
{
    add(out, db->p, db->n / PAGE / 2 * PAGE);
    add_trailer(out);
}

static void last_page_gone(struct image *db, struct buf *out)
{
    add(out, db->p, db->n - TRAILER - PAGE);
    add_trailer(out);
}

/* In the middle of the first value of a leaf. */
static void flip_value(struct image *db)
{
    uint8_t *el = forge_element(db, forge_leaf(db), 0);

    el[le32(el + 4) + le32(el + 8) + le32(el + 12) / 2] ^= 1;
}

static void flipped_stale(struct image *db, struct buf *out)
{
    flip_value(db);
    add(out, db->p, db->n);
}

static void flipped_fixed(struct image *db, struct buf *out)
{
    flip_value(db);
    add(out, db->p, db->n - TRAILER);
    add_trailer(out);
}

static void raw(struct image *db, struct buf *out)
{
    add(out, db->p, db->n - TRAILER);
}

static const struct {
    const char *row, *name;
    void (*make)(struct image *db, struct buf *out);
    bool bad, restores;
} plain[] = {
    { "B1", "an empty file", nothing, true, false },
    { "B1", "one byte", one_byte, true, false },
    { "B1", "one page", one_page, true, false },
    { "B1", "text", text, true, false },
    { "B2", "half of the pages", half, true, false },
    { "B2", "without its last page", last_page_gone, true, false },
    { "B20", "a bit of a value, stale trailer", flipped_stale, true, true },
    { "B21", "a bit of a value, right trailer", flipped_fixed, false, true },
    { "B26", "a member's db file, no trailer", raw, true, true },
};
enum { PLAIN = sizeof plain / sizeof plain[0] };

/* ---- forged pages (B3 to B18)
 * ------------------------------------------------------------ */

static const struct {
    const char *first, *row; /* from this forgery on */
} rows[] = {
    { "meta page 0 bad", "B3" },
    { "page size 0", "B4" },
    { "high-water mark 2^50", "B5" },
    { "root 0", "B6" },
    { "child is itself", "B7" },
    { "child 2^40", "B8" },
    { "count 0xffff", "B9" },
    { "pos wraps", "B10" },
    { "overflow 2^32-1", "B11" },
    { "overflow shrunk", "B12" },
    { "overflow reaches over others", "B11" },
    { "wrong id", "B13" },
    { "stale page claims the rest", "B14" },
    { "free twice", "B15" },
    { "inline count", "B16" },
    { "bucket is the root", "B17" },
    { "keys swapped", "B18" },
};

static const char *row_of(unsigned index)
{
    const char *row = "B3";

    for (unsigned i = 0; i <= index; i++)
        for (size_t r = 0; r < sizeof rows / sizeof rows[0]; r++)
            if (strcmp(forgery_at(i)->name, rows[r].first) == 0)
                row = rows[r].row;
    return row;
}

static bool make_forgery(unsigned i, struct image *db, struct hostile *out)
{
    const struct forgery *f = forgery_at(i);

    if (f == NULL)
        return false;
    *out = (struct hostile){ .row = row_of(i),
                             .name = f->name,
                             .bad = f->severity == FINDING_ERROR,
                             .restores = f->severity != FINDING_ERROR };
    if (out->bad && strcmp(f->code, "open") != 0)
        out->code = f->code;
    (void)f->edit(db);
    add(&out->file, db->p, db->n / PAGE * PAGE);
    add_trailer(&out->file);
    return true;
}

/* ---- forged records (B19, B22 to B25)
 * ---------------------------------------------------- */

struct pair {
    unsigned bucket;
    struct bytes key, value;
};

/* All pairs of the database, for an edit, in order. */
struct pairs {
    struct pair all[PAIRS_MAX];
    unsigned count, buckets, keys_end; /* keys_end: behind the last record of "key" */
    struct bytes names[16];
};

static enum rc take_bucket(void *arg, struct bytes name, struct err *e)
{
    struct pairs *p = arg;

    (void)e;
    p->names[p->buckets++] = name;
    return RC_OK;
}

static enum rc take_pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                         struct err *e)
{
    struct pairs *p = arg;

    (void)page;
    (void)e;
    cr_assert_lt(p->count, PAIRS_MAX - 1);
    p->all[p->count++] = (struct pair){ p->buckets - 1, key, value };
    if (bytes_is(p->names[p->buckets - 1], "key"))
        p->keys_end = p->count;
    return RC_OK;
}

static void rebuild(const struct pairs *p, struct buf *out)
{
    const struct bolt_target target = image_target(out);
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) b = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &b, &e), &e);
    for (unsigned bucket = 0, i = 0; bucket < p->buckets; bucket++) {
        OK(bolt_builder_bucket(b, p->names[bucket], &e), &e);
        for (; i < p->count && p->all[i].bucket == bucket; i++)
            OK(bolt_builder_pair(b, p->all[i].key, p->all[i].value, &e), &e);
    }
    OK(bolt_builder_finish(b, &size, &e), &e);
    add_trailer(out);
}

static struct pair *find(struct pairs *p, const char *bucket, const char *key)
{
    for (unsigned i = 0; i < p->count; i++)
        if (bytes_is(p->names[p->all[i].bucket], bucket) &&
            (key == NULL || bytes_is(p->all[i].key, key)))
            return &p->all[i];
    return NULL;
}

/* The newest record of bucket key, at revision 56; keys as big-endian main, '_', sub. */
#define REV(main_0, main_7, sub_7) \
    main_0, 0, 0, 0, 0, 0, 0, main_7, '_', 0, 0, 0, 0, 0, 0, 0, sub_7

/* clang-format off */
static const uint8_t short_key[] = { 0, 0, 0, 0, 0, 0, 0, 57, '_', 0, 0, 0, 0, 0, 0, 0 };
static const uint8_t negative[] = { REV(0x80, 0, 0) };
static const uint8_t no_mark[] = { REV(0, 57, 0), 'x' };
static const uint8_t newer[] = { REV(0, 57, 0) };
static const uint8_t scheduled[] = { REV(0x10, 0, 0) };

/* KeyValue: 1 key, 2 create, 3 mod, 4 version, 5 value, 6 lease. */
static const uint8_t fine[] = { 10, 1, 'k', 16, 57, 24, 57, 32, 1, 42, 1, 'v' };
static const uint8_t varint_11[] = { 10, 1, 'k', 16, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 1, 24, 57, 32, 1 };
static const uint8_t too_long[] = { 10, 0x7f, 'k', 16, 57, 24, 57, 32, 1 };
static const uint8_t wrong_type[] = { 8, 1, 16, 57, 24, 57, 32, 1 };
static const uint8_t groups[] = { 10, 1, 'k', 0x0b, 0x0b, 0x0b, 0x0b, 16, 57, 24, 57 };
static const uint8_t other_mod[] = { 10, 1, 'k', 16, 56, 24, 56, 32, 1 };
static const uint8_t future[] = { 10, 1, 'k', 16, 58, 24, 57, 32, 1 };
static const uint8_t version_0[] = { 10, 1, 'k', 16, 57, 24, 57 };
static const uint8_t no_lease[] = { 10, 1, 'k', 16, 57, 24, 57, 32, 1, 48, 77 };
static const uint8_t three[] = { 1, 2, 3 };
static const uint8_t junk[] = { 0xff, 0xff, 0xff, 0xff };
/* clang-format on */

#define RAW(array)          \
    {                       \
        array, sizeof array \
    }
#define TEXT(literal)                                   \
    {                                                   \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

/* clang-format off */
/* Either a record after the last one, or another value for a key. */
static const struct {
    const char *row, *name, *bucket, *key; /* key NULL: the first pair of the bucket */
    struct bytes new_key, value;
    bool bad, restores;
} records[] = {
    { "B19", "revision of 16 bytes", NULL, NULL, RAW(short_key), RAW(fine), true, false },
    { "B19", "negative revision", NULL, NULL, RAW(negative), RAW(fine), true, false },
    { "B19", "tombstone mark x", NULL, NULL, RAW(no_mark), RAW(fine), true, false },
    { "B22", "varint of 11 bytes", NULL, NULL, RAW(newer), RAW(varint_11), true, false },
    { "B22", "length beyond the record", NULL, NULL, RAW(newer), RAW(too_long), true,
      false },
    { "B22", "key of the wrong type", NULL, NULL, RAW(newer), RAW(wrong_type), true,
      false },
    { "B22", "nested groups", NULL, NULL, RAW(newer), RAW(groups), true, false },
    { "B22", "mod_revision is another", NULL, NULL, RAW(newer), RAW(other_mod), true,
      false },
    { "B22", "created after it was modified", NULL, NULL, RAW(newer), RAW(future), true,
      false },
    { "B22", "version 0", NULL, NULL, RAW(newer), RAW(version_0), true, false },
    { "B22", "lease that does not exist", NULL, NULL, RAW(newer), RAW(no_lease), false,
      true },
    { "B23", "consistent_index of 3 bytes", "meta", "consistent_index", { 0 },
      RAW(three), true, true },
    { "B23", "storageVersion junk", "meta", "storageVersion", { 0 }, RAW(junk), false,
      false },
    { "B23", "confState junk", "meta", "confState", { 0 }, RAW(junk), true, true },
    { "B23", "compaction scheduled in the future", "meta", "scheduledCompactRev", { 0 },
      RAW(scheduled), false, true },
    { "B24", "member that is no JSON", "members", NULL, { 0 }, TEXT("{"), true, true },
    { "B24", "member with a key twice", "members", NULL, { 0 },
      TEXT("{\"id\":1,\"id\":2,\"peerURLs\":[\"http://a:1\"]}"), true, true },
};
/* clang-format on */
enum { RECORDS = sizeof records / sizeof records[0] };

static void make_record(unsigned i, struct image *db, struct hostile *out)
{
    struct pairs *p = mem_zero(sizeof *p);
    const struct bolt_visitor v = { p, take_bucket, take_pair };
    struct bolt_walk_result walked;
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };

    *out =
        (struct hostile){ records[i].row, records[i].name,     NULL,
                          records[i].bad, records[i].restores, { .cap_max = 1 << 24 } };
    OK(image_open(db->p, db->n, NULL, &file, &e), &e);
    OK(bolt_walk(file, &v, NULL, &walked, &e), &e);
    if (records[i].bucket != NULL) {
        struct pair *at = find(p, records[i].bucket, records[i].key);

        cr_assert_not_null(at, "%s", records[i].name);
        at->value = records[i].value;
    } else {
        unsigned at = p->keys_end;

        memmove(p->all + at + 1, p->all + at, (p->count - at) * sizeof p->all[0]);
        p->all[at] =
            (struct pair){ p->all[at - 1].bucket, records[i].new_key, records[i].value };
        p->count++;
    }
    rebuild(p, &out->file);
    mem_free(p);
}

bool hostile_make(unsigned i, struct hostile *out)
{
    OWNED_IMAGE db = golden_load("etcd-3.6");

    if (i < PLAIN) {
        *out = (struct hostile){ plain[i].row, plain[i].name,     NULL,
                                 plain[i].bad, plain[i].restores, { 0 } };
        plain[i].make(&db, &out->file);
        return true;
    }
    i -= PLAIN;
    if (i < RECORDS) {
        make_record(i, &db, out);
        return true;
    }
    return make_forgery(i - RECORDS, &db, out);
}

#include "tests/unit/defrag/model.h"

#include <stdio.h>

#include "boltdb/build.h"
#include "codec/pb.h"
#include "crypto/sha256.h"
#include "mvcc/schema.h"
#include "tests/lib/case.h"
#include "tests/lib/image.h"

/* splitmix64: the same numbers in every run. */
uint64_t model_random(uint64_t *seed, uint64_t below)
{
    uint64_t z = *seed += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return (z ^ z >> 31) % below;
}

/* ---- histories --------------------------------------------------------------------- */

static struct model_record *add(struct model *m, int64_t main, int64_t sub, unsigned key)
{
    struct model_record *r = &m->records[m->count++];

    cr_assert_leq(m->count, MODEL_RECORDS);
    *r = (struct model_record){ .main = main, .sub = sub, .key = key };
    return r;
}

struct life {
    int64_t create, version; /* version 0: it does not live */
};

static bool change(struct model *m, struct life *life, unsigned key, int64_t sub)
{
    struct model_record *r;

    if (life->version == 0 && model_random(&m->seed, 3) == 0)
        return false;
    r = add(m, m->revision + 1, sub, key);
    r->tombstone = life->version > 0 && model_random(&m->seed, 3) == 0;
    if (r->tombstone) {
        *life = (struct life){ 0 };
        return true;
    }
    if (life->version++ == 0)
        life->create = r->main;
    r->create = life->create;
    r->version = life->version;
    return true;
}

void model_make(struct model *m, uint64_t seed, unsigned steps)
{
    struct life lives[MODEL_KEYS] = { 0 };

    *m = (struct model){ .revision = 1, .finished = -1, .seed = seed };
    for (unsigned i = 0; i < steps; i++) {
        unsigned first = (unsigned)model_random(&m->seed, MODEL_KEYS);
        unsigned keys = 1 + (unsigned)model_random(&m->seed, 3);
        int64_t sub = 0;

        for (unsigned k = 0; k < keys; k++) {
            unsigned key = (first + k) % MODEL_KEYS;

            sub += change(m, &lives[key], key, sub);
        }
        m->revision += sub > 0;
    }
}

void model_make_wild(struct model *m, uint64_t seed, unsigned steps)
{
    *m = (struct model){ .revision = 1, .finished = -1, .seed = seed };
    for (unsigned i = 0; i < steps; i++) {
        unsigned changes = 1 + (unsigned)model_random(&m->seed, 3);

        m->revision++;
        for (unsigned k = 0; k < changes; k++) {
            unsigned key = (unsigned)model_random(&m->seed, MODEL_KEYS);

            add(m, m->revision, k, key)->tombstone = model_random(&m->seed, 3) == 0;
        }
    }
}

/* ---- the reference ----------------------------------------------------------------- */

/* Generations of one key: gens[g] holds records gens[g] .. in `revs`, in order. */
struct index {
    size_t revs[MODEL_RECORDS], first[MODEL_RECORDS + 1];
    size_t rev_count, gen_count; /* the last generation may be empty */
};

static bool last_is_empty(const struct index *x)
{
    return x->gen_count == 0 || x->first[x->gen_count - 1] == x->rev_count;
}

static void index_key(const struct model *m, unsigned key, struct index *x)
{
    *x = (struct index){ 0 };
    for (size_t i = 0; i < m->count; i++) {
        const struct model_record *r = &m->records[i];

        if (r->key != key || (r->tombstone && x->gen_count > 0 && last_is_empty(x)))
            continue;
        if (x->gen_count == 0)
            x->first[x->gen_count++] = 0;
        x->revs[x->rev_count++] = i;
        if (r->tombstone)
            x->first[x->gen_count++] = x->rev_count;
    }
    x->first[x->gen_count] = x->rev_count;
}

static size_t generation_at(const struct model *m, const struct index *x,
                            int64_t revision, bool drops)
{
    size_t g = 0;

    for (; g + 1 < x->gen_count; g++) {
        int64_t end = m->records[x->revs[x->first[g + 1] - 1]].main;

        if (drops ? end > revision : end >= revision)
            break;
    }
    return g;
}

void model_keep(const struct model *m, int64_t revision, bool drops,
                bool stays[static MODEL_RECORDS])
{
    static struct index x;

    for (size_t i = 0; i < m->count; i++)
        stays[i] = m->records[i].main > revision;
    for (unsigned key = 0; key < MODEL_KEYS; key++) {
        size_t g, newest = MODEL_RECORDS;

        index_key(m, key, &x);
        if (x.gen_count == 0)
            continue;
        g = generation_at(m, &x, revision, drops);
        for (size_t i = x.first[g]; i < x.first[g + 1]; i++)
            if (m->records[x.revs[i]].main <= revision)
                newest = x.revs[i];
        if (newest != MODEL_RECORDS)
            stays[newest] = true;
    }
}

void model_compact(struct model *m, int64_t revision, bool drops)
{
    bool stays[MODEL_RECORDS];
    size_t kept = 0;

    model_keep(m, revision, drops, stays);
    for (size_t i = 0; i < m->count; i++)
        if (stays[i])
            m->records[kept++] = m->records[i];
    m->count = kept;
    m->finished = revision;
}

/* ---- bytes ------------------------------------------------------------------------- */

static void put(struct buf *b, const void *p, size_t n)
{
    struct err e = { 0 };

    OK(buf_add(b, p, n, &e), &e);
}

static void put_number(struct buf *b, uint32_t field, int64_t value)
{
    struct err e = { 0 };

    if (value != 0)
        OK(pb_put_u64(b, field, (uint64_t)value, &e), &e);
}

void model_pair(const struct model *m, size_t i, struct buf *key, struct buf *value)
{
    const struct model_record *r = &m->records[i];
    uint8_t rev[MVCC_REV_SIZE];
    struct err e = { 0 };
    char text[64];

    mvcc_rev_write(rev, r->main, r->sub);
    put(key, rev, sizeof rev);
    snprintf(text, sizeof text, "/key/%u", r->key);
    OK(pb_put_bytes(value, 1, bytes_str(text), &e), &e);
    if (r->tombstone) {
        put(key, "t", 1);
        return;
    }
    put_number(value, 2, r->create);
    put_number(value, 3, r->main);
    put_number(value, 4, r->version);
    snprintf(text, sizeof text, "the value at %lld, %lld", (long long)r->main,
             (long long)r->sub);
    OK(pb_put_bytes(value, 5, bytes_str(text), &e), &e);
}

static void build_keys(const struct model *m, struct bolt_builder *b)
{
    struct err e = { 0 };

    for (size_t i = 0; i < m->count; i++) {
        AT_END(buf_clear) struct buf key = { 0 };
        AT_END(buf_clear) struct buf value = { 0 };

        model_pair(m, i, &key, &value);
        OK(bolt_builder_pair(b, (struct bytes){ key.p, key.n },
                             (struct bytes){ value.p, value.n }, &e),
           &e);
    }
}

static void build_meta(const struct model *m, struct bolt_builder *b)
{
    static const uint8_t seven[8] = { [7] = 7 };
    uint8_t rev[MVCC_REV_SIZE];
    struct err e = { 0 };

    OK(bolt_builder_pair(b, bytes_str("consistent_index"), BYTES_OF(seven), &e), &e);
    if (m->finished >= 0) {
        mvcc_rev_write(rev, m->finished, 0);
        OK(bolt_builder_pair(b, bytes_str(MVCC_FINISHED_COMPACT), BYTES_OF(rev), &e), &e);
        OK(bolt_builder_pair(b, bytes_str(MVCC_SCHEDULED_COMPACT), BYTES_OF(rev), &e),
           &e);
    }
    OK(bolt_builder_pair(b, bytes_str("term"), BYTES_OF(seven), &e), &e);
}

static void build_bucket(const struct model *m, struct bolt_builder *b,
                         enum mvcc_bucket bucket)
{
    struct err e = { 0 };

    if (bucket == MVCC_META) { /* in its place by name */
        OK(bolt_builder_bucket(b, bytes_str("members_zukunft"), &e), &e);
        OK(bolt_builder_pair(b, bytes_str("k"), bytes_str("v"), &e), &e);
    }
    OK(bolt_builder_bucket(b, bytes_str(mvcc_bucket_name(bucket)), &e), &e);
    if (bucket == MVCC_KEY)
        build_keys(m, b);
    if (bucket == MVCC_META)
        build_meta(m, b);
}

static void put_trailer(struct buf *b)
{
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) h = NULL;
    struct err e = { 0 };

    OK(sha256_new(&h, &e), &e);
    OK(sha256_add(h, b->p, b->n, &e), &e);
    OK(sha256_end(h, digest, &e), &e);
    put(b, digest, sizeof digest);
}

struct buf model_image(const struct model *m, bool trailer)
{
    struct buf image = { 0 };
    const struct bolt_target target = image_target(&image);
    const struct bolt_build_options loose = { .fill_percent = 30, .leaf_pages = 1 };
    OWNED(bolt_builder) b = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &loose, &b, &e), &e);
    for (enum mvcc_bucket bucket = 0; bucket < MVCC_BUCKETS; bucket++)
        build_bucket(m, b, bucket);
    OK(bolt_builder_finish(b, &size, &e), &e);
    if (trailer)
        put_trailer(&image);
    return image;
}

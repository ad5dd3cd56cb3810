#include "tests/unit/machine/kvmodel.h"

#include "codec/pb.h"
#include "tests/lib/case.h"
#include "util/mem.h"

unsigned model_below(struct model *m, unsigned n)
{
    return (unsigned)rand_r(&m->seed) % n;
}

struct model *model_new(unsigned seed)
{
    static const char long_key[5001] = { [0 ... 4999] = 'k' };
    const struct bytes keys[MODEL_KEYS] = {
        { (const uint8_t *)"\0", 1 },        { (const uint8_t *)"\0\0", 2 },
        { (const uint8_t *)"\0a", 2 },       { (const uint8_t *)"a", 1 },
        { (const uint8_t *)"a\0", 2 },       { (const uint8_t *)"aa", 2 },
        { (const uint8_t *)"b", 1 },         { (const uint8_t *)"b\0c", 3 },
        { (const uint8_t *)long_key, 127 },  { (const uint8_t *)long_key, 128 },
        { (const uint8_t *)long_key, 5000 }, { (const uint8_t *)"\x7f", 1 },
        { (const uint8_t *)"\xff", 1 },      { (const uint8_t *)"\xff\xff\xff", 3 },
    };
    struct model *m = mem_zero(sizeof *m);

    cr_assert_not_null(m);
    memcpy(m->keys, keys, sizeof keys);
    m->revision = 1;
    m->compacted = -1;
    m->seed = seed;
    return m;
}

const struct model_version *model_visible(const struct model *m, unsigned key,
                                          int64_t revision)
{
    for (size_t i = m->count; i-- > 0;) {
        const struct model_version *v = &m->versions[i];

        if (v->key == key && v->main <= revision)
            return v->tombstone ? NULL : v;
    }
    return NULL;
}

bool model_has(struct kvstore_span span, struct bytes key)
{
    if (span.end.n == 0)
        return bytes_compare(span.key, key) == 0;
    if (bytes_compare(key, span.key) < 0)
        return false;
    return (span.end.n == 1 && span.end.p[0] == 0) || bytes_compare(key, span.end) < 0;
}

static void add(struct model *m, struct model_version v)
{
    cr_assert_lt(m->count, MODEL_VERSIONS);
    m->versions[m->count++] = v;
}

void model_put(struct model *m, unsigned key, int64_t sub, size_t value, int64_t lease)
{
    const struct model_version *before = model_visible(m, key, INT64_MAX);
    int64_t main = m->revision + 1;

    add(m, (struct model_version){ .key = key,
                                   .main = main,
                                   .sub = sub,
                                   .create = before == NULL ? main : before->create,
                                   .version = before == NULL ? 1 : before->version + 1,
                                   .lease = lease,
                                   .value = value });
}

bool model_delete(struct model *m, unsigned key, int64_t sub)
{
    if (model_visible(m, key, INT64_MAX) == NULL)
        return false;
    add(m, (struct model_version){
               .key = key, .tombstone = true, .main = m->revision + 1, .sub = sub });
    return true;
}

/* Of each key its newest version up to the revision stays, unless it is a tombstone; by
 * the new rule also a tombstone of that very revision. */
static bool stays(const struct model *m, size_t i, int64_t revision)
{
    const struct model_version *v = &m->versions[i];

    if (v->main > revision)
        return true;
    for (size_t later = i + 1; later < m->count; later++)
        if (m->versions[later].key == v->key && m->versions[later].main <= revision)
            return false;
    return !v->tombstone || (v->main == revision && !m->drop_tombstone);
}

void model_compact(struct model *m, int64_t revision)
{
    size_t kept = 0;

    /* What is asked about lies at or behind i, and is not yet moved. */
    for (size_t i = 0; i < m->count; i++)
        if (stays(m, i, revision))
            m->versions[kept++] = m->versions[i];
    m->count = kept;
    m->compacted = revision;
}

static void add_number(struct buf *b, uint32_t field, int64_t v)
{
    struct err e = { 0 };

    if (v != 0)
        OK(pb_put_u64(b, field, (uint64_t)v, &e), &e);
}

void model_pair(const struct model *m, const struct model_version *v, struct buf *rev,
                struct buf *value)
{
    static uint8_t text[1 << 20];
    struct err e = { 0 };

    rev->n = value->n = 0;
    OK(buf_reserve(rev, MVCC_TOMBSTONE_SIZE, &e), &e);
    mvcc_rev_write(rev->p, v->main, v->sub);
    rev->p[MVCC_REV_SIZE] = 't';
    rev->n = v->tombstone ? MVCC_TOMBSTONE_SIZE : MVCC_REV_SIZE;
    if (m->keys[v->key].n > 0)
        OK(pb_put_bytes(value, 1, m->keys[v->key], &e), &e);
    if (v->tombstone)
        return;
    add_number(value, 2, v->create);
    add_number(value, 3, v->main);
    add_number(value, 4, v->version);
    memset(text, (int)(v->main & 0xff), v->value);
    if (v->value > 0)
        OK(pb_put_bytes(value, 5, (struct bytes){ text, v->value }, &e), &e);
    add_number(value, 6, v->lease);
}

struct pairs model_pairs(const struct model *m)
{
    AT_END(buf_clear) struct buf rev = { 0 };
    AT_END(buf_clear) struct buf value = { 0 };
    struct pairs pairs = { .bytes = { .cap_max = (size_t)1 << 31 } };

    for (size_t i = 0; i < m->count; i++) {
        model_pair(m, &m->versions[i], &rev, &value);
        pairs_add(&pairs, (struct bytes){ rev.p, rev.n },
                  (struct bytes){ value.p, value.n });
    }
    return pairs;
}

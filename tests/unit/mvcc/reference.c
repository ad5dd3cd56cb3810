#include "tests/unit/mvcc/reference.h"

#include "codec/crc32c.h"
#include "tests/lib/case.h"
#include "util/mem.h"

void reference_add(struct reference *r, struct bytes key, struct bytes value)
{
    struct reference_record *to = &r->records[r->count++];

    cr_assert_leq(r->count, REFERENCE_RECORDS);
    *to = (struct reference_record){
        .key = key,
        .value = value,
        .main = (int64_t)be64(key.p),
        .sub = (int64_t)be64(key.p + 9),
        .tombstone = key.n == 18,
    };
    /* Field 1 comes first; keys of the tests may be longer than 127 bytes. */
    if (value.n > 0) {
        size_t n = value.p[1] & 0x7f, at = 2;

        cr_assert_eq(value.p[0], 0x0a);
        if (value.p[1] >= 0x80)
            n |= (size_t)value.p[at++] << 7;
        to->user_key = (struct bytes){ value.p + at, n };
    }
}

enum { REVS_MAX = 512, GENERATIONS_MAX = 512 };

/* The records of one key, cut into generations: generation g is revs[from[g] .. from[g +
 * 1]), and the last one may be empty. */
struct index {
    size_t revs[REVS_MAX], count;
    size_t from[GENERATIONS_MAX + 1], generations;
};

static void index_build(const struct reference *r, struct bytes key, struct index *x)
{
    x->count = x->generations = 0;
    x->from[0] = 0;
    for (size_t i = 0; i < r->count; i++) {
        const struct reference_record *rec = &r->records[i];
        bool empty = x->count == x->from[x->generations];

        if (!bytes_equal(rec->user_key, key))
            continue;
        if (rec->tombstone && empty && x->generations > 0)
            continue; /* "ignored with a warning" */
        cr_assert_lt(x->count, REVS_MAX);
        x->revs[x->count++] = i;
        if (rec->tombstone)
            x->from[++x->generations] = x->count;
    }
    x->generations++; /* the last one, open or empty */
    x->from[x->generations] = x->count;
}

/* The record to keep at `revision`, or SIZE_MAX. */
static size_t index_keep(const struct reference *r, const struct index *x,
                         int64_t revision)
{
    size_t g = 0, found = SIZE_MAX;

    while (g + 1 < x->generations &&
           r->records[x->revs[x->from[g + 1] - 1]].main < revision)
        g++;
    for (size_t i = x->from[g]; i < x->from[g + 1]; i++)
        if (r->records[x->revs[i]].main <= revision)
            found = x->revs[i];
    if (g + 1 < x->generations && found == x->revs[x->from[g + 1] - 1])
        return SIZE_MAX;
    return found;
}

/* Marks what is kept; how many keys that is. */
static size_t keep_set(const struct reference *r, int64_t revision, bool *kept)
{
    struct index *x = mem_zero(sizeof *x);
    size_t count = 0;

    cr_assert_not_null(x);
    for (size_t i = 0; i < r->count; i++) {
        size_t keep;

        index_build(r, r->records[i].user_key, x);
        keep = index_keep(r, x, revision);
        if (keep == SIZE_MAX)
            continue;
        kept[keep] = true;
        count++;
    }
    mem_free(x);
    return count;
}

uint32_t reference_hashkv(const struct reference *r, int64_t revision)
{
    bool kept[REFERENCE_RECORDS] = { 0 };
    size_t count = keep_set(r, revision, kept);
    uint32_t h = crc32c_update(0, "key", 3);

    for (size_t i = 0; i < r->count; i++) {
        const struct reference_record *rec = &r->records[i];

        if (rec->main > revision)
            continue;
        if (rec->main <= r->compact && count > 0 && !kept[i])
            continue;
        if (rec->main == r->compact && rec->tombstone)
            continue;
        h = crc32c_update(h, rec->key.p, rec->key.n);
        h = crc32c_update(h, rec->value.p, rec->value.n);
    }
    return h;
}

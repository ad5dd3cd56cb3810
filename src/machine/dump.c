/* To a database file: the buckets as they are, with meta brought up to date. */
#include <stdio.h>

#include "machine/state.h"
#include "util/mem.h"

static enum rc dump_table(const struct table *t, struct bolt_builder *b, struct err *e)
{
    for (size_t i = 0; i < t->count; i++)
        TRY(bolt_builder_pair(b, t->rows[i].key, t->rows[i].value, e));
    return RC_OK;
}

static enum rc dump_record(void *arg, struct bytes rev, struct bytes value, struct err *e)
{
    return bolt_builder_pair(arg, rev, value, e);
}

/* ---- meta ---------------------------------------------------------------------------
 */

static void table_end(struct table *t)
{
    table_clear(t);
}

static enum rc set_u64(struct table *t, const char *key, uint64_t value, struct err *e)
{
    uint8_t text[8];

    put_be64(text, value);
    return table_put(t, bytes_str(key), BYTES_OF(text), NULL, e);
}

/* A mark that says the same already stays as it was written. */
static enum rc set_mark(struct table *t, const char *key, int64_t revision, struct err *e)
{
    const struct table_row *row = table_row(t, bytes_str(key));
    uint8_t text[MVCC_REV_SIZE];
    int64_t there;
    struct err why;

    if (row != NULL && mvcc_compact_rev_read(row->value, &there, &why) == RC_OK &&
        there == revision)
        return RC_OK;
    mvcc_rev_write(text, revision, 0);
    return table_put(t, bytes_str(key), BYTES_OF(text), NULL, e);
}

/* From 3.6 on the file names the oldest minor version that can read it, which follows
 * the cluster's. */
static enum rc set_storage_version(const struct machine *m, struct table *t,
                                   struct err *e)
{
    unsigned own = (unsigned)m->options.minor;
    struct mvcc_version v;
    char text[32];

    if (own < 6 || !m->version_decided)
        return RC_OK;
    TRY(mvcc_version_read(bytes_str(m->cluster_version), &v, e));
    if (v.major != 3 || v.minor < 6)
        return RC_OK;
    snprintf(text, sizeof text, "3.%u.0", v.minor < own ? v.minor : own);
    return table_put(t, bytes_str(MVCC_STORAGE_VERSION), bytes_str(text), NULL, e);
}

static enum rc meta_now(const struct machine *m, struct table *t, struct err *e)
{
    const struct table *stored = &m->buckets[MVCC_META];
    int64_t compacted = kvstore_compacted(m->kv);

    for (size_t i = 0; i < stored->count; i++)
        TRY(table_lend(t, stored->rows[i].key, stored->rows[i].value, NULL, e));
    if (m->moved && m->index != 0) {
        TRY(set_u64(t, MVCC_CONSISTENT_INDEX, m->index, e));
        if (m->options.minor >= 5)
            TRY(set_u64(t, MVCC_TERM, m->term, e));
    }
    if (compacted != MVCC_NEVER_COMPACTED) {
        TRY(set_mark(t, MVCC_FINISHED_COMPACT, compacted, e));
        TRY(set_mark(t, MVCC_SCHEDULED_COMPACT, compacted, e));
    }
    return set_storage_version(m, t, e);
}

static enum rc dump_meta(const struct machine *m, struct bolt_builder *b, struct err *e)
{
    AT_END(table_end) struct table meta = { 0 };

    TRY(meta_now(m, &meta, e));
    return dump_table(&meta, b, e);
}

/* ---- all ----------------------------------------------------------------------------
 */

static enum rc dump_known(const struct machine *m, enum mvcc_bucket bucket,
                          struct bolt_builder *b, struct err *e)
{
    TRY(bolt_builder_bucket(b, bytes_str(mvcc_bucket_name(bucket)), e));
    if (bucket == MVCC_KEY)
        return kvstore_dump(m->kv, dump_record, b, e);
    return bucket == MVCC_META ? dump_meta(m, b, e)
                               : dump_table(&m->buckets[bucket], b, e);
}

static enum rc dump_extras(const struct machine *m, size_t *next, const char *before,
                           struct bolt_builder *b, struct err *e)
{
    for (; *next < m->extra_count; (*next)++) {
        const struct extra *x = &m->extras[*next];

        if (before != NULL && bytes_compare(x->name, bytes_str(before)) > 0)
            return RC_OK;
        TRY(bolt_builder_bucket(b, x->name, e));
        TRY(dump_table(&x->pairs, b, e));
    }
    return RC_OK;
}

enum rc machine_dump(const struct machine *m, struct bolt_builder *b, struct err *e)
{
    size_t extra = 0;

    for (enum mvcc_bucket bucket = 0; bucket < MVCC_BUCKETS; bucket++) {
        TRY(dump_extras(m, &extra, mvcc_bucket_name(bucket), b, e));
        TRY(dump_known(m, bucket, b, e));
    }
    return dump_extras(m, &extra, NULL, b, e);
}

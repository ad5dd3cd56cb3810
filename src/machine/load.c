/* From a database file: every pair is kept as it is, and read for what it means. */
#include "boltdb/walk.h"
#include "machine/state.h"
#include "util/mem.h"

struct loading {
    struct machine *m;
    enum mvcc_bucket bucket; /* MVCC_BUCKETS: one of the extras, the last */
    int64_t finished, scheduled;
};

static enum rc extra_begin(struct machine *m, struct bytes name, struct err *e)
{
    struct extra *extras = mem_resize(m->extras, m->extra_count + 1, sizeof *extras);

    if (extras == NULL)
        return err_set(e, RC_NOMEM, "no memory for a bucket");
    m->extras = extras;
    extras[m->extra_count++] = (struct extra){ .name = name };
    return RC_OK;
}

static enum rc bucket_begin(void *arg, struct bytes name, struct err *e)
{
    struct loading *l = arg;

    l->bucket = mvcc_bucket_find(name);
    return l->bucket == MVCC_BUCKETS ? extra_begin(l->m, name, e) : RC_OK;
}

/* ---- buckets with single values -----------------------------------------------------
 */

static enum rc load_meta(struct loading *l, struct bytes key, struct bytes value,
                         struct err *e)
{
    if (bytes_is(key, MVCC_CONSISTENT_INDEX))
        return mvcc_u64_read(value, &l->m->index, e);
    if (bytes_is(key, MVCC_TERM))
        return mvcc_u64_read(value, &l->m->term, e);
    if (bytes_is(key, MVCC_FINISHED_COMPACT))
        return mvcc_compact_rev_read(value, &l->finished, e);
    if (bytes_is(key, MVCC_SCHEDULED_COMPACT))
        return mvcc_compact_rev_read(value, &l->scheduled, e);
    return RC_OK;
}

static enum rc load_auth(struct loading *l, struct bytes key, struct bytes value,
                         struct err *e)
{
    if (bytes_is(key, MVCC_AUTH_ENABLED))
        return mvcc_flag_read(value, &l->m->auth_enabled, e);
    if (bytes_is(key, MVCC_AUTH_REVISION))
        return mvcc_u64_read(value, &l->m->auth_revision, e);
    return RC_OK;
}

static enum rc load_cluster(struct loading *l, struct bytes key, struct bytes value,
                            struct err *e)
{
    struct mvcc_version v;
    char *text;

    if (!bytes_is(key, MVCC_CLUSTER_VERSION))
        return RC_OK;
    TRY(mvcc_version_read(value, &v, e));
    text = mem_str_n((const char *)value.p, value.n);
    if (text == NULL)
        return err_set(e, RC_NOMEM, "no memory for the cluster's version");
    mem_free(l->m->cluster_version);
    l->m->cluster_version = text;
    return RC_OK;
}

static enum rc lend(struct loading *l, struct bytes key, struct bytes value,
                    struct err *e)
{
    return table_lend(bucket_of(l->m, l->bucket), key, value, NULL, e);
}

static enum rc load_pair(struct loading *l, struct bytes key, struct bytes value,
                         struct err *e)
{
    struct mvcc_alarm alarm;

    switch (l->bucket) {
    case MVCC_KEY:
        return kvstore_load(l->m->kv, key, value, e);
    case MVCC_LEASE:
        return lease_load(l->m, key, value, e);
    case MVCC_AUTH_USERS:
        return user_load(l->m, key, value, e);
    case MVCC_AUTH_ROLES:
        return role_load(l->m, key, value, e);
    case MVCC_MEMBERS:
        return member_load(l->m, key, value, e);
    case MVCC_META:
        TRY(load_meta(l, key, value, e));
        break;
    case MVCC_AUTH:
        TRY(load_auth(l, key, value, e));
        break;
    case MVCC_CLUSTER:
        TRY(load_cluster(l, key, value, e));
        break;
    case MVCC_ALARM:
        TRY(mvcc_alarm_read(key, &alarm, e));
        break;
    case MVCC_MEMBERS_REMOVED:
        break;
    case MVCC_BUCKETS:
        return table_lend(&l->m->extras[l->m->extra_count - 1].pairs, key, value, NULL,
                          e);
    }
    return lend(l, key, value, e);
}

static enum rc pair(void *arg, struct bytes key, struct bytes value, uint64_t page,
                    struct err *e)
{
    struct loading *l = arg;

    (void)page;
    if (load_pair(l, key, value, e) != RC_OK)
        return err_wrap(e, "reading bucket '%s'",
                        l->bucket == MVCC_BUCKETS ? "unknown"
                                                  : mvcc_bucket_name(l->bucket));
    return RC_OK;
}

enum rc machine_load_from(struct machine *m, machine_feed *feed, void *arg, struct err *e)
{
    struct loading l = { .m = m,
                         .bucket = MVCC_BUCKETS,
                         .finished = MVCC_NEVER_COMPACTED,
                         .scheduled = MVCC_NEVER_COMPACTED };
    const struct bolt_visitor v = { .arg = &l, .bucket = bucket_begin, .pair = pair };

    TRY(feed(arg, &v, e));
    TRY(kvstore_load_end(m->kv, l.finished, l.scheduled, e));
    if (m->starved)
        return err_set(e, RC_NOMEM, "no memory for the keys of a lease");
    alarms_settle(m);
    return RC_OK;
}

static enum rc feed_file(void *arg, const struct bolt_visitor *to, struct err *e)
{
    const struct bolt_file *const *file = arg;
    struct bolt_walk_result walked;

    return bolt_walk(*file, to, NULL, &walked, e);
}

enum rc machine_load(struct machine *m, const struct bolt_file *file, struct err *e)
{
    TRY(machine_load_from(m, feed_file, &file, e));
    return bolt_file_intact(file, e);
}

#include "restore/rewrite.h"

#include <stdlib.h>
#include <string.h>

#include "util/mem.h"

/* A pair to be written into a bucket of ours, sorted in before the builder sees it. */
struct extra {
    const char *name;               /* a literal, or NULL */
    char text[MVCC_MEMBER_KEY_MAX]; /* the key when it is computed */
    struct buf value;
    bool written;
};

static struct bytes key_of(const struct extra *x)
{
    return bytes_str(x->name != NULL ? x->name : x->text);
}

enum { EXTRAS_MAX = RESTORE_MEMBERS_MAX + 4 };

struct restore_rewriter {
    struct restore_rewrite_plan plan;
    struct bolt_builder *to;  /* borrowed */
    int bucket;               /* enum mvcc_bucket being written, -1 before the first */
    struct restore_bump bump; /* decided when bucket key has passed */
    struct restore_dropped dropped;
    struct extra extras[EXTRAS_MAX];
    size_t extra_count;
};

static void drop_extras(struct restore_rewriter *r)
{
    for (size_t i = 0; i < r->extra_count; i++)
        buf_clear(&r->extras[i].value);
    r->extra_count = 0;
}

/* A new extra pair called `name`, or with a key that the caller writes into its text. */
static struct extra *add_extra(struct restore_rewriter *r, const char *name)
{
    struct extra *x = &r->extras[r->extra_count++];

    *x = (struct extra){ .name = name };
    return x;
}

static enum rc add_u64(struct restore_rewriter *r, const char *key, uint64_t value,
                       struct err *e)
{
    uint8_t bytes[8];

    put_be64(bytes, value);
    return buf_add(&add_extra(r, key)->value, bytes, sizeof bytes, e);
}

static enum rc add_members(struct restore_rewriter *r, struct err *e)
{
    for (size_t i = 0; i < r->plan.members->count; i++) {
        const struct restore_member *from = &r->plan.members->items[i];
        const struct mvcc_member m = { .id = from->id,
                                       .name = from->name,
                                       .peer_urls = from->peer_urls };
        struct extra *x = add_extra(r, NULL);

        mvcc_member_key_write(x->text, m.id);
        TRY(mvcc_member_write(&m, &x->value, e));
    }
    return RC_OK;
}

static enum rc add_conf_state(struct restore_rewriter *r, struct err *e)
{
    uint64_t ids[RESTORE_MEMBERS_MAX];
    const struct mvcc_conf_state conf = { .voters = { .items = ids,
                                                      .count = r->plan.members->count } };

    for (size_t i = 0; i < conf.voters.count; i++)
        ids[i] = r->plan.members->items[i].id;
    return mvcc_conf_state_write(&conf, &add_extra(r, MVCC_CONF_STATE)->value, e);
}

static enum rc add_scheduled_compaction(struct restore_rewriter *r, struct err *e)
{
    uint8_t rev[MVCC_REV_SIZE];

    mvcc_rev_write(rev, r->bump.revision, 0);
    return buf_add(&add_extra(r, MVCC_SCHEDULED_COMPACT)->value, rev, sizeof rev, e);
}

static bool for_34(const struct restore_rewriter *r)
{
    return r->plan.target.minor == 4;
}

static enum rc add_meta(struct restore_rewriter *r, struct err *e)
{
    TRY(add_u64(r, MVCC_CONSISTENT_INDEX, r->plan.index, e));
    if (!for_34(r)) {
        TRY(add_u64(r, MVCC_TERM, 1, e));
        TRY(add_conf_state(r, e));
    }
    return r->bump.mark_compacted ? add_scheduled_compaction(r, e) : RC_OK;
}

static int by_key(const void *a, const void *b)
{
    return bytes_compare(key_of(a), key_of(b));
}

static enum rc prepare_extras(struct restore_rewriter *r, int bucket, struct err *e)
{
    drop_extras(r);
    if (bucket == MVCC_MEMBERS)
        TRY(add_members(r, e));
    else if (bucket == MVCC_META)
        TRY(add_meta(r, e));
    qsort(r->extras, r->extra_count, sizeof *r->extras, by_key);
    return RC_OK;
}

/* Writes the extra pairs that sort before `key` (all that are left when it is NULL). An
 * extra with the same key replaces the source's pair. */
static enum rc write_extras(struct restore_rewriter *r, const struct bytes *key,
                            bool *replaced, struct err *e)
{
    *replaced = false;
    for (size_t i = 0; i < r->extra_count; i++) {
        struct extra *x = &r->extras[i];
        int order = key == NULL ? -1 : bytes_compare(key_of(x), *key);

        *replaced |= order == 0;
        if (x->written || order > 0)
            continue;
        x->written = true;
        TRY(bolt_builder_pair(r->to, key_of(x), (struct bytes){ x->value.p, x->value.n },
                              e));
    }
    return RC_OK;
}

/* The empty record that raises the revision; it sorts after every other. */
static enum rc write_bump(struct restore_rewriter *r, struct err *e)
{
    uint8_t rev[MVCC_REV_SIZE];

    TRY(restore_bump_decide(&r->plan.bump, &r->bump, e));
    if (r->bump.by == 0)
        return RC_OK;
    mvcc_rev_write(rev, r->bump.revision, 0);
    return bolt_builder_pair(r->to, BYTES_OF(rev), (struct bytes){ 0 }, e);
}

static enum rc end_bucket(struct restore_rewriter *r, struct err *e)
{
    bool ignored;

    TRY(write_extras(r, NULL, &ignored, e));
    return r->bucket == MVCC_KEY ? write_bump(r, e) : RC_OK;
}

static enum rc begin_bucket(struct restore_rewriter *r, int bucket, struct err *e)
{
    if (r->bucket >= 0)
        TRY(end_bucket(r, e));
    r->bucket = bucket;
    TRY(bolt_builder_bucket(r->to, bytes_str(mvcc_bucket_name((enum mvcc_bucket)bucket)),
                            e));
    return prepare_extras(r, bucket, e);
}

/* Begins every etcd bucket up to and including `upto`: all ten are made, if empty. */
static enum rc begin_up_to(struct restore_rewriter *r, int upto, struct err *e)
{
    while (r->bucket < upto)
        TRY(begin_bucket(r, r->bucket + 1, e));
    return RC_OK;
}

/* Does bucket number i sort before `name`? */
static bool sorts_before(int i, struct bytes name)
{
    return bytes_compare(bytes_str(mvcc_bucket_name((enum mvcc_bucket)i)), name) < 0;
}

enum rc restore_rewriter_new(const struct restore_rewrite_plan *plan,
                             struct bolt_builder *to, struct restore_rewriter **out,
                             struct err *e)
{
    struct restore_rewriter *r = NULL;

    TRY(mem_new(&r, sizeof *r, "the rewriter", e));
    r->plan = *plan;
    r->to = to;
    r->bucket = -1;
    *out = r;
    return RC_OK;
}

void restore_rewriter_free(struct restore_rewriter *r)
{
    if (r == NULL)
        return;
    drop_extras(r);
    mem_free(r);
}

enum rc restore_rewriter_bucket(struct restore_rewriter *r, struct bytes name,
                                struct err *e)
{
    enum mvcc_bucket known = mvcc_bucket_find(name);
    int last_before = -1;

    if (known != MVCC_BUCKETS)
        return begin_up_to(r, (int)known, e);
    /* etcd 3.4 to 3.7 make no other buckets; a later one's is carried over as it is. */
    for (int i = 0; i < MVCC_BUCKETS && sorts_before(i, name); i++)
        last_before = i;
    TRY(begin_up_to(r, last_before, e));
    TRY(end_bucket(r, e));
    drop_extras(r);
    return bolt_builder_bucket(r->to, name, e);
}

static bool is_emptied(int bucket)
{
    return bucket == MVCC_ALARM || bucket == MVCC_MEMBERS ||
           bucket == MVCC_MEMBERS_REMOVED;
}

/* 3.6 and later panic when they are older than the version that the cluster had agreed
 * on; without one the new members agree anew. */
static bool is_too_new(const struct restore_rewriter *r, struct bytes version)
{
    struct mvcc_version v;
    struct err ignored;

    return r->plan.target.minor != 0 &&
           (mvcc_version_read(version, &v, &ignored) != RC_OK ||
            v.minor > r->plan.target.minor);
}

static bool is_dropped(const struct restore_rewriter *r, struct bytes key,
                       struct bytes value)
{
    if (is_emptied(r->bucket))
        return true;
    if (r->bucket == MVCC_CLUSTER)
        return bytes_is(key, MVCC_DOWNGRADE) ||
               (bytes_is(key, MVCC_CLUSTER_VERSION) && is_too_new(r, value));
    if (r->bucket != MVCC_META)
        return false;
    /* 3.6 and later derive it again from the presence of `term`, and migrate. */
    if (bytes_is(key, MVCC_STORAGE_VERSION))
        return r->plan.target.minor != 0;
    return for_34(r) && (bytes_is(key, MVCC_TERM) || bytes_is(key, MVCC_CONF_STATE));
}

static void count_dropped(struct restore_rewriter *r, struct bytes key,
                          struct bytes value)
{
    AT_END(mvcc_member_clear) struct mvcc_member m = { 0 };
    struct err ignored;

    r->dropped.alarms += r->bucket == MVCC_ALARM;
    r->dropped.members += r->bucket == MVCC_MEMBERS;
    r->dropped.downgrade |= r->bucket == MVCC_CLUSTER && bytes_is(key, MVCC_DOWNGRADE);
    if (r->bucket == MVCC_MEMBERS && mvcc_member_read(key, value, &m, &ignored) == RC_OK)
        r->dropped.learners += m.learner;
}

/* Completes what the decision about the bump needs. */
static enum rc note_record(struct restore_rewriter *r, struct bytes key,
                           struct bytes value, struct err *e)
{
    struct restore_bump_input *in = &r->plan.bump;
    struct mvcc_rev rev;
    struct mvcc_kv kv;

    TRY(mvcc_rev_read(key, &rev, e));
    if (rev.main > in->last_revision)
        in->last_revision = rev.main;
    if (in->kubernetes || value.n == 0)
        return RC_OK;
    TRY(mvcc_kv_read(value, &kv, e));
    in->kubernetes = bytes_starts(kv.key, "/registry/");
    return RC_OK;
}

enum rc restore_rewriter_pair(struct restore_rewriter *r, struct bytes key,
                              struct bytes value, struct err *e)
{
    bool replaced = false;

    if (is_dropped(r, key, value)) {
        count_dropped(r, key, value);
        return RC_OK;
    }
    if (r->bucket == MVCC_KEY)
        TRY(note_record(r, key, value, e));
    if (r->extra_count > 0)
        TRY(write_extras(r, &key, &replaced, e));
    return replaced ? RC_OK : bolt_builder_pair(r->to, key, value, e);
}

enum rc restore_rewriter_finish(struct restore_rewriter *r, uint64_t *size, struct err *e)
{
    TRY(begin_up_to(r, MVCC_BUCKETS - 1, e));
    TRY(end_bucket(r, e));
    return bolt_builder_finish(r->to, size, e);
}

const struct restore_bump *restore_rewriter_bump(const struct restore_rewriter *r)
{
    return &r->bump;
}

const struct restore_dropped *restore_rewriter_dropped(const struct restore_rewriter *r)
{
    return &r->dropped;
}

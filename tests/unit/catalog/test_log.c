#include "catalog/log.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "sample.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "trouble.h"

static struct chain *read_log(struct store *s)
{
    struct chain *c = NULL;
    struct err e = { 0 };

    OK(log_read(s, SAMPLE_REPO, SAMPLE_CLUSTER, sample_trust(), &c, &e), &e);
    OK(chain_close(c, NULL, 0, &e), &e);
    return c;
}

/* The object that it speaks of is stored before it. */
static enum rc add(struct store *s, struct record *r, const struct log_fence *fence,
                   struct record_link *at, struct err *e)
{
    TRY(record_object_new(SAMPLE_CLUSTER, "snapshot.db", r->backup->object_key, e));
    TRY(store_put_bytes(s, r->backup->object_key, NULL, bytes_str("database"), e));
    return log_append_anyhow(&(struct log_writer){ .store = s,
                                                   .repo = SAMPLE_REPO,
                                                   .cluster = SAMPLE_CLUSTER,
                                                   .trust = sample_trust(),
                                                   .key = sample_key(),
                                                   .fence = fence },
                             r, at, e);
}

static enum rc add_backup_with(struct store *s, const struct log_fence *fence,
                               struct record_link *at, struct err *e)
{
    OWNED(record) r = sample_backup(10);

    return add(s, r, fence, at, e);
}

static enum rc add_backup(struct store *s, struct err *e)
{
    struct record_link at;

    return add_backup_with(s, NULL, &at, e);
}

static struct store *with_backups(int n)
{
    struct store *s = memory_store();
    struct err e = { 0 };

    while (n-- > 0)
        OK(add_backup(s, &e), &e);
    return s;
}

CASE(catalog_log, what_is_added_is_read)
{
    OWNED(store) s = with_backups(3);
    OWNED(chain) c = read_log(s);

    cr_assert_str_eq(sample_codes(c, false), "unknown-head");
    cr_assert_eq(c->head.sequence, 3);
    cr_assert_eq(c->items[2].record->previous.sequence, 2);
    cr_assert_eq(c->items[2].record->high_water, 10);
    cr_assert_gt(c->items[2].record->created, INT64_C(1700000000));
    cr_assert_eq(c->items[2].state, CHAIN_GOOD);
}

CASE(catalog_log, a_reader_of_one_record_gets_its_signature_too)
{
    AT_END(log_record_clear) struct log_record r = { 0 };
    OWNED(store) s = with_backups(1);
    const struct minisign_public *by = NULL;
    char comment[MINISIGN_COMMENT_MAX + 1];
    struct err e = { 0 };

    OK(log_read_one(s, SAMPLE_CLUSTER, 1, &r, &e), &e);
    OK(minisign_verify(sample_trust(), sample_bytes(&r.record),
                       sample_bytes(&r.signature), &by, comment, &e),
       &e);
    cr_assert_str_eq(comment, "holdfast backup, record 1 of prod");
    log_record_clear(&r);
    cr_assert_eq(log_read_one(s, SAMPLE_CLUSTER, 2, &r, &e), RC_NOTFOUND);
}

static struct store *directory_store(const char *dir)
{
    struct store *s = NULL;
    struct err e = { 0 };

    OK(store_open(&(struct store_options){ .url = dir, .allow_same_filesystem = true },
                  &s, &e),
       &e);
    return s;
}

CASE(catalog_log, a_revision_that_somebody_has_seen_is_kept)
{
    OWNED(store) s = with_backups(1);
    OWNED(record) r = sample_backup(20);
    struct record_link at;
    struct err e = { 0 };

    r->high_water = 99;
    OK(add(s, r, NULL, &at, &e), &e);
    OK(add_backup(s, &e), &e);
    OWNED(chain) c = read_log(s);

    cr_assert_eq(chain_find(c, 2)->record->high_water, 99);
    cr_assert_eq(chain_find(c, 3)->record->high_water, 99);
}

/* As somebody does who has lost Holdfast, but not the store. */
CASE(catalog_log, minisign_checks_a_record_in_a_directory)
{
    const char *dir = tmpdir_new();
    char public[MINISIGN_PUBLIC_SIZE], listing[256];
    struct minisign_public k = minisign_public_of(sample_key());
    OWNED(store) s = directory_store(dir);
    struct err e = { 0 };
    FILE *f = fopen(path_in(dir, "k.pub"), "w");

    minisign_public_text(&k, public);
    cr_assert(f != NULL && fputs(public, f) >= 0 && fclose(f) == 0);
    OK(add_backup(s, &e), &e);
    snprintf(listing, sizeof listing, "%s", dir_listing(path_in(dir, "prod/records")));
    RUN(check, "sh", "-c",
        "cd \"$1\"/prod/records && minisign -V -p ../../k.pub -m 000000000001.json -x "
        "000000000001.*.minisig",
        "sh", dir);
    cr_assert_eq(check.status, 0, "%s in %s", check.err, listing);
}

/* ---- with an index --------------------------------------------------------------------
 */

static struct chain *read_known(struct store *s, struct index *x)
{
    struct chain *c = NULL;
    struct err e = { 0 };

    OK(log_read_known(s, SAMPLE_REPO, SAMPLE_CLUSTER, sample_trust(), x, &c, &e), &e);
    OK(chain_close(c, NULL, 0, &e), &e);
    return c;
}

static void remember(struct index *x, struct store *s, uint64_t sequence)
{
    AT_END(log_record_clear) struct log_record r = { 0 };
    struct index_record row = { .sequence = sequence };
    struct err e = { 0 };

    OK(log_read_one(s, SAMPLE_CLUSTER, sequence, &r, &e), &e);
    row.record = sample_bytes(&r.record);
    row.signature = sample_bytes(&r.signature);
    OK(index_put(x, SAMPLE_REPO, SAMPLE_CLUSTER, &row, &e), &e);
}

static struct index *index_of(struct store *s, uint64_t records)
{
    struct index *x = NULL;
    struct err e = { 0 };

    OK(index_open(tmpdir_new(), &x, &e), &e);
    for (uint64_t i = 1; i <= records; i++)
        remember(x, s, i);
    return x;
}

CASE(catalog_log, what_the_index_has_is_not_fetched_again)
{
    OWNED(store) inner = with_backups(5);
    OWNED(index) x = index_of(inner, 4);
    struct trouble t = { .kind = TROUBLE_NONE };
    OWNED(store) s = trouble_store(inner, &t);
    OWNED(chain) c = read_known(s, x);
    OWNED(chain) all = read_log(inner);

    cr_assert_eq(t.gets, 2, "the fifth and its signature");
    cr_assert_str_eq(sample_codes(c, false), "unknown-head");
    cr_assert(record_link_equal(&c->head, &all->head) && c->count == 5);
}

/* Gone, without its signature, or another one: the index does not hide it. */
CASE(catalog_log, what_the_store_lacks_the_index_does_not_make_up_for)
{
    OWNED(store) s = with_backups(4);
    OWNED(index) x = index_of(s, 4);
    char key[RECORD_KEY_SIZE];
    struct err e = { 0 };

    record_key(SAMPLE_CLUSTER, 2, key);
    OK(store_remove(s, key, &e), &e);
    OWNED(chain) c = read_known(s, x);

    cr_assert_str_eq(sample_codes(c, true), "log-missing");
    record_signature_key(SAMPLE_CLUSTER, &chain_find(c, 4)->at, key);
    OK(store_remove(s, key, &e), &e);
    OWNED(chain) bare = read_known(s, x);

    cr_assert_str_eq(chain_find(bare, 4)->why, "unsigned");
}

CASE(catalog_log, what_the_index_has_of_another_log_is_not_taken)
{
    OWNED(store) s = with_backups(3);
    OWNED(store) other = with_backups(3);
    OWNED(index) x = index_of(other, 3);
    OWNED(chain) c = read_known(s, x);
    OWNED(chain) all = read_log(s);

    cr_assert(record_link_equal(&c->head, &all->head));
    cr_assert_str_eq(sample_codes(c, false), "unknown-head");
}

CASE(catalog_log, nothing_is_added_to_a_log_that_was_rolled_back)
{
    OWNED(store) s = with_backups(2);
    OWNED(index) x = index_of(s, 2);
    OWNED(chain) c = read_log(s);
    OWNED(record) r = sample_backup(30);
    struct chain_mark mark = chain_mark_of(c, "test");
    struct log_writer w = { .store = s,
                            .repo = SAMPLE_REPO,
                            .cluster = SAMPLE_CLUSTER,
                            .trust = sample_trust(),
                            .key = sample_key(),
                            .known = x };
    struct record_link at;
    char key[RECORD_KEY_SIZE];
    struct err e = { 0 };

    OK(index_raise(x, SAMPLE_REPO, SAMPLE_CLUSTER, &mark, &e), &e);
    record_key(SAMPLE_CLUSTER, 2, key);
    OK(store_remove(s, key, &e), &e);
    cr_assert_eq(log_append_anyhow(&w, r, &at, &e), RC_CORRUPT);
    cr_assert_not_null(strstr(e.why, "this host's index remembers record 2"), "%s",
                       e.why);
}

/* ---- two at once ----------------------------------------------------------------------
 */

struct rival {
    struct store *s; /* without trouble */
    int left;
};

/* Another writer takes the number just before the record is put. */
static void rival_writes(void *arg, const char *key)
{
    struct rival *r = arg;
    struct err e = { 0 };

    if (r->left > 0 && strstr(key, ".json") != NULL) {
        r->left--;
        OK(add_backup(r->s, &e), &e);
    }
}

CASE(catalog_log, of_two_writers_one_number_each)
{
    OWNED(store) inner = with_backups(1);
    struct rival rival = { inner, 3 };
    struct trouble t = { .meanwhile = rival_writes, .arg = &rival };
    OWNED(store) s = trouble_store(inner, &t);
    struct record_link at;
    struct err e = { 0 };

    OK(add_backup_with(s, NULL, &at, &e), &e);
    OWNED(chain) c = read_log(inner);

    cr_assert_eq(at.sequence, 5);
    cr_assert_str_eq(sample_codes(c, false), "unknown-head");
    cr_assert(record_link_equal(&c->head, &at));
}

CASE(catalog_log, a_decision_that_was_overtaken_is_not_written)
{
    OWNED(store) inner = with_backups(2);
    struct rival rival = { inner, 1 };
    struct trouble t = { .meanwhile = rival_writes, .arg = &rival };
    OWNED(store) s = trouble_store(inner, &t);
    OWNED(chain) c = read_log(s);
    OWNED(record) prune = sample_backup(1);
    struct record_link at;
    struct err e = { 0 };

    manifest_free(prune->backup);
    prune->backup = NULL;
    prune->kind = RECORD_PRUNE;
    OK(chain_remove(c, 1, prune, &e), &e);
    cr_assert_eq(log_append(s, c, sample_key(), NULL, prune, &at, &e), RC_LOCKED);
    cr_assert_str_eq(e.why, "somebody else wrote record 3 of 'prod' meanwhile");
    OWNED(chain) now = read_log(inner);

    cr_assert_str_eq(sample_codes(now, false), "unknown-head");
    cr_assert_eq(now->head.sequence, 3);
    cr_assert_null(strstr(store_listing(inner, "prod/records/"),
                          ".json prod/records/000000000003.json"));
    cr_assert_eq(now->count, 3);
}

static enum rc lost_lock(void *arg, struct err *e)
{
    ++*(int *)arg;
    return err_set(e, RC_LOCKED, "the lock was lost");
}

CASE(catalog_log, who_lost_the_lock_writes_no_record)
{
    OWNED(store) s = with_backups(1);
    struct record_link at;
    int asked = 0;
    struct log_fence fence = { lost_lock, &asked };
    struct err e = { 0 };

    cr_assert_eq(add_backup_with(s, &fence, &at, &e), RC_LOCKED);
    cr_assert_str_eq(e.why, "the lock was lost");
    cr_assert_eq(asked, 1, "a lost lock is not asked again and again");
    OWNED(chain) c = read_log(s);

    cr_assert_eq(c->head.sequence, 1);
}

/* Whatever change is the last one: the log is whole, and the next run goes on. */
CASE(catalog_log, a_kill_at_any_change_leaves_a_whole_log)
{
    bool finished = false;

    for (unsigned nth = 1; !finished; nth++) {
        OWNED(store) inner = with_backups(2);
        struct trouble t = { .kind = TROUBLE_DEAD, .nth = nth };
        OWNED(store) s = trouble_store(inner, &t);
        struct err e = { 0 };

        finished = add_backup(s, &e) == RC_OK;
        OWNED(chain) c = read_log(inner);

        cr_assert_str_eq(sample_codes(c, false), "unknown-head", "change %u", nth);
        cr_assert_eq(c->head.sequence, finished ? 3 : 2, "change %u", nth);
        OK(add_backup(inner, &e), &e);
        OWNED(chain) next = read_log(inner);

        cr_assert_str_eq(sample_codes(next, false), "unknown-head", "change %u", nth);
        cr_assert_eq(next->head.sequence, finished ? 4 : 3);
        cr_assert(nth < 10);
    }
}

/* An answer that is lost is told as such, and the log is whole. */
CASE(catalog_log, a_lost_answer_leaves_a_whole_log)
{
    static const enum trouble_kind kinds[] = { TROUBLE_BEFORE, TROUBLE_AFTER };

    for (size_t i = 0; i < 2; i++)
        for (unsigned nth = 1; nth <= 3; nth++) {
            OWNED(store) inner = with_backups(2);
            struct trouble t = { .kind = kinds[i], .nth = nth };
            OWNED(store) s = trouble_store(inner, &t);
            struct err e = { 0 };

            cr_assert_eq(add_backup(s, &e), RC_NET);
            OWNED(chain) c = read_log(inner);

            cr_assert_str_eq(sample_codes(c, false), "unknown-head");
            cr_assert_eq(c->head.sequence, nth == 3 && kinds[i] == TROUBLE_AFTER ? 3 : 2);
        }
}

CASE(catalog_log, junk_in_the_place_is_passed_over)
{
    AT_END(log_record_clear) struct log_record one = { 0 };
    OWNED(store) s = with_backups(2);
    struct err e = { 0 };
    AT_END(mem_end) char *large = mem_zero(RECORD_MAX + 2);

    memset(large, 'x', RECORD_MAX + 1);
    OK(store_put_bytes(s, "prod/records/readme.txt", NULL, bytes_str("?"), &e), &e);
    OK(store_put_bytes(s, "prod/records/000000000003.json", NULL, bytes_str(large), &e),
       &e);
    OK(store_put_bytes(s, "prod/records/000000000004.json", NULL, bytes_str("{}"), &e),
       &e);
    OWNED(chain) c = read_log(s);

    cr_assert_str_eq(sample_codes(c, false), "log-stray log-stray unknown-head");
    cr_assert_eq(c->next, 5);
    OK(log_read_one(s, SAMPLE_CLUSTER, 3, &one, &e), &e);
    cr_assert_eq(one.record.n, 0);
    OK(add_backup(s, &e), &e);
    OWNED(chain) after = read_log(s);

    cr_assert_str_eq(sample_codes(after, true), "");
    cr_assert_eq(after->head.sequence, 5);
}

/* Prunes the first of three, and stops at the nth change. */
static enum rc prune_first(struct store *s, struct err *e)
{
    OWNED(chain) c = read_log(s);
    OWNED(record) r = sample_backup(1);
    struct record_link at;

    manifest_free(r->backup);
    r->backup = NULL;
    r->kind = RECORD_PRUNE;
    TRY(chain_remove(c, 1, r, e));
    return log_append(s, c, sample_key(), NULL, r, &at, e);
}

static enum rc sweep_all(struct store *s, struct err *e)
{
    OWNED(chain) c = NULL;

    TRY(log_read(s, SAMPLE_REPO, SAMPLE_CLUSTER, sample_trust(), &c, e));
    TRY(chain_close(c, NULL, 0, e));
    for (size_t i = 0; i < c->count; i++)
        if (c->items[i].state == CHAIN_REMOVED)
            TRY(log_sweep(s, c, &c->items[i], e));
    return RC_OK;
}

/* At any moment what the log calls a backup has its object. */
static void assert_objects(struct store *s, const struct chain *c)
{
    for (size_t i = 0; i < c->count; i++) {
        struct store_info info;
        struct err e = { 0 };

        if (chain_is_backup(&c->items[i]))
            OK(store_stat(s, c->items[i].record->backup->object_key, &info, &e), &e);
    }
}

CASE(catalog_log, a_kill_in_a_sweep_is_ended_by_the_next)
{
    bool finished = false;
    unsigned nth = 1;

    for (; !finished; nth++) {
        OWNED(store) inner = with_backups(3);
        struct trouble t = { .kind = TROUBLE_NONE };
        OWNED(store) s = trouble_store(inner, &t);
        struct err e = { 0 };

        OK(prune_first(s, &e), &e);
        t = (struct trouble){ .kind = TROUBLE_DEAD, .nth = nth };
        finished = sweep_all(s, &e) == RC_OK;
        OWNED(chain) c = read_log(inner);

        cr_assert_eq(c->findings.errors, 0, "change %u: %s", nth, sample_codes(c, true));
        assert_objects(inner, c);
        OK(sweep_all(inner, &e), &e);
        OWNED(chain) after = read_log(inner);

        assert_objects(inner, after);
        cr_assert_str_eq(sample_codes(after, false), "unknown-head");
        cr_assert_null(strstr(store_listing(inner, "prod/records/"),
                              "prod/records/000000000001.json"));
    }
    cr_assert_eq(nth, 5, "three changes");
}

CASE(catalog_log, what_was_not_removed_is_not_swept)
{
    OWNED(store) s = with_backups(1);
    OWNED(chain) c = read_log(s);
    struct err e = { 0 };

    cr_assert_eq(log_sweep(s, c, &c->items[0], &e), RC_INTERNAL);
}

/* With the nth call failing; false when none did. */
static bool add_with_fault(struct store *s, enum fault_point point, unsigned nth)
{
    OWNED(record) r = sample_backup(10);
    struct record_link at;
    struct err e = { 0 };
    bool fired;
    enum rc rc;

    fault_arm(point, nth, EIO);
    rc = add(s, r, NULL, &at, &e);
    fired = fault_disarm();
    OWNED(chain) c = read_log(s);

    cr_assert_str_eq(sample_codes(c, false), "unknown-head", "point %d, call %u", point,
                     nth);
    cr_assert(rc != RC_OK || c->head.sequence == 1, "point %d, call %u", point, nth);
    assert_objects(s, c);
    return fired;
}

CASE(catalog_log, failing_system_calls_leave_a_whole_log)
{
    static const enum fault_point points[] = { FAULT_WRITE, FAULT_FSYNC, FAULT_RENAME };

    for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
        bool fired = true;
        unsigned nth = 0;

        while (fired) {
            OWNED(store) s = directory_store(tmpdir_new());

            fired = add_with_fault(s, points[i], ++nth);
        }
        cr_assert_geq(nth, 4, "point %zu: three objects", i);
    }
}

CASE(catalog_log, memory_that_runs_out_leaves_a_whole_log)
{
    bool fired = true;
    unsigned nth = 0;

    while (fired) {
        OWNED(store) s = memory_store();

        fired = add_with_fault(s, FAULT_ALLOC, ++nth);
    }
    cr_assert_gt(nth, 10);
}

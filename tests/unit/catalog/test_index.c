#include "catalog/index.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sample.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"

#define HERE SAMPLE_REPO, SAMPLE_CLUSTER

static struct index *opened(const char *dir)
{
    struct index *x = NULL;
    struct err e = { 0 };

    OK(index_open(dir, &x, &e), &e);
    return x;
}

static struct index_record row_of(const struct sample_entry *x)
{
    return (struct index_record){ x->sequence, sample_bytes(&x->record),
                                  sample_bytes(&x->signature) };
}

static void put_all(struct index *x, const struct sample_log *l)
{
    struct err e = { 0 };

    for (size_t i = 0; i < l->count; i++) {
        struct index_record r = row_of(&l->items[i]);

        OK(index_put(x, HERE, &r, &e), &e);
    }
}

static enum rc rebuild(struct index *x, const struct sample_log *l, struct err *e)
{
    struct index_record rows[16];

    cr_assert_leq(l->count, 16);
    for (size_t i = 0; i < l->count; i++)
        rows[i] = row_of(&l->items[l->count - 1 - i]);
    return index_rebuild(x, HERE, rows, l->count, e);
}

static struct chain *chain_of(struct index *x)
{
    struct chain *c = NULL;
    struct err e = { 0 };

    OK(chain_new(HERE, sample_trust(), &c, &e), &e);
    OK(index_chain(x, c, &e), &e);
    OK(chain_close(c, NULL, 0, &e), &e);
    return c;
}

/* Everything that a list could print. */
static void describe(const struct chain *c, char *out, size_t n)
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < c->count; i++) {
        AT_END(buf_clear) struct buf b = { 0 };
        struct err e = { 0 };

        if (c->items[i].record != NULL)
            OK(record_encode(c->items[i].record, &b, &e), &e);
        used += (size_t)snprintf(out + used, n - used, "%d %.*s", c->items[i].state,
                                 (int)b.n, (const char *)b.p);
        for (size_t k = 0; k < c->items[i].tags.count; k++)
            used +=
                (size_t)snprintf(out + used, n - used, "%s\n", c->items[i].tags.items[k]);
    }
    snprintf(out + used, n - used, "%s", sample_codes(c, false));
}

static void story(struct sample_log *l)
{
    for (int i = 0; i < 4; i++)
        sample_log_backup(l);
    sample_log_tag(l, 2, "keep");
    sample_log_prune(l, (const uint64_t[]){ 1, 0 });
    sample_log_lose(l, 1);
}

CASE(catalog_index, made_anew_it_says_the_same_to_the_byte)
{
    SAMPLE_LOG(l);
    OWNED(index) a = opened(tmpdir_new());
    OWNED(index) b = opened(tmpdir_new());
    char grown[16384], made[16384], straight[16384];
    struct err e = { 0 };

    story(&l);
    put_all(a, &l);
    OK(rebuild(b, &l, &e), &e);
    OK(rebuild(b, &l, &e), &e);
    OWNED(chain) x = chain_of(a);
    OWNED(chain) y = chain_of(b);
    OWNED(chain) z = sample_chain(&l, true, NULL, 0);

    describe(x, grown, sizeof grown);
    describe(y, made, sizeof made);
    describe(z, straight, sizeof straight);
    cr_assert_str_eq(grown, straight);
    cr_assert_str_eq(made, straight);
    cr_assert_gt(strlen(made), 3000);
}

CASE(catalog_index, clusters_and_repositories_are_kept_apart)
{
    SAMPLE_LOG(l);
    const char *dir = tmpdir_new();
    OWNED(index) x = opened(dir);
    struct err e = { 0 };

    story(&l);
    put_all(x, &l);
    OK(index_rebuild(x, SAMPLE_REPO, "other", NULL, 0, &e), &e);
    OK(index_rebuild(x, "another", SAMPLE_CLUSTER, NULL, 0, &e), &e);
    OK(index_forget(x, SAMPLE_REPO, "other", 2, &e), &e);
    OK(index_forget(x, HERE, 3, &e), &e);
    OWNED(chain) c = chain_of(x);

    cr_assert_eq(c->count, 4);
    index_free(x);
    x = opened(dir);
    OWNED(chain) again = chain_of(x);

    cr_assert_eq(again->count, 4);
}

/* A record without a signature stays one. */
CASE(catalog_index, what_is_unsigned_is_kept_as_such)
{
    SAMPLE_LOG(l);
    OWNED(index) x = opened(tmpdir_new());

    l.key = NULL;
    sample_log_backup(&l);
    put_all(x, &l);
    OWNED(chain) c = chain_of(x);

    cr_assert_str_eq(c->items[0].why, "unsigned");
}

/* What has no bytes, since it is too large to be a record, has a number all the same. */
CASE(catalog_index, a_stray_without_bytes_is_remembered)
{
    OWNED(index) x = opened(tmpdir_new());
    struct index_record r = { .sequence = 4 };
    struct err e = { 0 };

    OK(index_put(x, HERE, &r, &e), &e);
    OWNED(chain) c = chain_of(x);

    cr_assert_eq(chain_find(c, 4)->state, CHAIN_STRAY);
}

CASE(catalog_index, a_row_that_was_tampered_with_is_a_stray)
{
    SAMPLE_LOG(l);
    OWNED(index) x = opened(tmpdir_new());
    struct index_record r;
    struct err e = { 0 };

    story(&l);
    put_all(x, &l);
    r = row_of(sample_log_find(&l, 4));
    r.sequence = 9;
    OK(index_put(x, HERE, &r, &e), &e);
    OWNED(chain) c = chain_of(x);

    cr_assert_str_eq(chain_find(c, 9)->why, "misplaced");
}

CASE(catalog_index, names_are_never_read_as_sql)
{
    static const char *const names[] = { "'; DROP TABLE record; --", "\" OR 1=1", "?",
                                         "\xff\xfe" };
    AT_END(mem_end) char *large = mem_zero((1 << 20) + 1);
    OWNED(index) x = opened(tmpdir_new());
    SAMPLE_LOG(l);
    struct err e = { 0 };

    sample_log_backup(&l);
    put_all(x, &l);
    memset(large, '\'', 1 << 20);
    for (size_t i = 0; i < 5; i++) {
        const char *name = i < 4 ? names[i] : large;
        struct chain_mark mark = { { 7, { 1 } }, 70, "test" };
        struct index_run run = { .kind = name, .outcome = name };
        bool found = false;

        OK(index_raise(x, SAMPLE_REPO, name, &mark, &e), &e);
        OK(index_mark(x, SAMPLE_REPO, name, &mark, &found, &e), &e);
        cr_assert(found && mark.head.sequence == 7);
        OK(index_add_run(x, name, name, &run, &e), &e);
    }
    OWNED(chain) c = chain_of(x);

    cr_assert_eq(c->count, 1);
}

CASE(catalog_index, a_mark_only_rises)
{
    OWNED(index) x = opened(tmpdir_new());
    struct chain_mark marks[] = { { { 5, { 5 } }, 50, "a" },
                                  { { 4, { 4 } }, 60, "b" },
                                  { { 6, { 6 } }, 10, "c" },
                                  { { 6, { 7 } }, 10, "d" } };
    struct chain_mark got;
    struct err e = { 0 };
    bool found = true;

    OK(index_mark(x, HERE, &got, &found, &e), &e);
    cr_assert_not(found);
    for (size_t i = 0; i < 4; i++)
        OK(index_raise(x, HERE, &marks[i], &e), &e);
    OK(index_mark(x, HERE, &got, &found, &e), &e);
    cr_assert(found && got.head.sequence == 6 && got.head.sha256[0] == 6);
    cr_assert_eq(got.high_water, 60);
    cr_assert_str_eq(got.whence, "this host's index");
}

struct seen {
    char text[256];
    int left;
};

static enum rc see_run(void *arg, const struct index_run *r, struct err *e)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "%s %d %s %d;", r->kind, r->code,
             r->outcome == NULL ? "-" : r->outcome, (int)r->sequence);
    return s->left-- > 0 ? RC_OK : err_set(e, RC_INTERNAL, "enough");
}

CASE(catalog_index, what_ran_is_told_newest_first)
{
    OWNED(index) x = opened(tmpdir_new());
    struct index_run runs[] = { { "backup", 100, 110, 0, NULL, 1 },
                                { "prune", 120, 130, 11, "locked", 0 },
                                { "backup", 90, 95, 8, "degraded", 2 } };
    struct seen all = { .left = 9 }, some = { .left = 9 }, one = { .left = 0 };
    struct err e = { 0 };

    for (size_t i = 0; i < 3; i++)
        OK(index_add_run(x, HERE, &runs[i], &e), &e);
    OK(index_runs(x, HERE, NULL, SIZE_MAX, see_run, &all, &e), &e);
    cr_assert_str_eq(all.text, "backup 8 degraded 2;prune 11 locked 0;backup 0 - 1;");
    OK(index_runs(x, HERE, "backup", 1, see_run, &some, &e), &e);
    cr_assert_str_eq(some.text, "backup 8 degraded 2;");
    cr_assert_eq(index_runs(x, HERE, NULL, 9, see_run, &one, &e), RC_INTERNAL);
}

static enum rc see_drill(void *arg, const struct index_drill *d, struct err *e)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    (void)e;
    snprintf(s->text + n, sizeof s->text - n, "%d %d %d %d %s;", (int)d->sequence,
             d->code, (int)d->rto_ms, (int)d->rpo_ms,
             d->report == NULL ? "-" : d->report);
    return RC_OK;
}

CASE(catalog_index, drills_are_told_newest_first)
{
    OWNED(index) x = opened(tmpdir_new());
    struct index_drill drills[] = { { 3, 100, 0, 1500, 60000, "{}" },
                                    { 4, 200, 3, 0, 0, NULL } };
    struct seen s = { 0 };
    struct err e = { 0 };

    for (size_t i = 0; i < 2; i++)
        OK(index_add_drill(x, HERE, &drills[i], &e), &e);
    OK(index_drills(x, HERE, 10, see_drill, &s, &e), &e);
    cr_assert_str_eq(s.text, "4 3 0 0 -;3 0 1500 60000 {};");
}

/* A disk that lost a page of a copy must not end the backups of this host. */
CASE(catalog_index, a_damaged_file_is_put_aside_and_begun_anew)
{
    const char *dir = tmpdir_new();
    OWNED(index) x = opened(dir);
    SAMPLE_LOG(l);
    struct err e = { 0 };
    FILE *f;

    story(&l);
    put_all(x, &l);
    index_free(GIVE(x));
    f = fopen(path_in(dir, "catalog.sqlite"), "r+");
    cr_assert_not_null(f);
    for (long at = 4096; at < 12288; at += 64)
        cr_assert(fseek(f, at, SEEK_SET) == 0 && fputs("damage", f) >= 0);
    fclose(f);
    OK(index_open(dir, &x, &e), &e);
    cr_assert_eq(access(path_in(dir, "catalog.sqlite.damaged"), F_OK), 0);
    OWNED(chain) c = chain_of(x);
    cr_assert_eq(c->count, 0);
}

CASE(catalog_index, a_row_that_the_schema_refuses_rolls_the_rebuild_back)
{
    OWNED(index) x = opened(tmpdir_new());
    SAMPLE_LOG(l);
    static const uint8_t large[(16 << 20) + 1]; /* beyond what the database takes */
    struct index_record bad[2] = { { 8, BYTES_OF("x"), { 0 } },
                                   { 9, BYTES_OF(large), { 0 } } };
    struct err e = { 0 };

    story(&l);
    put_all(x, &l);
    cr_assert_eq(index_rebuild(x, HERE, bad, 2, &e), RC_STORAGE);
    OWNED(chain) c = chain_of(x);

    cr_assert_eq(c->count, 5);
    OK(rebuild(x, &l, &e), &e);
}

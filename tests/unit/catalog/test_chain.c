#include "catalog/chain.h"

#include <stdio.h>
#include <string.h>

#include "sample.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"

/* Five backups, a tag on the second, and the first and third pruned and swept. */
static void story(struct sample_log *l)
{
    for (int i = 0; i < 5; i++)
        sample_log_backup(l);
    sample_log_tag(l, 2, "keep-me");
    sample_log_prune(l, (const uint64_t[]){ 3, 1, 0 });
    sample_log_lose(l, 1);
    sample_log_lose(l, 3);
}
#define STORY(l)   \
    SAMPLE_LOG(l); \
    story(&l)

static struct chain_mark mark_of(const struct sample_log *l)
{
    return (struct chain_mark){ l->head, l->high_water, "this host" };
}

/* Closed with the mark of its own head, so that only harm is found. */
static struct chain *chain_of(const struct sample_log *l)
{
    struct chain_mark mark = mark_of(l);

    return sample_chain(l, true, &mark, 1);
}

static size_t backups(const struct chain *c)
{
    size_t n = 0;

    for (size_t i = 0; i < c->count; i++)
        n += chain_is_backup(&c->items[i]);
    return n;
}

CASE(catalog_chain, an_orderly_log_has_no_findings)
{
    STORY(l);
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, false), "");
    cr_assert_eq(backups(c), 3);
    cr_assert(record_link_equal(&c->head, &l.head));
    cr_assert_eq(c->next, 8);
    cr_assert_eq(c->high_water, 50);
    cr_assert_eq(chain_newest(c, true)->at.sequence, 5);
    cr_assert(str_list_has(&chain_find(c, 2)->tags, "keep-me"));
    cr_assert(str_list_has(&chain_find(c, 2)->tags, "nightly"));
    cr_assert_eq(chain_find(c, 4)->tags.count, 1);
    cr_assert_eq(chain_find(c, 5)->key_id, sample_key()->id);
    cr_assert_null(chain_find(c, 3));
}

CASE(catalog_chain, an_empty_log_is_none)
{
    SAMPLE_LOG(l);
    OWNED(chain) c = sample_chain(&l, true, NULL, 0);

    cr_assert_str_eq(sample_codes(c, false), "unknown-head");
    cr_assert(c->head.sequence == 0 && c->next == 1);
    cr_assert_null(chain_newest(c, false));
    cr_assert_null(chain_find(c, 1));
}

/* What the store can do to each record, and what is then said. */
CASE(catalog_chain, every_record_that_is_taken_away_is_missed)
{
    for (uint64_t gone = 1; gone <= 7; gone++) {
        STORY(l);

        if (sample_log_find(&l, gone) == NULL)
            continue;
        sample_log_lose(&l, gone);
        OWNED(chain) c = chain_of(&l);

        /* without the prune itself, what it removed is missing as well */
        cr_assert_str_eq(sample_codes(c, true),
                         gone == 7 ? "log-missing log-missing "
                                     "log-rolled-back"
                                   : "log-missing",
                         "%d", (int)gone);
    }
}

CASE(catalog_chain, a_lost_record_does_not_take_the_older_ones_with_it)
{
    STORY(l);

    sample_log_lose(&l, 5);
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, false), "log-missing");
    cr_assert_str_eq(
        c->findings.items[0].message,
        "record 5, which record 6 follows, is gone, and no prune removed it");
    cr_assert_eq(backups(c), 2);
    cr_assert_eq(chain_newest(c, false)->at.sequence, 4);
}

CASE(catalog_chain, every_flipped_bit_of_every_record_is_seen)
{
    STORY(l);
    size_t tried = 0;

    for (size_t n = 0; n < l.count; n++)
        for (size_t at = 0; at < l.items[n].record.n; at += 37, tried++) {
            l.items[n].record.p[at] ^= 4;
            OWNED(chain) c = chain_of(&l);

            cr_assert_gt(c->findings.errors, 0, "record %zu byte %zu", n, at);
            cr_assert_eq(chain_find(c, l.items[n].sequence)->state, CHAIN_STRAY);
            l.items[n].record.p[at] ^= 4;
        }
    cr_assert_gt(tried, 100);
}

CASE(catalog_chain, a_record_without_its_signature_is_not_used)
{
    STORY(l);

    buf_clear(&sample_log_find(&l, 4)->signature);
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, false), "log-altered");
    cr_assert_gt(c->findings.errors, 0, "else a backup is hidden by taking a signature");
    cr_assert_str_eq(c->findings.items[0].message,
                     "record 4 belongs to the log, and is not used: it has no signature");
    cr_assert_eq(backups(c), 2);
    cr_assert_str_eq(chain_find(c, 4)->why, "unsigned");
}

/* Whoever has only the store writes what he likes behind the head. */
static void forge(struct sample_log *l, const struct minisign_secret *key)
{
    const struct minisign_secret *own = l->key;
    struct record_link head = l->head;
    int64_t high_water = l->high_water;

    l->key = key;
    sample_log_backup(l);
    l->key = own;
    l->head = head;
    l->high_water = high_water;
}

CASE(catalog_chain, forged_records_are_strays_and_take_only_a_number)
{
    const struct minisign_secret *keys[] = { NULL, sample_other_key() };
    const char *const why[] = { "unsigned", "stranger" };

    for (size_t i = 0; i < 2; i++) {
        STORY(l);

        forge(&l, keys[i]);
        OWNED(chain) c = chain_of(&l);

        cr_assert_str_eq(sample_codes(c, false), "log-stray");
        cr_assert_str_eq(chain_find(c, 8)->why, why[i]);
        cr_assert(record_link_equal(&c->head, &l.head));
        cr_assert_eq(c->next, 9);
        cr_assert_eq(chain_newest(c, false)->at.sequence, 5);
    }
}

/* The number that a stray took is stepped over, and the chain goes on. */
CASE(catalog_chain, a_stray_in_between_does_not_break_the_chain)
{
    STORY(l);
    struct record *next = sample_backup(60);

    forge(&l, NULL);
    next->sequence = 9;
    next->previous = l.head;
    sample_log_put(&l, next);
    OWNED(chain) c = sample_chain(&l, true, NULL, 0);

    cr_assert_str_eq(sample_codes(c, true), "");
    cr_assert_eq(c->head.sequence, 9);
    cr_assert_eq(backups(c), 4);
}

CASE(catalog_chain, a_far_stray_does_not_use_the_numbers_up)
{
    STORY(l);
    struct record *far = sample_backup(60);

    l.key = NULL;
    far->sequence = RECORD_SEQUENCE_MAX;
    sample_log_put(&l, far);
    OWNED(chain) c = sample_chain(&l, true, NULL, 0);

    cr_assert_eq(c->next, 8);
}

CASE(catalog_chain, two_genuine_records_behind_one_are_a_fork)
{
    STORY(l);
    struct record *other = sample_backup(60);

    sample_log_backup(&l);
    other->previous = l.head; /* 8 */
    other->sequence = 10;
    sample_log_backup(&l); /* 9 */
    sample_log_put(&l, other);
    OWNED(chain) c = sample_chain(&l, true, NULL, 0);

    cr_assert_str_eq(sample_codes(c, true), "log-fork");
    cr_assert_str_eq(chain_find(c, 9)->why, "off-chain");
    cr_assert_eq(chain_find(c, 10)->state, CHAIN_GOOD);
}

CASE(catalog_chain, a_genuine_record_of_another_place_is_misplaced)
{
    static const struct {
        const char *repo, *cluster, *detail;
    } places[] = {
        { "ff112233445566778899aabbccddeeff", SAMPLE_CLUSTER,
          "it belongs to another repository, ff112233445566778899aabbccddeeff" },
        { SAMPLE_REPO, "test", "it belongs to the cluster 'test'" },
    };

    for (size_t i = 0; i < 2; i++) {
        STORY(l);
        struct record *r = sample_backup(60);

        snprintf(r->repo, sizeof r->repo, "%s", places[i].repo);
        snprintf(r->cluster, sizeof r->cluster, "%s", places[i].cluster);
        r->backup->object_key[0] = '\0';
        mem_free(r->backup->object_key);
        OK(str_format(&r->backup->object_key, &(struct err){ 0 }, "%s/backups/a/b",
                      places[i].cluster),
           &(struct err){ 0 });
        r->sequence = 8;
        r->previous = l.head;
        sample_log_put(&l, r);
        OWNED(chain) c = sample_chain(&l, true, NULL, 0);

        cr_assert_str_eq(chain_find(c, 8)->why, "misplaced");
        cr_assert_str_eq(chain_find(c, 8)->detail, places[i].detail);
    }
}

CASE(catalog_chain, a_genuine_record_under_another_number_is_misplaced)
{
    STORY(l);

    sample_log_find(&l, 5)->sequence = 8;
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, true), "log-missing");
    cr_assert_str_eq(chain_find(c, 8)->detail, "it says that it is record 5");
}

/* Every earlier state of the store, shown to one who remembers the last. */
CASE(catalog_chain, every_rollback_is_seen_by_who_remembers)
{
    STORY(l);
    struct chain_mark mark = mark_of(&l);

    for (uint64_t left = 6; left >= 1; left--) {
        sample_log_end(&l);
        sample_log_begin(&l);
        for (uint64_t i = 0; i < left && i < 5; i++)
            sample_log_backup(&l);
        if (left == 6)
            sample_log_tag(&l, 2, "keep-me");
        OWNED(chain) c = sample_chain(&l, true, &mark, 1);
        OWNED(chain) trusting = sample_chain(&l, true, NULL, 0);

        cr_assert_str_eq(sample_codes(c, true), "log-rolled-back", "%d", (int)left);
        cr_assert_str_eq(sample_codes(trusting, false), "unknown-head");
    }
}

CASE(catalog_chain, an_empty_store_is_a_rollback_too)
{
    STORY(l);
    struct chain_mark mark = mark_of(&l);

    sample_log_end(&l);
    sample_log_begin(&l);
    OWNED(chain) c = sample_chain(&l, true, &mark, 1);

    cr_assert_str_eq(sample_codes(c, false), "log-rolled-back");
    cr_assert_str_eq(c->findings.items[0].message,
                     "this host remembers record 7, and the newest one here is 0: what "
                     "came after it was taken away");
}

/* Rolled back and written on: the sequence is higher than the mark's again. */
CASE(catalog_chain, a_rollback_that_was_written_over_is_seen)
{
    STORY(l);
    struct chain_mark mark = mark_of(&l);
    SAMPLE_LOG(other);

    for (int i = 0; i < 9; i++)
        sample_log_backup(&other);
    OWNED(chain) c = sample_chain(&other, true, &mark, 1);

    cr_assert_str_eq(sample_codes(c, true), "log-mark");
}

CASE(catalog_chain, a_mark_on_what_was_pruned_since_still_holds)
{
    SAMPLE_LOG(l);
    struct chain_mark mark;

    sample_log_backup(&l);
    mark = mark_of(&l);
    sample_log_backup(&l);
    sample_log_prune(&l, (const uint64_t[]){ 1, 0 });
    sample_log_lose(&l, 1);
    OWNED(chain) c = sample_chain(&l, true, &mark, 1);

    cr_assert_str_eq(sample_codes(c, false), "");
}

CASE(catalog_chain, a_removed_record_that_is_still_there_is_to_be_swept)
{
    SAMPLE_LOG(l);

    sample_log_backup(&l);
    sample_log_backup(&l);
    sample_log_prune(&l, (const uint64_t[]){ 1, 0 });
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, false), "log-unfinished");
    cr_assert_eq(chain_find(c, 1)->state, CHAIN_REMOVED);
    cr_assert_eq(backups(c), 1);
}

/* A prune record that nobody on the chain follows proves nothing. */
CASE(catalog_chain, a_forged_prune_hides_no_loss)
{
    SAMPLE_LOG(l);
    const struct minisign_secret *own = l.key;
    struct record_link head;

    for (int i = 0; i < 3; i++)
        sample_log_backup(&l);
    head = l.head;
    l.key = NULL;
    sample_log_prune(&l, (const uint64_t[]){ 2, 0 });
    l.key = own;
    l.head = head;
    sample_log_lose(&l, 2);
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, false), "log-missing log-stray");
}

CASE(catalog_chain, a_revision_that_falls_is_out_of_order)
{
    SAMPLE_LOG(l);

    sample_log_backup(&l);
    l.high_water = 0;
    sample_log_write(&l, sample_backup(3));
    OWNED(chain) c = sample_chain(&l, true, NULL, 0);

    cr_assert_str_eq(sample_codes(c, true), "log-order");
    cr_assert_eq(c->high_water, 10);
}

CASE(catalog_chain, a_clock_that_went_back_is_told)
{
    SAMPLE_LOG(l);

    sample_log_backup(&l);
    l.clock -= 3600 + 599;
    sample_log_backup(&l); /* a small step is nothing */
    l.clock -= 7200;
    sample_log_backup(&l);
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, false), "log-clock");
    cr_assert_str_eq(c->findings.items[0].message,
                     "by its clock record 3 was written 3600 s before record 2, which it "
                     "follows");
}

CASE(catalog_chain, without_keys_hashes_still_hold_it_together)
{
    STORY(l);
    OWNED(chain) c = sample_chain(&l, false, NULL, 0);

    cr_assert_str_eq(sample_codes(c, false), "unknown-authors unknown-head");
    cr_assert_eq(backups(c), 3);
    sample_log_find(&l, 4)->record.p[60] ^= 1; /* a digit of the repository's id */
    OWNED(chain) harmed = sample_chain(&l, false, NULL, 0);

    cr_assert_gt(harmed->findings.errors + harmed->findings.warnings, 0);
    cr_assert_eq(backups(harmed), 2);
}

CASE(catalog_chain, a_record_named_twice_counts_once)
{
    STORY(l);
    struct sample_entry *x = sample_log_find(&l, 5);
    struct chain_mark mark = mark_of(&l);
    OWNED(chain) c = NULL;
    struct err e = { 0 };

    OK(chain_new(SAMPLE_REPO, SAMPLE_CLUSTER, sample_trust(), &c, &e), &e);
    for (int twice = 0; twice < 2; twice++)
        for (size_t i = 0; i < l.count; i++)
            OK(chain_add(c, l.items[i].sequence, sample_bytes(&l.items[i].record),
                         sample_bytes(&l.items[i].signature), &e),
               &e);
    OK(chain_add(c, 5, sample_bytes(&x->record), (struct bytes){ 0 }, &e), &e);
    OK(chain_close(c, &mark, 1, &e), &e);
    cr_assert_str_eq(sample_codes(c, false), "");
    cr_assert_eq(backups(c), 3);
    cr_assert_eq(chain_add(c, 9, (struct bytes){ 0 }, (struct bytes){ 0 }, &e),
                 RC_INTERNAL);
}

CASE(catalog_chain, only_backups_and_tags_that_are_there_are_removed)
{
    STORY(l);
    OWNED(chain) c = chain_of(&l);
    OWNED(record) prune = NULL;
    struct err e = { 0 };

    OK(record_new(RECORD_PRUNE, &prune, &e), &e);
    cr_assert_eq(chain_remove(c, 1, prune, &e), RC_REFUSED);
    cr_assert_eq(chain_remove(c, 7, prune, &e), RC_REFUSED);
    cr_assert_eq(chain_remove(c, 99, prune, &e), RC_REFUSED);
    OK(chain_remove(c, 6, prune, &e), &e);
    OK(chain_remove(c, 2, prune, &e), &e);
    OK(chain_remove(c, 2, prune, &e), &e);
    cr_assert(prune->removed_count == 2 && prune->removed[0].was.sequence == 2);
}

/* A long life: a thousand records, most of them pruned in many runs. */
CASE(catalog_chain, a_long_life_is_walked_across_all_prunes)
{
    SAMPLE_LOG(l);
    uint64_t oldest = 1, newest = 0;

    for (int day = 0; day < 40; day++) {
        uint64_t gone[8] = { 0 };

        for (int i = 0; i < 8; i++)
            newest = sample_log_backup(&l);
        for (int i = 0; i < 7 && oldest + 8 < newest; i++, oldest++) {
            const struct sample_entry *x = sample_log_find(&l, oldest);

            gone[i] =
                x != NULL && memmem(x->record.p, x->record.n, "\"prune\"", 7) == NULL
                    ? oldest
                    : 0;
            if (gone[i] == 0)
                i--;
        }
        if (gone[0] == 0)
            continue;
        sample_log_prune(&l, gone);
        for (int i = 0; i < 7 && gone[i] != 0; i++)
            sample_log_lose(&l, gone[i]);
    }
    OWNED(chain) c = chain_of(&l);

    cr_assert_str_eq(sample_codes(c, false), "");
    cr_assert_gt(l.head.sequence, 340);
    cr_assert_lt(c->count, 130);
}

CASE(catalog_chain, memory_that_runs_out_is_said)
{
    unsigned runs = 0;
    STORY(l);

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(chain) c = NULL;
        struct err e = { 0 };
        enum rc rc = chain_new(SAMPLE_REPO, SAMPLE_CLUSTER, sample_trust(), &c, &e);

        for (size_t i = 0; i < l.count && rc == RC_OK; i++)
            rc = chain_add(c, l.items[i].sequence, sample_bytes(&l.items[i].record),
                           sample_bytes(&l.items[i].signature), &e);
        if (rc == RC_OK)
            rc = chain_close(c, NULL, 0, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 50);
}

/* Looking into databases: what etcd says is in them, at every revision. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "crypto/base64.h"
#include "inspect_fixture.h"
#include "snapshot/look.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

#define LOOK AT_END(snap_look_clear) struct snap_look

static void look_into(const char *path, const struct snap_look_options *o,
                      struct snap_look *out)
{
    struct err e = { 0 };

    OK(snap_look_open(path, o, out, &e), &e);
}

/* ---- golden files ----------------------------------------------------------------- */

struct truth {
    struct bytes key, value;
    int64_t mod, create, version;
    double lease; /* jq, which made the files, rounds large numbers */
};

static struct bytes decode(char **line, char end)
{
    char *stop = strchr(*line, end);
    struct bytes text = { (uint8_t *)*line, (size_t)(stop - *line) };
    struct bytes out = { (uint8_t *)*line, 0 };

    cr_assert(base64_decode_padded(text, (uint8_t *)*line, &out.n));
    *line = stop + 1;
    return out;
}

/* One line of keys.tsv, decoded in place. */
static struct truth truth_of(char **line)
{
    struct truth t = { .key = decode(line, '\t') };

    t.value = decode(line, '\t');
    t.mod = strtoll(*line, line, 10);
    t.create = strtoll(*line, line, 10);
    t.version = strtoll(*line, line, 10);
    t.lease = strtod(*line, line);
    cr_assert_eq(**line, '\n');
    (*line)++;
    return t;
}

static void same(const struct truth *t, const struct snap_record *r, const char *name)
{
    cr_assert(bytes_equal(t->key, r->kv.key), "%s: '%.*s' is not '%.*s'", name,
              (int)t->key.n, t->key.p, (int)r->kv.key.n, r->kv.key.p);
    cr_assert(bytes_equal(t->value, r->kv.value), "%s: value of %.*s", name,
              (int)t->key.n, t->key.p);
    cr_assert(t->mod == r->kv.mod && t->mod == r->rev.main && t->create == r->kv.create &&
                  t->version == r->kv.version && t->lease == (double)r->kv.lease,
              "%s: numbers of %.*s", name, (int)t->key.n, t->key.p);
}

CASE(snapshot_look, shows_the_keys_that_etcd_showed_in_its_order)
{
    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        AT_END(buf_clear) struct buf tsv = golden_unpack(golden_names[i], "keys.tsv.zst");
        LOOK look = { 0 };
        struct snap_key key = { 0 };
        char *line = (char *)tsv.p;
        uint64_t lines = 0;
        struct err e = { 0 };

        tsv.p[tsv.n] = '\0';
        look_into(golden_file(golden_names[i]), &(struct snap_look_options){ 0 }, &look);
        while (snap_index_next(&look.index, &key)) {
            struct snap_record record;
            struct truth t;

            if (!snap_index_alive(&look.index, &key))
                continue;
            OK(snap_index_newest(&look.index, &key, &record, &e), &e);
            t = truth_of(&line);
            same(&t, &record, golden_names[i]);
            lines++;
        }
        cr_assert_eq(*line, '\0', "%s: more keys than were shown", golden_names[i]);
        cr_assert_gt(lines, 300u, "%s", golden_names[i]);
        cr_assert_eq(snap_look_live(&look), lines, "%s", golden_names[i]);
        cr_assert_gt(look.lease_count, 0u, "%s", golden_names[i]);
    }
}

CASE(snapshot_look, takes_the_database_of_a_data_dir)
{
    AT_END(buf_clear) struct buf image = golden_unpack("etcd-3.6", "snapshot.db.zst");
    const char *dir = tmpdir_new();
    OWNED_FD int fd = -1;
    LOOK look = { 0 };
    struct err e = { 0 };

    OK(os_mkdir(AT_FDCWD, path_in(dir, "member"), &e), &e);
    OK(os_mkdir(AT_FDCWD, path_in(dir, "member/snap"), &e), &e);
    OK(os_open(AT_FDCWD, path_in(dir, "member/snap/db"), O_WRONLY | O_CREAT, 0600, &fd,
               &e),
       &e);
    OK(os_write_full(fd, image.p, image.n, "db", &e), &e);
    look_into(dir, &(struct snap_look_options){ 0 }, &look);
    cr_assert_gt(snap_look_live(&look), 300u);
}

/* ---- revisions -------------------------------------------------------------------- */

static void check_revision(const struct tale *t, const char *path, int64_t revision)
{
    const struct snap_look_options at = { .revision = (uint64_t)revision };
    struct snap_key key = { 0 };
    size_t alive = 0, seen = 0;
    struct bytes before = { 0 };
    LOOK look = { 0 };
    struct err e = { 0 };

    look_into(path, &at, &look);
    cr_assert_eq(look.revision, revision);
    while (snap_index_next(&look.index, &key)) {
        struct bytes name = snap_index_key(&look.index, key.first);
        const struct event *want = tale_at(t, name, revision);
        struct snap_record got;

        cr_assert(before.p == NULL || bytes_compare(before, name) < 0,
                  "seed %u: order at %lld", t->seed, (long long)revision);
        before = name;
        cr_assert_eq(want != NULL, snap_index_alive(&look.index, &key), "at %lld",
                     (long long)revision);
        if (want == NULL)
            continue;
        OK(snap_index_newest(&look.index, &key, &got, &e), &e);
        cr_assert(got.rev.main == want->main && got.rev.sub == want->sub &&
                      got.kv.create == want->create && got.kv.version == want->version &&
                      got.kv.lease == want->lease && bytes_equal(got.kv.key, want->key) &&
                      bytes_equal(got.kv.value, want->value),
                  "at %lld", (long long)revision);
        seen++;
    }
    for (size_t k = 0; k < TALE_KEYS; k++)
        alive +=
            tale_at(t, (struct bytes){ t->names[k], t->name_sizes[k] }, revision) != NULL;
    cr_assert_eq(seen, alive, "at %lld", (long long)revision);
}

CASE(snapshot_look, shows_every_revision_as_it_was)
{
    static struct tale t;

    for (unsigned seed = 1; seed <= 4; seed++) {
        const char *path;

        tale_begin(&t, seed);
        tale_go_on(&t, 300);
        path = tale_file(&t);
        for (int64_t revision = 2; revision <= t.revision; revision += 1 + revision / 9)
            check_revision(&t, path, revision);
        check_revision(&t, path, t.revision);
    }
}

CASE(snapshot_look, tells_the_whole_history_of_one_key)
{
    static struct tale t;
    struct bytes name;
    struct snap_key key = { 0 };
    LOOK look = { 0 };
    size_t at = 0;
    struct err e = { 0 };

    tale_begin(&t, 7);
    tale_go_on(&t, 400);
    name = t.events[5].key;
    look_into(tale_file(&t), &(struct snap_look_options){ .prefix = name, .whole = true },
              &look);
    cr_assert(snap_index_next(&look.index, &key));
    for (size_t i = 0; i < t.count; i++) {
        struct snap_record r;

        if (!bytes_equal(t.events[i].key, name))
            continue;
        OK(snap_index_record(&look.index, key.first + at++, &r, &e), &e);
        cr_assert(r.rev.main == t.events[i].main &&
                      r.rev.tombstone == (t.events[i].version == 0),
                  "record %zu", at);
    }
    cr_assert_eq(at, key.end - key.first);
    cr_assert_not(snap_index_next(&look.index, &key), "another key");
}

/* A key rewritten so often that its records are more than the sort does by hand. */
CASE(snapshot_look, keeps_many_records_of_one_key_in_order)
{
    enum { MANY = 1000 };
    static struct event events[MANY];
    struct snap_key key = { 0 };
    LOOK look = { 0 };
    struct err e = { 0 };

    for (int64_t i = 0; i < MANY; i++)
        events[i] = (struct event){ .main = 2 + i,
                                    .create = i % 2 == 0 ? 2 : 3,
                                    .version = 1 + i / 2,
                                    .key = i % 2 == 0 ? TEXT("/registry/leases/a")
                                                      : TEXT("/registry/leases/b") };
    look_into(invented_file(&(struct invented){ .events = events, .event_count = MANY }),
              &(struct snap_look_options){ 0 }, &look);
    for (size_t half = 0; half < 2; half++) {
        cr_assert(snap_index_next(&look.index, &key));
        cr_assert_eq(key.end - key.first, MANY / 2);
        for (size_t i = key.first; i < key.end; i++) {
            struct snap_record r;

            OK(snap_index_record(&look.index, i, &r, &e), &e);
            cr_assert_eq(r.kv.version, (int64_t)(1 + i - key.first), "%zu", i);
        }
    }
    cr_assert_not(snap_index_next(&look.index, &key));
}

CASE(snapshot_look, takes_only_what_begins_with_the_prefix)
{
    static const struct event events[] = {
        { .main = 2, .create = 2, .version = 1, .key = TEXT("/a") },
        { .main = 3, .create = 3, .version = 1, .key = TEXT("/a/b") },
        { .main = 4, .create = 4, .version = 1, .key = TEXT("/b") },
        { .main = 9 }, /* the key "" of a revision bump */
    };
    const char *path =
        invented_file(&(struct invented){ .events = events, .event_count = 4 });
    LOOK all = { 0 };
    LOOK some = { 0 };
    LOOK none = { 0 };

    look_into(path, &(struct snap_look_options){ 0 }, &all);
    look_into(path, &(struct snap_look_options){ .prefix = TEXT("/a") }, &some);
    look_into(path, &(struct snap_look_options){ .no_keys = true }, &none);
    cr_assert_eq(snap_look_live(&all), 3u);
    cr_assert_eq(snap_look_live(&some), 2u);
    cr_assert_eq(snap_look_live(&none), 0u);
    cr_assert_eq(none.facts.revision, 9);
}

/* ---- refusals --------------------------------------------------------------------- */

static void refused(const char *path, uint64_t revision, enum rc want, const char *why)
{
    LOOK look = { 0 };
    struct err e = { 0 };
    enum rc rc = snap_look_open(path, &(struct snap_look_options){ .revision = revision },
                                &look, &e);

    cr_assert_eq(rc, want, "%s", e.why);
    cr_assert_not_null(strstr(e.why, why), "%s", e.why);
}

CASE(snapshot_look, knows_no_revision_that_is_compacted_or_to_come)
{
    static const struct event events[] = {
        { .main = 20, .create = 4, .version = 9, .key = TEXT("k") },
        { .main = 21, .create = 4, .version = 10, .key = TEXT("k") },
    };
    const char *path = invented_file(&(struct invented){
        .events = events, .event_count = 2, .finished = 15, .scheduled = 20 });
    LOOK look = { 0 };

    refused(path, 19, RC_NOTFOUND,
            "revision 19 has been compacted, the oldest one left is 20");
    refused(path, 14, RC_NOTFOUND, "has been compacted");
    refused(path, 22, RC_NOTFOUND,
            "revision 22 lies in the future, the database is at revision 21");
    refused(path, UINT64_MAX, RC_NOTFOUND, "lies in the future");
    look_into(path, &(struct snap_look_options){ .revision = 20 }, &look);
    cr_assert_eq(snap_look_live(&look), 1u);
}

CASE(snapshot_look, refuses_what_is_wrapped_with_advice)
{
    LOOK look = { 0 };
    struct err e = { 0 };
    char path[128];

    snprintf(path, sizeof path, "tests/golden/%s/snapshot.db.zst", golden_names[0]);
    cr_assert_eq(snap_look_open(path, &(struct snap_look_options){ 0 }, &look, &e),
                 RC_USAGE);
    cr_assert_not_null(strstr(e.why, "is compressed"), "%s", e.why);
    cr_assert_not_null(strstr(e.hint, "zstd -d FILE"), "%s", e.hint);
    cr_assert_eq(
        snap_look_open(file_of(TEXT("age-encryption.org/v1\n-> X25519 TEiF0ypqr")),
                       &(struct snap_look_options){ 0 }, &look, &e),
        RC_USAGE);
    cr_assert_not_null(strstr(e.hint, "age -d -i"), "%s", e.hint);
    refused("tests/golden/nothing", 0, RC_NOTFOUND, "tests/golden/nothing");
    refused("tests/golden", 0, RC_NOTFOUND, "tests/golden/member/snap/db");
}

/* Every page of a small database zeroed in turn: never a crash, never half an answer. */
CASE(snapshot_look, shows_nothing_of_a_damaged_file)
{
    static struct tale t;
    AT_END(buf_clear) struct buf image = { 0 };
    unsigned damaged = 0;
    struct err e = { 0 };

    tale_begin(&t, 3);
    tale_go_on(&t, 100);
    OK(os_read_file(tale_file(&t), 1 << 20, &image.p, &image.n, &e), &e);
    for (size_t at = 2 * 4096; at < image.n; at += 4096) {
        uint8_t held[4096];
        LOOK look = { 0 };

        memcpy(held, image.p + at, sizeof held);
        memset(image.p + at, 0, sizeof held);
        enum rc rc = snap_look_open(file_of((struct bytes){ image.p, image.n }),
                                    &(struct snap_look_options){ 0 }, &look, &e);

        cr_assert_eq(rc, RC_CORRUPT, "page %zu: %s", at / 4096, e.why);
        cr_assert_eq(look.file, NULL);
        memcpy(image.p + at, held, sizeof held);
        damaged++;
    }
    cr_assert_gt(damaged, 2u);
}

/* Any flipped bit: refused, or shown as it is; the pages alone cannot tell a value from
 * another one of the same size. */
CASE(snapshot_look, survives_every_kind_of_damage)
{
    static struct tale t;
    AT_END(buf_clear) struct buf image = { 0 };
    unsigned refusals = 0, seed = 17;
    struct err e = { 0 };

    tale_begin(&t, 9);
    tale_go_on(&t, 60);
    OK(os_read_file(tale_file(&t), 1 << 20, &image.p, &image.n, &e), &e);
    for (unsigned i = 0; i < 400; i++) {
        size_t at = (size_t)rand_r(&seed) % image.n;
        uint8_t bit = (uint8_t)(1 << rand_r(&seed) % 8);
        AT_END(mem_end) uint64_t *counts = NULL;
        uint64_t missing;
        LOOK look = { 0 };
        enum rc rc;

        image.p[at] ^= bit;
        rc = snap_look_open(file_of((struct bytes){ image.p, image.n }),
                            &(struct snap_look_options){ 0 }, &look, &e);
        image.p[at] ^= bit;
        cr_assert(rc == RC_OK || rc == RC_CORRUPT, "byte %zu bit %x: %s", at, bit, e.why);
        refusals += rc == RC_CORRUPT;
        if (rc == RC_OK)
            OK(snap_look_attached(&look, &counts, &missing, &e), &e);
    }
    cr_assert_gt(refusals, 20u);
}

CASE(snapshot_look, notices_a_file_that_is_cut_meanwhile)
{
    const char *path = golden_file("etcd-3.6");
    LOOK look = { 0 };
    struct err e = { 0 };

    look_into(path, &(struct snap_look_options){ 0 }, &look);
    OK(snap_look_intact(&look, &e), &e);
    cr_assert_eq(truncate(path, 8192), 0);
    cr_assert_eq(snap_look_intact(&look, &e), RC_CORRUPT);
    cr_assert_not_null(strstr(e.what, "may be wrong"), "%s", e.what);
}

CASE(snapshot_look, names_records_that_cannot_be_read)
{
    static const struct event nameless[] = {
        { .main = 2, .create = 2, .version = 1, .key = { 0 }, .value = TEXT("x") },
    };
    static const struct extra meta[] = { { MVCC_LEASE, TEXT("short"), TEXT("") } };

    refused(invented_file(&(struct invented){ .events = nameless, .event_count = 1 }), 0,
            RC_CORRUPT, "revision 2/0: the record names no key");
    refused(invented_file(&(struct invented){ .extras = meta, .extra_count = 1 }), 0,
            RC_CORRUPT, "a lease key has 8 bytes, not 5");
}

/* ---- leases, memory --------------------------------------------------------------- */

CASE(snapshot_look, counts_the_keys_of_leases)
{
    static const uint8_t id[] = { 0, 0, 0, 0, 0, 0, 3, 0xe8 }; /* 1000 */
    static const uint8_t lease[] = { 8, 0xe8, 7, 16, 60 };
    static const struct extra extras[] = { { MVCC_LEASE, BYTES_OF(id),
                                             BYTES_OF(lease) } };
    static const struct event events[] = {
        { .main = 2, .create = 2, .version = 1, .key = TEXT("a"), .lease = 1000 },
        { .main = 3, .create = 3, .version = 1, .key = TEXT("b"), .lease = 1000 },
        { .main = 4, .create = 4, .version = 1, .key = TEXT("c"), .lease = 1001 },
        { .main = 5, .create = 3, .version = 2, .key = TEXT("b") },
        { .main = 6, .create = 6, .version = 1, .key = TEXT("d"), .lease = 1000 },
        { .main = 7, .key = TEXT("d") },
    };
    LOOK look = { 0 };
    AT_END(mem_end) uint64_t *counts = NULL;
    uint64_t missing = 0;
    struct err e = { 0 };

    look_into(invented_file(&(struct invented){ events, 6, extras, 1, 0, 0 }),
              &(struct snap_look_options){ 0 }, &look);
    OK(snap_look_attached(&look, &counts, &missing, &e), &e);
    cr_assert_eq(look.lease_count, 1u);
    cr_assert_eq(look.leases[0].ttl, 60);
    cr_assert_eq(counts[0], 1u);
    cr_assert_eq(missing, 1u);
}

CASE(snapshot_look, survives_when_memory_runs_out)
{
    const char *path = golden_file("etcd-3.7");
    unsigned failures = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        LOOK look = { 0 };
        AT_END(mem_end) uint64_t *counts = NULL;
        uint64_t missing;
        struct err e = { 0 };
        enum rc rc = snap_look_open(path, &(struct snap_look_options){ 0 }, &look, &e);

        if (rc == RC_OK)
            rc = snap_look_attached(&look, &counts, &missing, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s", nth, e.why);
        failures += rc == RC_NOMEM;
    }
    cr_assert_gt(failures, 10u);
}

/* The order of the index on keys that are made to be hard on it. */
#include <stdio.h>
#include <stdlib.h>

#include "inspect_fixture.h"
#include "snapshot/look.h"
#include "tests/lib/case.h"
#include "util/mem.h"
#include "util/stop.h"

#define LOOK AT_END(snap_look_clear) struct snap_look

/* Every key once, in order, with as many records as it was given. */
static void check_order(const char *path, const char *what, size_t keys, size_t records)
{
    LOOK look = { 0 };
    struct snap_key key = { 0 };
    struct bytes before = { 0 };
    size_t seen = 0;
    struct err e = { 0 };

    OK(snap_look_open(path, &(struct snap_look_options){ 0 }, &look, &e), &e);
    cr_assert_eq(look.index.count, records, "%s", what);
    for (; snap_index_next(&look.index, &key); seen++) {
        struct bytes name = snap_index_key(&look.index, key.first);
        int64_t main = 0;

        cr_assert(seen == 0 || bytes_compare(before, name) < 0, "%s: key %zu", what,
                  seen);
        before = name;
        for (size_t i = key.first; i < key.end; i++) {
            struct snap_record r;

            OK(snap_index_record(&look.index, i, &r, &e), &e);
            cr_assert(bytes_equal(r.kv.key, name) && r.rev.main > main, "%s: record %zu",
                      what, i);
            main = r.rev.main;
        }
    }
    cr_assert_eq(seen, keys, "%s", what);
}

enum { ROUNDS = 3, NAMES = 400, NAME_MAX_SIZE = 20000 };

/* NAMES keys in a shuffled order, ROUNDS times each. */
static void check_names(uint8_t *const names[NAMES], const size_t sizes[NAMES],
                        const char *what)
{
    static struct event events[NAMES * ROUNDS];
    unsigned seed = 5;
    size_t n = 0;

    for (int64_t round = 1; round <= ROUNDS; round++)
        for (size_t i = 0; i < NAMES; i++, n++)
            events[n] = (struct event){ .create = 2,
                                        .version = round,
                                        .key = { names[i], sizes[i] } };
    for (size_t i = 0; i < n; i++) {
        size_t other = (size_t)rand_r(&seed) % n;
        struct event held = events[i];

        events[i] = events[other];
        events[other] = held;
    }
    for (size_t i = 0; i < n; i++)
        events[i].main = 2 + (int64_t)i;
    check_order(invented_file(&(struct invented){ .events = events, .event_count = n }),
                what, NAMES, n);
}

CASE(snapshot_index, orders_keys_that_differ_late)
{
    uint8_t *names[NAMES];
    size_t sizes[NAMES];

    /* A common start of any length beside the seven bytes that are compared at once. */
    for (size_t common = 0; common < 24; common++) {
        for (size_t i = 0; i < NAMES; i++) {
            names[i] = mem_zero(common + 8);
            sizes[i] = common + (size_t)sprintf((char *)names[i] + common, "%zu", i * 7);
        }
        check_names(names, sizes, "differ late");
        for (size_t i = 0; i < NAMES; i++)
            mem_free(names[i]);
    }
}

CASE(snapshot_index, orders_keys_that_differ_in_length_alone)
{
    static uint8_t zeros[NAMES + 1];
    uint8_t *names[NAMES];
    size_t sizes[NAMES];

    for (size_t i = 0; i < NAMES; i++) {
        names[i] = zeros;
        sizes[i] = i + 1;
    }
    check_names(names, sizes, "zeros");
}

/* Longer than two bytes of a varint can tell: such keys are read the long way. */
CASE(snapshot_index, orders_keys_longer_than_most)
{
    static uint8_t longs[NAMES][NAME_MAX_SIZE];
    uint8_t *names[NAMES];
    size_t sizes[NAMES];

    for (size_t i = 0; i < NAMES; i++) {
        memset(longs[i], 'x', sizeof longs[i]);
        snprintf((char *)longs[i] + 16380, 16, "%zu", i);
        names[i] = longs[i];
        sizes[i] = i % 2 == 0 ? NAME_MAX_SIZE : 16384 + i % 5;
    }
    check_names(names, sizes, "long");
}

/* Protobuf lets fields come in any order, and more than once: the last one counts. */
CASE(snapshot_index, finds_keys_where_etcd_does_not_write_them)
{
    static const uint8_t revs[3][MVCC_REV_SIZE] = { { [7] = 2, [8] = '_' },
                                                    { [7] = 3, [8] = '_' },
                                                    { [7] = 4, [8] = '_' } };
    static const struct extra extras[] = {
        { MVCC_KEY, BYTES_OF(revs[0]), TEXT("\x10\x02\x18\x02\x20\x01\x0a\x01k") },
        { MVCC_KEY, BYTES_OF(revs[1]),
          TEXT("\x0a\x01z\x10\x02\x18\x03\x20\x02\x0a\x01k") },
        { MVCC_KEY, BYTES_OF(revs[2]),
          TEXT("\x0a\x01"
               "a\x10\x04\x18\x04\x20\x01") },
    };

    check_order(invented_file(&(struct invented){ .extras = extras, .extra_count = 3 }),
                "odd", 2, 3);
}

CASE(snapshot_index, stops_when_asked_to)
{
    LOOK look = { 0 };
    struct err e = { 0 };

    OK(snap_look_open(golden_file("etcd-3.7"), &(struct snap_look_options){ 0 }, &look,
                      &e),
       &e);
    stop_request();
    cr_assert_eq(snap_index_sort(&look.index, &e), RC_INTERRUPTED);
    stop_reset();
}

/* However many records a file has, no more memory than is allowed. */
CASE(snapshot_index, ends_where_its_memory_does)
{
    enum { MOST = 1500 };
    LOOK look = { 0 };
    struct snap_index ix = { 0 };
    struct snap_record r;
    struct err e = { 0 };
    enum rc rc = RC_OK;

    OK(snap_look_open(golden_file("etcd-3.5"), &(struct snap_look_options){ 0 }, &look,
                      &e),
       &e);
    OK(snap_index_record(&look.index, 0, &r, &e), &e);
    ix.file = look.file;
    ix.bytes_max = MOST * sizeof *ix.items + 1;
    for (int i = 0; rc == RC_OK && i < 2 * MOST; i++)
        rc = snap_index_add(&ix, (struct bytes){ r.raw.p - MVCC_REV_SIZE, MVCC_REV_SIZE },
                            r.raw, r.kv.key, &e);
    cr_assert_eq(rc, RC_NOMEM);
    cr_assert_str_eq(e.why, "more than 1500 records to put in order");
    cr_assert_eq(ix.count, MOST);
    cr_assert_eq(ix.room, MOST);
    snap_index_clear(&ix);
}

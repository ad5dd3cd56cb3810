#include <stdio.h>

#include "boltdb/page.h"
#include "tests/forge/forge.h"
#include "tests/lib/case.h"
#include "tests/unit/boltdb/build_to.h"

CASE(boltdb_get, finds_every_key_that_is_there_and_no_other)
{
    const struct bolt_build_options options = { .page_size = 512 };
    OWNED_IMAGE db = { 0 };
    OWNED(bolt_file) file = NULL;
    struct err e = { 0 };
    uint8_t room[18];

    OK(build_uniform(&options, 40, 300, 9, &db, &e), &e);
    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    for (unsigned i = 0; i < 300; i++) {
        struct bytes key = revision_key(room, i), value = { 0 };
        bool there = false;

        OK(bolt_file_get(file, "b039", key, &value, &there, &e), &e);
        cr_assert(there, "key %u", i);
        cr_assert_eq(value.n, 9);
        cr_assert_eq(value.p[8], (uint8_t)i);
        room[16] = 1;
        OK(bolt_file_get(file, "b000", key, &value, &there, &e), &e);
        cr_assert(!there, "after key %u", i);
    }
}

CASE(boltdb_get, looks_into_inline_buckets)
{
    OWNED_IMAGE db = golden_load("etcd-3.6");
    OWNED(bolt_file) file = NULL;
    struct bytes value = { 0 };
    struct err e = { 0 };
    bool there = false;

    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    OK(bolt_file_get(file, "cluster", bytes_str("clusterVersion"), &value, &there, &e),
       &e);
    cr_assert(there && bytes_is(value, "3.6.0"), "%.*s", (int)value.n, value.p);
    OK(bolt_file_get(file, "cluster", bytes_str("a"), &value, &there, &e), &e);
    cr_assert(!there);
    OK(bolt_file_get(file, "nothing", bytes_str("a"), &value, &there, &e), &e);
    cr_assert(!there);
    OK(bolt_file_get(file, "aaa", bytes_str("a"), &value, &there, &e), &e);
    cr_assert(!there);
}

CASE(boltdb_get, says_where_the_path_is_damaged)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    uint64_t id = forge_bucket_root(&db, "key");
    OWNED(bolt_file) file = NULL;
    struct bytes value = { 0 };
    struct err e = { 0 };
    bool there = true;
    char why[128];

    put_le64(forge_page(&db, id), 9999);
    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    cr_assert_eq(bolt_file_get(file, "key", bytes_str("k"), &value, &there, &e),
                 RC_CORRUPT);
    snprintf(why, sizeof why, "page %llu (offset %llu) names itself page 9999",
             (unsigned long long)id, (unsigned long long)id * 4096);
    cr_assert_str_eq(e.why, why);
    cr_assert_str_eq(e.what, "looking up a key of bucket 'key' in 'image'");
    cr_assert(there, "outputs are not touched on failure");
}

CASE(boltdb_get, ends_in_a_cycle)
{
    OWNED_IMAGE db = golden_load("etcd-3.5");
    uint64_t id = forge_bucket_root(&db, "key");
    OWNED(bolt_file) file = NULL;
    struct bytes value = { 0 };
    struct err e = { 0 };
    bool there;

    put_le64(forge_page(&db, id) + 16 + 8, id);
    OK(image_open(db.p, db.n, NULL, &file, &e), &e);
    cr_assert_eq(bolt_file_get(file, "key", (struct bytes){ (const uint8_t *)"\0", 1 },
                               &value, &there, &e),
                 RC_CORRUPT);
}

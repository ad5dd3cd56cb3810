#include "mvcc/schema.h"

#include "tests/lib/case.h"
#include "util/mem.h"

#define TEXT(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

CASE(mvcc_schema, names_the_ten_buckets)
{
    for (enum mvcc_bucket b = 0; b < MVCC_BUCKETS; b++)
        cr_assert_eq(mvcc_bucket_find(bytes_str(mvcc_bucket_name(b))), b);
    cr_assert_str_eq(mvcc_bucket_name(MVCC_MEMBERS_REMOVED), "members_removed");
    cr_assert_eq(mvcc_bucket_find(bytes_str("test")), MVCC_BUCKETS);
    for (enum mvcc_bucket b = 1; b < MVCC_BUCKETS; b++)
        cr_assert_lt(bytes_compare(bytes_str(mvcc_bucket_name(b - 1)),
                                   bytes_str(mvcc_bucket_name(b))),
                     0);
}

CASE(mvcc_schema, reads_and_writes_revision_keys)
{
    struct bytes put = TEXT("\0\0\0\0\0\0\0\5_\0\0\0\0\0\0\1\2");
    struct bytes gone = TEXT("\0\0\0\0\0\0\0\5_\0\0\0\0\0\0\1\2t");
    uint8_t again[MVCC_REV_SIZE];
    struct err e = { 0 };
    struct mvcc_rev rev;

    OK(mvcc_rev_read(put, &rev, &e), &e);
    cr_assert(rev.main == 5 && rev.sub == 258 && !rev.tombstone);
    mvcc_rev_write(again, rev.main, rev.sub);
    cr_assert_arr_eq(again, put.p, sizeof again);
    OK(mvcc_rev_read(gone, &rev, &e), &e);
    cr_assert(rev.main == 5 && rev.sub == 258 && rev.tombstone);
}

CASE(mvcc_schema, refuses_other_revision_keys)
{
    static const struct {
        struct bytes key;
        const char *why;
    } bad[] = {
        { TEXT(""), "a revision key has 17 or 18 bytes, not 0" },
        { TEXT("\0\0\0\0\0\0\0\5_\0\0\0\0\0\0\0\0tt"),
          "a revision key has 17 or 18 bytes, not 19" },
        { TEXT("\0\0\0\0\0\0\0\5-\0\0\0\0\0\0\0\0"),
          "byte 8 of the revision key is 0x2d, not '_'" },
        { TEXT("\0\0\0\0\0\0\0\5_\0\0\0\0\0\0\0\0x"),
          "byte 17 of the revision key is 0x78, not 't'" },
        { TEXT("\377\377\377\377\377\377\377\377_\0\0\0\0\0\0\0\0"),
          "negative revision -1/0" },
        { TEXT("\0\0\0\0\0\0\0\1_\377\377\377\377\377\377\377\376"),
          "negative revision 1/-2" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct mvcc_rev rev = { .main = 77 };
        struct err e = { 0 };

        cr_assert_eq(mvcc_rev_read(bad[i].key, &rev, &e), RC_CORRUPT, "%zu", i);
        cr_assert_str_eq(e.why, bad[i].why);
        cr_assert_eq(rev.main, 77);
    }
}

CASE(mvcc_schema, reads_the_recorded_key_value)
{
    struct err e = { 0 };
    struct mvcc_kv kv;

    OK(mvcc_kv_read(TEXT("\x0a\1y\x10\3\x18\4\x20\2\x2a\1"
                         "2"),
                    &kv, &e),
       &e);
    cr_assert(bytes_is(kv.key, "y") && bytes_is(kv.value, "2"));
    cr_assert(kv.create == 3 && kv.mod == 4 && kv.version == 2 && kv.lease == 0);
}

CASE(mvcc_schema, key_value_skips_what_is_new_and_takes_the_last)
{
    struct err e = { 0 };
    struct mvcc_kv kv;

    /* Unknown: field 7 varint, 8 fixed64, 9 bytes, 10 fixed32; the key comes twice, and
     * the lease is negative. */
    OK(mvcc_kv_read(TEXT("\x0a\1x\x38\x96\1\x41"
                         "12345678"
                         "\x4a\2ab\x55"
                         "1234"
                         "\x0a\1y\x30\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"),
                    &kv, &e),
       &e);
    cr_assert(bytes_is(kv.key, "y"));
    cr_assert_eq(kv.lease, -1);
    OK(mvcc_kv_read(TEXT(""), &kv, &e), &e);
    cr_assert_eq(kv.key.n, 0);
}

CASE(mvcc_schema, refuses_malformed_key_values)
{
    static const struct {
        struct bytes value;
        const char *why;
    } bad[] = {
        { TEXT("\x0a"), "malformed protobuf field at byte 0 of 1" },
        { TEXT("\x0a\1x\x0a\5ab"), "malformed protobuf field at byte 3 of 7" },
        { TEXT("\x10\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\1"),
          "malformed protobuf field at byte 0 of 12" },
        { TEXT("\x0a\1x\x10\x80"), "malformed protobuf field at byte 3 of 5" },
        { TEXT("\x3b\x3c"), "malformed protobuf field at byte 0 of 2" }, /* a group */
        { TEXT("\x00\x01"), "malformed protobuf field at byte 0 of 2" }, /* field 0 */
        { TEXT("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\1x"),
          "malformed protobuf field at byte 0 of 12" },
        { TEXT("\x12\1x"), "field 2 has the wire type 2" },
        { TEXT("\x28\1"), "field 5 has the wire type 0" },
    };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };
        struct mvcc_kv kv;

        cr_assert_eq(mvcc_kv_read(bad[i].value, &kv, &e), RC_CORRUPT, "%zu", i);
        cr_assert_str_eq(e.why, bad[i].why, "%zu: %s", i, e.why);
    }
}

CASE(mvcc_schema, reads_leases)
{
    struct bytes key = TEXT("\x1f\x70\xa1\xf9\x77\xc2\x79\x0b");
    struct bytes value = TEXT("\x08\x8b\xf2\x89\xbe\x97\xbf\xa8\xb8\x1f\x10\x90\x1c");
    struct mvcc_lease lease;
    struct err e = { 0 };

    OK(mvcc_lease_read(key, value, &lease, &e), &e);
    cr_assert_eq(lease.id, 0x1f70a1f977c2790b);
    cr_assert_eq(lease.ttl, 3600);
    cr_assert_eq(lease.remaining_ttl, 0);
    cr_assert_eq(mvcc_lease_read((struct bytes){ key.p, 7 }, value, &lease, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why, "a lease key has 8 bytes, not 7");
    cr_assert_eq(mvcc_lease_read(TEXT("\0\0\0\0\0\0\0\1"), value, &lease, &e),
                 RC_CORRUPT);
    cr_assert_str_eq(e.why,
                     "lease key 0000000000000001 holds the lease 1f70a1f977c2790b");
    cr_assert_eq(mvcc_lease_read(key, TEXT("\x0a\1x"), &lease, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "field 1 has the wire type 2");
}

CASE(mvcc_schema, reads_and_writes_alarms)
{
    struct bytes key = TEXT("\x08\xb0\xff\xdb\x97\xe8\x82\xc1\xc3\xbb\1\x10\1");
    static const struct mvcc_alarm others[] = {
        { 0, MVCC_ALARM_CORRUPT }, { UINT64_MAX, 2 }, { 1, 0 }, { UINT64_MAX, UINT32_MAX }
    };
    uint8_t again[MVCC_ALARM_KEY_MAX];
    struct mvcc_alarm alarm;
    struct err e = { 0 };

    OK(mvcc_alarm_read(key, &alarm, &e), &e);
    cr_assert_eq(alarm.member, 13512773701681479600u);
    cr_assert_eq(alarm.type, MVCC_ALARM_NOSPACE);
    cr_assert_eq(mvcc_alarm_write(again, alarm), key.n);
    cr_assert_arr_eq(again, key.p, key.n);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        size_t n = mvcc_alarm_write(again, others[i]);

        cr_assert_leq(n, sizeof again);
        OK(mvcc_alarm_read((struct bytes){ again, n }, &alarm, &e), &e);
        cr_assert(alarm.member == others[i].member && alarm.type == others[i].type);
    }
    cr_assert_eq(mvcc_alarm_read(TEXT("\x08"), &alarm, &e), RC_CORRUPT);
}

CASE(mvcc_schema, reads_single_values)
{
    struct mvcc_version v;
    struct err e = { 0 };
    int64_t mark = 77;
    uint64_t n = 77;
    bool flag;

    OK(mvcc_u64_read(TEXT("\0\0\0\0\0\0\1\2"), &n, &e), &e);
    cr_assert_eq(n, 258);
    cr_assert_eq(mvcc_u64_read(TEXT("\1"), &n, &e), RC_CORRUPT);
    cr_assert_str_eq(e.why, "8 bytes expected, 1 found");
    OK(mvcc_compact_rev_read(TEXT("\0\0\0\0\0\0\0\5_\0\0\0\0\0\0\0\0"), &mark, &e), &e);
    cr_assert_eq(mark, 5);
    cr_assert_eq(
        mvcc_compact_rev_read(TEXT("\0\0\0\0\0\0\0\5_\0\0\0\0\0\0\0\1"), &mark, &e),
        RC_CORRUPT);
    cr_assert_str_eq(e.why, "compaction mark with sub revision 1");
    OK(mvcc_flag_read(TEXT("\1"), &flag, &e), &e);
    cr_assert(flag);
    cr_assert_eq(mvcc_flag_read(TEXT("\2"), &flag, &e), RC_CORRUPT);
    OK(mvcc_version_read(TEXT("3.6.0"), &v, &e), &e);
    cr_assert(v.major == 3 && v.minor == 6 && v.patch == 0);
    OK(mvcc_version_read(TEXT("3.7.12-alpha.1+x"), &v, &e), &e);
    cr_assert(v.minor == 7 && v.patch == 12);
}

CASE(mvcc_schema, refuses_odd_versions_and_member_keys)
{
    static const struct bytes versions[] = { TEXT(""),        TEXT("3.6"),
                                             TEXT("3.6.0\n"), TEXT("3..0"),
                                             TEXT("v3.6.0"),  TEXT("3.6.1234567"),
                                             TEXT("3.6.0\0"), TEXT("3.6.0-a b"),
                                             TEXT("3.6.0.1") };
    static const struct bytes keys[] = {
        TEXT(""),   TEXT("0a"),   TEXT("A"),   TEXT("g"), TEXT("1 "),
        TEXT("-1"), TEXT("0x1f"), TEXT("1\0"), TEXT("/"), TEXT("11112222333344445")
    };
    struct mvcc_version v = { .major = 77 };
    struct err e = { 0 };
    uint64_t id = 77;

    for (size_t i = 0; i < sizeof versions / sizeof *versions; i++)
        cr_assert_eq(mvcc_version_read(versions[i], &v, &e), RC_CORRUPT, "%zu", i);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_assert_eq(mvcc_member_key_read(keys[i], &id, &e), RC_CORRUPT, "%zu", i);
    cr_assert_str_eq(e.why, "'11112222333344445' is not a member id in plain hex");
    cr_assert(v.major == 77 && id == 77);
}

CASE(mvcc_schema, member_keys_are_not_padded)
{
    static const uint64_t ids[] = { 0, 1, 0x4dabe5588c0f9f70, UINT64_MAX };
    char key[MVCC_MEMBER_KEY_MAX];
    struct err e = { 0 };
    uint64_t id;

    for (size_t i = 0; i < 4; i++) {
        mvcc_member_key_write(key, ids[i]);
        OK(mvcc_member_key_read(bytes_str(key), &id, &e), &e);
        cr_assert_eq(id, ids[i]);
    }
    mvcc_member_key_write(key, 0xabc);
    cr_assert_str_eq(key, "abc");
}

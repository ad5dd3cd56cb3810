#include "mvcc/collect.h"

#include <stdio.h>

#include "tests/lib/case.h"
#include "tests/unit/mvcc/fixture.h"

#define TEXT(literal) ((struct bytes){ (const uint8_t *)(literal), sizeof(literal) - 1 })

/* Facts and findings of a database that holds meta's usual pairs and these. */
struct one {
    enum mvcc_bucket bucket;
    struct bytes key, value;
};

static void judge(const struct one *pairs, size_t count, struct findings *f,
                  struct mvcc_facts *x)
{
    AT_END(database_clear) struct database db = { 0 };

    for (size_t i = 0; i < count; i++)
        pairs_add(&db.buckets[pairs[i].bucket], pairs[i].key, pairs[i].value);
    AT_END(buf_clear) struct buf image = database_image(&db);

    image_survey((struct bytes){ image.p, image.n }, f, x);
}

/* clang-format off */
static const struct {
    struct one pair;
    enum finding_severity severity;
    const char *code, *message;
} forgeries[] = {
    { { MVCC_META, TEXT("consistent_index"), TEXT("1234567") },
      FINDING_ERROR, "consistent-index", "bucket 'meta': 8 bytes expected, 7 found" },
    { { MVCC_META, TEXT("consistent_index"), TEXT("\0\0\0\0\0\0\0\0") },
      FINDING_WARN, "consistent-index", "consistent_index is 0, which etcd never writes" },
    { { MVCC_META, TEXT("term"), TEXT("") },
      FINDING_ERROR, "term", "bucket 'meta': 8 bytes expected, 0 found" },
    { { MVCC_META, TEXT("confState"), TEXT("{\"voters\":7}x") },
      FINDING_ERROR, "conf-state", NULL },
    { { MVCC_META, TEXT("scheduledCompactRev"), TEXT("\0\0\0\0\0\0\0\5_\0\0\0\0\0\0\0\0t") },
      FINDING_ERROR, "compact-revision",
      "bucket 'meta': compaction mark with sub revision 0 and a tombstone" },
    { { MVCC_META, TEXT("storageVersion"), TEXT("3.8.0") },
      FINDING_WARN, "storage-version",
      "storageVersion 3.8.0 is none that this program knows" },
    { { MVCC_META, TEXT("storageVersion"), TEXT("\33[2J") },
      FINDING_WARN, "storage-version", "storageVersion: '\\x1b[2J' is not a version" },
    { { MVCC_CLUSTER, TEXT("clusterVersion"), TEXT("three") },
      FINDING_ERROR, "cluster", "bucket 'cluster': 'three' is not a version" },
    { { MVCC_CLUSTER, TEXT("downgrade"), TEXT("{") }, FINDING_ERROR, "cluster", NULL },
    { { MVCC_CLUSTER, TEXT("downgrade"),
        TEXT("{\"target-version\":\"3.5.0\",\"enabled\":true}") },
      FINDING_WARN, "downgrade", "a downgrade to 3.5.0 is in progress" },
    { { MVCC_ALARM, TEXT("\x08\xb0\xff\xdb\x97\xe8\x82\xc1\xc3\xbb\1\x10\1"), TEXT("") },
      FINDING_WARN, "alarm", "the alarm NOSPACE of member bb87041682f6ffb0 is active" },
    { { MVCC_ALARM, TEXT("\x10\2"), TEXT("") },
      FINDING_WARN, "alarm", "the alarm CORRUPT of member 0 is active" },
    { { MVCC_ALARM, TEXT("\x08\1\x10\3"), TEXT("") },
      FINDING_WARN, "alarm", "the alarm (unknown) of member 1 is active" },
    { { MVCC_ALARM, TEXT("\x10"), TEXT("") }, FINDING_ERROR, "alarm",
      "bucket 'alarm': malformed protobuf field at byte 0 of 1" },
    { { MVCC_AUTH, TEXT("authEnabled"), TEXT("\1") },
      FINDING_NOTE, "auth-enabled", "authentication is on, users: 0" },
    { { MVCC_AUTH, TEXT("authEnabled"), TEXT("yes") },
      FINDING_ERROR, "auth", "bucket 'auth': one byte 0 or 1 expected, 3 bytes found" },
    { { MVCC_AUTH_USERS, TEXT("eve"), TEXT("\x0a\3bob") },
      FINDING_ERROR, "user", "bucket 'authUsers': key 'eve' holds the name 'bob'" },
    { { MVCC_AUTH_ROLES, TEXT("r"), TEXT("\x0a\5r") }, FINDING_ERROR, "role",
      "bucket 'authRoles': malformed protobuf field at byte 0 of 3" },
    { { MVCC_LEASE, TEXT("lease"), TEXT("") },
      FINDING_ERROR, "lease", "bucket 'lease': a lease key has 8 bytes, not 5" },
    { { MVCC_MEMBERS, TEXT("1"), TEXT("{\"id\":1,\"peerURLs\":[[[[[[[[[[[[[[[[[[[[[[[["
                                       "[[[[[[[[[[[[[[[[") },
      FINDING_ERROR, "member", NULL },
    { { MVCC_MEMBERS, TEXT("2"), TEXT("{\"id\":1}") },
      FINDING_ERROR, "member", "bucket 'members': member key 2 holds the member 1" },
    { { MVCC_MEMBERS, TEXT("1"), TEXT("{\"id\":1,\"isLearner\":true}") },
      FINDING_NOTE, "learner", "member 1 is a learner" },
    { { MVCC_MEMBERS, TEXT("1"), TEXT("{\"id\":1,\"peerURLs\":[\"http://u:p@h\"]}") },
      FINDING_WARN, "member-url", "member 1 has the odd URL 'http://u:p@h'" },
    { { MVCC_MEMBERS, TEXT("1"), TEXT("{\"id\":1,\"clientURLs\":[\"http://h\\n\"]}") },
      FINDING_WARN, "member-url", "member 1 has the odd URL 'http://h\\x0a'" },
    { { MVCC_MEMBERS, TEXT("1"), TEXT("{\"id\":1,\"clientURLs\":[\"file:///\"]}") },
      FINDING_WARN, "member-url", "member 1 has the odd URL 'file:///'" },
    { { MVCC_MEMBERS_REMOVED, TEXT("0001"), TEXT("removed") },
      FINDING_ERROR, "member-removed",
      "bucket 'members_removed': '0001' is not a member id in plain hex" },
};
/* clang-format on */

CASE(mvcc_collect, names_what_is_odd)
{
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        AT_END(findings_clear) struct findings f = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

        judge(&forgeries[i].pair, 1, &f, &x);
        cr_assert_eq(f.kept, 1, "%zu: %s", i, findings_text(&f));
        cr_assert_str_eq(f.items[0].code, forgeries[i].code, "%zu", i);
        cr_assert_eq(f.items[0].severity, forgeries[i].severity, "%zu", i);
        if (forgeries[i].message != NULL)
            cr_assert_str_eq(f.items[0].message, forgeries[i].message);
        cr_assert(x.pages_complete && x.status_hash_known);
    }
}

CASE(mvcc_collect, without_findings_only_errors_end_it)
{
    for (size_t i = 0; i < sizeof forgeries / sizeof *forgeries; i++) {
        const struct mvcc_survey_options o = { .level = MVCC_FULL };
        AT_END(database_clear) struct database db = { 0 };
        AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };
        OWNED(bolt_file) file = NULL;
        struct err e = { 0 };

        pairs_add(&db.buckets[forgeries[i].pair.bucket], forgeries[i].pair.key,
                  forgeries[i].pair.value);
        AT_END(buf_clear) struct buf image = database_image(&db);

        OK(image_open((struct bytes){ image.p, image.n }, NULL, &file, &e), &e);
        cr_assert_eq(mvcc_survey_file(file, &o, NULL, &x, &e),
                     forgeries[i].severity == FINDING_ERROR ? RC_CORRUPT : RC_OK, "%zu",
                     i);
    }
}

CASE(mvcc_collect, sees_members_that_should_not_be)
{
    static const struct one pairs[] = {
        { MVCC_MEMBERS, TEXT("a"), TEXT("{\"id\":10,\"peerURLs\":[\"http://a:1\"]}") },
        { MVCC_MEMBERS, TEXT("b"),
          TEXT("{\"id\":11,\"peerURLs\":[\"https://b:1\"],\"isLearner\":true}") },
        { MVCC_MEMBERS, TEXT("c"), TEXT("{\"id\":12,\"peerURLs\":[\"unix://c:1\"]}") },
        { MVCC_MEMBERS_REMOVED, TEXT("a"), TEXT("removed") },
        { MVCC_MEMBERS_REMOVED, TEXT("d"), TEXT("removed") },
        { MVCC_META, TEXT("confState"),
          TEXT("{\"voters\":[10,11],\"auto_leave\":false}") },
    };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

    judge(pairs, sizeof pairs / sizeof *pairs, &f, &x);
    cr_assert_str_eq(findings_text(&f),
                     "warning member-zombie: member a is both a member and removed\n"
                     "note learner: member b is a learner\n"
                     "note conf-state-differs: member b is a learner, in confState it is "
                     "a voter\n"
                     "note conf-state-differs: member c is a voter, in confState it is "
                     "not there\n");
    cr_assert_eq(x.member_count, 3);
    cr_assert_eq(x.removed_members.count, 2);
    cr_assert_eq(x.removed_members.items[1], 13);
    cr_assert(x.members[1].learner);
}

CASE(mvcc_collect, gathers_single_values)
{
    static const struct one pairs[] = {
        { MVCC_AUTH, TEXT("authEnabled"), TEXT("\1") },
        { MVCC_AUTH, TEXT("authRevision"), TEXT("\0\0\0\0\0\0\0\6") },
        { MVCC_AUTH_USERS, TEXT("root"), TEXT("\x0a\4root\x1a\4root") },
        { MVCC_CLUSTER, TEXT("clusterVersion"), TEXT("3.6.0") },
        { MVCC_CLUSTER, TEXT("downgrade"), TEXT("{\"enabled\":false}") },
        { MVCC_META, TEXT("consistent_index"), TEXT("\0\0\0\0\0\0\1\0") },
        { MVCC_META, TEXT("storageVersion"), TEXT("3.6.0") },
        { MVCC_META, TEXT("term"), TEXT("\0\0\0\0\0\0\0\3") },
    };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

    judge(pairs, sizeof pairs / sizeof *pairs, &f, &x);
    cr_assert_str_eq(findings_text(&f),
                     "note auth-enabled: authentication is on, users: 1\n");
    cr_assert(x.auth_enabled && x.auth_revision == 6 && x.user_count == 1);
    cr_assert(x.has_consistent_index && x.consistent_index == 256);
    cr_assert(x.has_term && x.term == 3);
    cr_assert_str_eq(x.cluster_version, "3.6.0");
    cr_assert_str_eq(x.writer, "3.6");
    cr_assert_not(x.downgrade.enabled);
}

CASE(mvcc_collect, knows_etcd_by_its_buckets)
{
    AT_END(database_clear) struct database db = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

    db.without[MVCC_KEY] = db.without[MVCC_LEASE] = true;
    AT_END(buf_clear) struct buf image = database_image(&db);

    image_survey((struct bytes){ image.p, image.n }, &f, &x);
    cr_assert_str_eq(
        findings_text(&f),
        "error bucket-missing: not an etcd database: it has no bucket 'key'\n"
        "error bucket-missing: bucket 'lease' is missing\n");
}

/* Damage that hits a name leaves a key that nobody reads: authentication would be off. */
CASE(mvcc_collect, tells_keys_that_no_etcd_writes)
{
    struct one pairs[] = {
        { MVCC_AUTH, TEXT("authEnabmed"), TEXT("\1") },
        { MVCC_CLUSTER, TEXT("clustervErsion"), TEXT("3.6.0") },
        { MVCC_META, TEXT("storageVersion"), TEXT("3.6.0") },
        { MVCC_META, TEXT("te\0m"), TEXT("\0\0\0\0\0\0\0\3") },
    };
    const char *message = "key-unknown: bucket 'auth' holds 'authEnabmed', which is not "
                          "one of etcd's keys; such keys: 3\n";
    AT_END(findings_clear) struct findings f = { 0 }, newer = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 }, y = { 0 };
    char want[256];

    judge(pairs, sizeof pairs / sizeof *pairs, &f, &x);
    snprintf(want, sizeof want, "error %s", message);
    cr_assert_str_eq(findings_text(&f), want);

    pairs[2].value = TEXT("3.8.0");
    judge(pairs, sizeof pairs / sizeof *pairs, &newer, &y);
    cr_assert_not_null(findings_find(&newer, "key-unknown"));
    cr_assert_eq(findings_find(&newer, "key-unknown")->severity, FINDING_WARN);
}

CASE(mvcc_collect, tells_roles_that_do_not_exist)
{
    static const struct one pairs[] = {
        { MVCC_AUTH_ROLES, TEXT("a"), TEXT("\x0a\1a") },
        { MVCC_AUTH_ROLES, TEXT("b"), TEXT("\x0a\1b") },
        { MVCC_AUTH_ROLES, TEXT("d"), TEXT("\x0a\1d") },
        { MVCC_AUTH_USERS, TEXT("bob"), TEXT("\x0a\3bob\x1a\1a\x1a\1b\x1a\1d") },
        { MVCC_AUTH_USERS, TEXT("eve"), TEXT("\x0a\3eve\x1a\1b\x1a\1c\x1a\4root") },
    };
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mvcc_facts_end) struct mvcc_facts x = { 0 };

    judge(pairs, sizeof pairs / sizeof *pairs, &f, &x);
    cr_assert_str_eq(findings_text(&f),
                     "error role-missing: user 'eve' has the role 'c', "
                     "which does not exist\n");
}

CASE(mvcc_collect, notes_unknown_buckets)
{
    struct mvcc_facts x = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    struct mvcc_collect c = { .facts = &x, .f = &f };
    struct err e = { 0 };

    OK(mvcc_collect_bucket(&c, bytes_str("te\nst"), &e), &e);
    OK(mvcc_collect_pair(&c, bytes_str("a"), bytes_str("b"), 3, &e), &e);
    cr_assert_str_eq(f.items[0].message, "bucket 'te\\x0ast' is not one of etcd's");
    cr_assert_eq(f.kept, 1);
    mvcc_collect_clear(&c);
}

#include "salvage/shape.h"

#include "mvcc/keys.h"
#include "mvcc/member.h"

/* ---- one pair ---------------------------------------------------------------------- */

static bool is_record(struct bytes key, struct bytes value)
{
    struct mvcc_rev rev;
    struct mvcc_kv kv;
    struct err ignored;

    if (mvcc_rev_read(key, &rev, &ignored) != RC_OK || rev.main < 2 ||
        value.n > INT32_MAX || mvcc_kv_read(value, &kv, &ignored) != RC_OK)
        return false;
    if (value.n == 0)
        return !rev.tombstone; /* what a revision bump leaves */
    if (kv.key.n == 0)
        return false;
    if (rev.tombstone)
        return (kv.create | kv.mod | kv.version | kv.lease) == 0 && kv.value.n == 0;
    return kv.mod == rev.main && kv.version >= 1 && kv.version <= MVCC_KEY_VERSION_MAX &&
           kv.create >= 1 && kv.create <= rev.main;
}

static bool is_lease(struct bytes key, struct bytes value)
{
    struct mvcc_lease lease;
    struct err ignored;

    return mvcc_lease_read(key, value, &lease, &ignored) == RC_OK;
}

static bool is_user(struct bytes key, struct bytes value)
{
    AT_END(mvcc_user_clear) struct mvcc_user user = { 0 };
    struct err ignored;

    return mvcc_user_read(key, value, &user, &ignored) == RC_OK;
}

static bool is_role(struct bytes key, struct bytes value)
{
    AT_END(mvcc_role_clear) struct mvcc_role role = { 0 };
    struct err ignored;

    return mvcc_role_read(key, value, &role, &ignored) == RC_OK;
}

static bool is_member(struct bytes key, struct bytes value)
{
    AT_END(mvcc_member_clear) struct mvcc_member member = { 0 };
    struct err ignored;

    return mvcc_member_read(key, value, &member, &ignored) == RC_OK;
}

static bool is_removed(struct bytes key, struct bytes value)
{
    struct err ignored;
    uint64_t id;

    return bytes_is(value, "removed") &&
           mvcc_member_key_read(key, &id, &ignored) == RC_OK;
}

static bool is_alarm(struct bytes key, struct bytes value)
{
    struct mvcc_alarm alarm;
    struct err ignored;

    return value.n == 0 && mvcc_alarm_read(key, &alarm, &ignored) == RC_OK;
}

static bool is_auth(struct bytes key, struct bytes value)
{
    struct err ignored;
    uint64_t number;
    bool flag;

    if (bytes_is(key, MVCC_AUTH_ENABLED))
        return mvcc_flag_read(value, &flag, &ignored) == RC_OK;
    return bytes_is(key, MVCC_AUTH_REVISION) &&
           mvcc_u64_read(value, &number, &ignored) == RC_OK;
}

static bool is_version(struct bytes value)
{
    struct mvcc_version version;
    struct err ignored;

    return mvcc_version_read(value, &version, &ignored) == RC_OK;
}

static bool is_cluster(struct bytes key, struct bytes value)
{
    AT_END(mvcc_downgrade_clear) struct mvcc_downgrade downgrade = { 0 };
    struct err ignored;

    if (bytes_is(key, MVCC_CLUSTER_VERSION))
        return is_version(value);
    return bytes_is(key, MVCC_DOWNGRADE) &&
           mvcc_downgrade_read(value, &downgrade, &ignored) == RC_OK;
}

static bool is_conf_state(struct bytes value)
{
    AT_END(mvcc_conf_state_clear) struct mvcc_conf_state conf = { 0 };
    struct err ignored;

    return mvcc_conf_state_read(value, &conf, &ignored) == RC_OK;
}

static bool is_meta(struct bytes key, struct bytes value)
{
    struct err ignored;
    uint64_t number;
    int64_t revision;

    if (bytes_is(key, MVCC_CONSISTENT_INDEX) || bytes_is(key, MVCC_TERM))
        return mvcc_u64_read(value, &number, &ignored) == RC_OK;
    if (bytes_is(key, MVCC_FINISHED_COMPACT) || bytes_is(key, MVCC_SCHEDULED_COMPACT))
        return mvcc_compact_rev_read(value, &revision, &ignored) == RC_OK;
    if (bytes_is(key, MVCC_STORAGE_VERSION))
        return is_version(value);
    return bytes_is(key, MVCC_CONF_STATE) && is_conf_state(value);
}

bool salvage_shape_fits(enum mvcc_bucket b, struct bytes key, struct bytes value)
{
    static bool (*const fits[MVCC_BUCKETS])(struct bytes key, struct bytes value) = {
        [MVCC_ALARM] = is_alarm,     [MVCC_AUTH] = is_auth,
        [MVCC_AUTH_ROLES] = is_role, [MVCC_AUTH_USERS] = is_user,
        [MVCC_CLUSTER] = is_cluster, [MVCC_KEY] = is_record,
        [MVCC_LEASE] = is_lease,     [MVCC_MEMBERS] = is_member,
        [MVCC_META] = is_meta,       [MVCC_MEMBERS_REMOVED] = is_removed,
    };

    return b < MVCC_BUCKETS && fits[b](key, value);
}

/* ---- pages ------------------------------------------------------------------------- */

static bool all_fit(const struct bolt_page *leaf, enum mvcc_bucket b)
{
    for (uint16_t i = 0; i < leaf->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(leaf, i);

        if (pair.is_bucket || !salvage_shape_fits(b, pair.key, pair.value))
            return false;
    }
    return true;
}

/* Records of bucket key have a shape of their own; one of them makes the leaf a leaf of
 * it, for another may be what is damaged. */
static bool has_record(const struct bolt_page *leaf)
{
    for (uint16_t i = 0; i < leaf->count; i++) {
        struct bolt_pair pair = bolt_leaf_at(leaf, i);

        if (!pair.is_bucket && is_record(pair.key, pair.value))
            return true;
    }
    return false;
}

enum mvcc_bucket salvage_shape_of(const struct bolt_page *leaf)
{
    enum mvcc_bucket found = MVCC_BUCKETS;

    if (has_record(leaf))
        return MVCC_KEY;
    for (int b = 0; b < MVCC_BUCKETS && leaf->count > 0; b++) {
        if (b == MVCC_KEY || !all_fit(leaf, (enum mvcc_bucket)b))
            continue;
        if (found != MVCC_BUCKETS)
            return MVCC_BUCKETS;
        found = (enum mvcc_bucket)b;
    }
    return found;
}

bool salvage_shape_branch(const struct bolt_page *branch)
{
    struct mvcc_rev rev;
    struct err ignored;

    for (uint16_t i = 0; i < branch->count; i++)
        if (mvcc_rev_read(bolt_branch_key(branch, i), &rev, &ignored) != RC_OK)
            return false;
    return true;
}

static bool names_bucket(const struct bolt_page *page, uint16_t i)
{
    struct bolt_pair pair;

    if (page->kind == BOLT_PAGE_BRANCH)
        return mvcc_bucket_find(bolt_branch_key(page, i)) != MVCC_BUCKETS;
    pair = bolt_leaf_at(page, i);
    return pair.is_bucket && mvcc_bucket_find(pair.key) != MVCC_BUCKETS;
}

bool salvage_shape_root(const struct bolt_page *page)
{
    for (uint16_t i = 0; i < page->count; i++)
        if (!names_bucket(page, i))
            return false;
    return page->count > 0;
}

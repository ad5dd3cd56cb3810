#include "mvcc/collect.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "util/mem.h"

void mvcc_collect_clear(struct mvcc_collect *c)
{
    mem_free(c->lease_ids);
    *c = (struct mvcc_collect){ 0 };
}

static enum rc tell(struct mvcc_collect *c, enum finding_severity severity,
                    const char *code, uint64_t page, struct err *e, const char *fmt, ...)
    PRINTF_LIKE(6, 7);

static enum rc tell(struct mvcc_collect *c, enum finding_severity severity,
                    const char *code, uint64_t page, struct err *e, const char *fmt, ...)
{
    char text[224];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (c->f != NULL)
        return findings_add(c->f, severity, code, page, e, "%s", text);
    return severity == FINDING_ERROR ? err_set(e, RC_CORRUPT, "%s", text) : RC_OK;
}

/* What a reader said of a pair: damage is a finding and the survey goes on; that memory
 * ran out is not. */
static enum rc judge(struct mvcc_collect *c, enum rc rc, const char *code, uint64_t page,
                     const struct err *why, struct err *e)
{
    if (rc == RC_OK)
        return RC_OK;
    if (rc == RC_CORRUPT)
        return tell(c, FINDING_ERROR, code, page, e, "bucket '%s': %s",
                    mvcc_bucket_name(c->bucket), why->why);
    *e = *why;
    return rc;
}

/* Room for one more item at the end of a list. */
static enum rc room(void *list, size_t count, size_t size, struct err *e)
{
    void *items;

    memcpy(&items, list, sizeof items);
    items = mem_resize(items, count + 1, size);
    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for %zu items", count + 1);
    memcpy(list, &items, sizeof items);
    return RC_OK;
}

/* ---- one pair, bucket by bucket --------------------------------------------------- */

static enum rc alarm_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                          struct err *e)
{
    struct mvcc_facts *facts = c->facts;
    struct mvcc_alarm alarm;

    (void)value;
    TRY(mvcc_alarm_read(key, &alarm, e));
    TRY(room(&facts->alarms, facts->alarm_count, sizeof alarm, e));
    facts->alarms[facts->alarm_count++] = alarm;
    return RC_OK;
}

/* A key that no etcd known here writes: a newer one's, or what damage left of one of
 * ours. */
static enum rc odd_key(struct mvcc_collect *c, struct bytes key)
{
    if (c->odd_keys++ == 0) {
        c->odd_bucket = c->bucket;
        str_printable(c->odd_key, sizeof c->odd_key, key);
    }
    return RC_OK;
}

static enum rc auth_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                         struct err *e)
{
    if (bytes_is(key, MVCC_AUTH_ENABLED))
        return mvcc_flag_read(value, &c->facts->auth_enabled, e);
    if (bytes_is(key, MVCC_AUTH_REVISION))
        return mvcc_u64_read(value, &c->facts->auth_revision, e);
    return odd_key(c, key);
}

/* Room first and the count last: a pair that cannot be read leaves the list as it was. */
static enum rc role_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                         struct err *e)
{
    struct mvcc_facts *facts = c->facts;

    TRY(room(&facts->roles, facts->role_count, sizeof *facts->roles, e));
    TRY(mvcc_role_read(key, value, &facts->roles[facts->role_count], e));
    facts->role_count++;
    return RC_OK;
}

static enum rc user_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                         struct err *e)
{
    struct mvcc_facts *facts = c->facts;

    TRY(room(&facts->users, facts->user_count, sizeof *facts->users, e));
    TRY(mvcc_user_read(key, value, &facts->users[facts->user_count], e));
    facts->user_count++;
    return RC_OK;
}

static enum rc text_set(char **to, struct bytes value, struct err *e)
{
    char shown[64];
    char *copy;

    /* Whatever it is, it will be printed. */
    str_printable(shown, sizeof shown, value);
    copy = mem_str(shown);
    if (copy == NULL)
        return err_set(e, RC_NOMEM, "no memory for a version");
    mem_free(*to);
    *to = copy;
    return RC_OK;
}

/* clusterVersion is checked here, for etcd dies of one that it cannot parse. */
static enum rc cluster_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                            struct err *e)
{
    struct mvcc_version v;

    if (bytes_is(key, MVCC_CLUSTER_VERSION)) {
        TRY(mvcc_version_read(value, &v, e));
        return text_set(&c->facts->cluster_version, value, e);
    }
    if (bytes_is(key, MVCC_DOWNGRADE)) {
        mvcc_downgrade_clear(&c->facts->downgrade);
        return mvcc_downgrade_read(value, &c->facts->downgrade, e);
    }
    return odd_key(c, key);
}

/* Leases may be a million; their ids arrive in order, which is how they are searched. */
static enum rc lease_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                          struct err *e)
{
    struct mvcc_lease lease;

    TRY(mvcc_lease_read(key, value, &lease, e));
    if (c->facts->leases == c->lease_capacity) {
        size_t capacity = c->lease_capacity == 0 ? 256 : c->lease_capacity * 2;

        TRY(room(&c->lease_ids, capacity - 1, sizeof *c->lease_ids, e));
        c->lease_capacity = capacity;
    }
    c->lease_ids[c->facts->leases++] = lease.id;
    return c->lease == NULL ? RC_OK : c->lease(c->lease_arg, &lease, e);
}

static enum rc member_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                           struct err *e)
{
    struct mvcc_facts *facts = c->facts;

    TRY(room(&facts->members, facts->member_count, sizeof *facts->members, e));
    TRY(mvcc_member_read(key, value, &facts->members[facts->member_count], e));
    facts->member_count++;
    return RC_OK;
}

/* The value is the text "removed"; nobody reads it. */
static enum rc removed_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                            struct err *e)
{
    uint64_t id;

    (void)value;
    TRY(mvcc_member_key_read(key, &id, e));
    return mvcc_ids_add(&c->facts->removed_members, id, e);
}

/* Each of these may meet a hostile file that holds its key twice, so what an earlier one
 * left is dropped. */
static enum rc conf_state_set(struct mvcc_facts *facts, struct bytes value, struct err *e)
{
    mvcc_conf_state_clear(&facts->conf_state);
    facts->has_conf_state = false;
    TRY(mvcc_conf_state_read(value, &facts->conf_state, e));
    facts->has_conf_state = true;
    return RC_OK;
}

/* Whether its version is one we know is asked at the end. */
static enum rc storage_version_set(struct mvcc_facts *facts, struct bytes value,
                                   struct err *e)
{
    return text_set(&facts->storage_version, value, e);
}

static enum rc consistent_index_set(struct mvcc_facts *facts, struct bytes value,
                                    struct err *e)
{
    TRY(mvcc_u64_read(value, &facts->consistent_index, e));
    facts->has_consistent_index = true;
    return RC_OK;
}

static enum rc term_set(struct mvcc_facts *facts, struct bytes value, struct err *e)
{
    TRY(mvcc_u64_read(value, &facts->term, e));
    facts->has_term = true;
    return RC_OK;
}

static enum rc finished_set(struct mvcc_facts *facts, struct bytes value, struct err *e)
{
    return mvcc_compact_rev_read(value, &facts->compact_revision, e);
}

static enum rc scheduled_set(struct mvcc_facts *facts, struct bytes value, struct err *e)
{
    return mvcc_compact_rev_read(value, &facts->scheduled_revision, e);
}

/* clang-format off */
static const struct {
    const char *key, *code;
    enum rc (*set)(struct mvcc_facts *, struct bytes, struct err *);
} meta_keys[] = {
    { MVCC_CONSISTENT_INDEX,  "consistent-index", consistent_index_set },
    { MVCC_TERM,              "term",             term_set },
    { MVCC_CONF_STATE,        "conf-state",       conf_state_set },
    { MVCC_SCHEDULED_COMPACT, "compact-revision", scheduled_set },
    { MVCC_FINISHED_COMPACT,  "compact-revision", finished_set },
    { MVCC_STORAGE_VERSION,   "storage-version",  storage_version_set },
};
/* clang-format on */

static enum rc meta_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                         uint64_t page, struct err *e)
{
    struct err why = { 0 };

    for (size_t i = 0; i < sizeof meta_keys / sizeof *meta_keys; i++)
        if (bytes_is(key, meta_keys[i].key))
            return judge(c, meta_keys[i].set(c->facts, value, &why), meta_keys[i].code,
                         page, &why, e);
    return odd_key(c, key);
}

/* clang-format off */
static const struct {
    const char *code;
    enum rc (*pair)(struct mvcc_collect *, struct bytes, struct bytes, struct err *);
} readers[MVCC_BUCKETS] = {
    [MVCC_ALARM]           = { "alarm",          alarm_pair },
    [MVCC_AUTH]            = { "auth",           auth_pair },
    [MVCC_AUTH_ROLES]      = { "role",           role_pair },
    [MVCC_AUTH_USERS]      = { "user",           user_pair },
    [MVCC_CLUSTER]         = { "cluster",        cluster_pair },
    [MVCC_LEASE]           = { "lease",          lease_pair },
    [MVCC_MEMBERS]         = { "member",         member_pair },
    [MVCC_MEMBERS_REMOVED] = { "member-removed", removed_pair },
};
/* clang-format on */

enum rc mvcc_collect_bucket(struct mvcc_collect *c, struct bytes name, struct err *e)
{
    char shown[64];

    c->bucket = mvcc_bucket_find(name);
    if (c->bucket != MVCC_BUCKETS) {
        c->seen[c->bucket] = true;
        return RC_OK;
    }
    str_printable(shown, sizeof shown, name);
    return tell(c, FINDING_NOTE, "bucket-unknown", FINDING_NO_PAGE, e,
                "bucket '%s' is not one of etcd's", shown);
}

enum rc mvcc_collect_pair(struct mvcc_collect *c, struct bytes key, struct bytes value,
                          uint64_t page, struct err *e)
{
    struct err why = { 0 };

    if (c->bucket == MVCC_META)
        return meta_pair(c, key, value, page, e);
    if (c->bucket == MVCC_BUCKETS || readers[c->bucket].pair == NULL)
        return RC_OK;
    return judge(c, readers[c->bucket].pair(c, key, value, &why), readers[c->bucket].code,
                 page, &why, e);
}

/* ---- how it fits together --------------------------------------------------------- */

/* etcd creates all ten before it serves anything, and never drops one: a name that is
 * missing was damaged, and with it go users, leases or that authentication was on. */
static enum rc check_buckets(struct mvcc_collect *c, struct err *e)
{
    for (enum mvcc_bucket b = 0; b < MVCC_BUCKETS; b++) {
        bool vital = b == MVCC_KEY || b == MVCC_META;

        if (!c->seen[b])
            TRY(tell(c, FINDING_ERROR, "bucket-missing", FINDING_NO_PAGE, e,
                     vital ? "not an etcd database: it has no bucket '%s'"
                           : "bucket '%s' is missing",
                     mvcc_bucket_name(b)));
    }
    return RC_OK;
}

/* A NOSPACE alarm that is restored makes the new cluster refuse writes, so it matters
 * before that. */
static enum rc check_alarms(struct mvcc_collect *c, struct err *e)
{
    static const char *const names[] = { "NONE", "NOSPACE", "CORRUPT" };

    for (size_t i = 0; i < c->facts->alarm_count; i++) {
        const struct mvcc_alarm *a = &c->facts->alarms[i];

        TRY(tell(c, FINDING_WARN, "alarm", FINDING_NO_PAGE, e,
                 "the alarm %s of member %" PRIx64 " is active",
                 a->type < 3 ? names[a->type] : "(unknown)", a->member));
    }
    return RC_OK;
}

/* Printable, http or unix, and without a password that would be shown everywhere. */
static bool url_is_plain(const char *url)
{
    if (strncmp(url, "http", 4) != 0 && strncmp(url, "unix", 4) != 0)
        return false;
    for (; *url != '\0'; url++)
        if ((unsigned char)*url <= ' ' || (unsigned char)*url >= 0x7f || *url == '@')
            return false;
    return true;
}

static enum rc check_urls(struct mvcc_collect *c, const struct mvcc_member *m,
                          const struct str_list *urls, struct err *e)
{
    char shown[96];

    for (size_t i = 0; i < urls->count; i++) {
        if (url_is_plain(urls->items[i]))
            continue;
        str_printable(shown, sizeof shown, bytes_str(urls->items[i]));
        TRY(tell(c, FINDING_WARN, "member-url", FINDING_NO_PAGE, e,
                 "member %" PRIx64 " has the odd URL '%s'", m->id, shown));
    }
    return RC_OK;
}

/* A learner that the raft configuration calls a voter, or the other way round: 3.5 up to
 * 3.5.19 does not save a promotion here. Only a note, as etcd's restore leaves the old
 * cluster's confState behind. */
static enum rc check_conf_state(struct mvcc_collect *c, const struct mvcc_member *m,
                                struct err *e)
{
    const struct mvcc_conf_state *conf = &c->facts->conf_state;
    bool voter = mvcc_ids_has(&conf->voters, m->id);
    bool learner = mvcc_ids_has(&conf->learners, m->id);

    if (!c->facts->has_conf_state || (m->learner ? learner : voter))
        return RC_OK;
    return tell(c, FINDING_NOTE, "conf-state-differs", FINDING_NO_PAGE, e,
                "member %" PRIx64 " is %s, in confState it is %s", m->id,
                m->learner ? "a learner" : "a voter",
                voter     ? "a voter"
                : learner ? "a learner"
                          : "not there");
}

static enum rc check_members(struct mvcc_collect *c, struct err *e)
{
    for (size_t i = 0; i < c->facts->member_count; i++) {
        const struct mvcc_member *m = &c->facts->members[i];

        if (m->learner)
            TRY(tell(c, FINDING_NOTE, "learner", FINDING_NO_PAGE, e,
                     "member %" PRIx64 " is a learner", m->id));
        /* 3.5 before 3.5.26 could bring removed members back. */
        if (mvcc_ids_has(&c->facts->removed_members, m->id))
            TRY(tell(c, FINDING_WARN, "member-zombie", FINDING_NO_PAGE, e,
                     "member %" PRIx64 " is both a member and removed", m->id));
        TRY(check_urls(c, m, &m->peer_urls, e));
        TRY(check_urls(c, m, &m->client_urls, e));
        TRY(check_conf_state(c, m, e));
    }
    return RC_OK;
}

/* The newest mark that a version leaves and earlier ones do not. */
static const char *guess_writer(const struct mvcc_facts *facts, bool storage_known,
                                struct mvcc_version storage)
{
    if (storage_known && storage.major == 3 && storage.minor == 7)
        return "3.7";
    if (storage_known && storage.major == 3 && storage.minor == 6)
        return "3.6";
    if (facts->storage_version != NULL)
        return "";
    if (facts->has_term || facts->has_conf_state)
        return "3.5";
    return facts->has_consistent_index ? "3.4" : "";
}

static enum rc check_versions(struct mvcc_collect *c, struct err *e)
{
    const char *text = c->facts->storage_version;
    struct mvcc_version v = { 0 };
    struct err why = { 0 };
    bool known = text != NULL && mvcc_version_read(bytes_str(text), &v, &why) == RC_OK;

    c->facts->writer = guess_writer(c->facts, known, v);
    if (text == NULL || c->facts->writer[0] != '\0')
        return RC_OK;
    if (!known)
        return tell(c, FINDING_WARN, "storage-version", FINDING_NO_PAGE, e,
                    "storageVersion: %s", why.why);
    return tell(c, FINDING_WARN, "storage-version", FINDING_NO_PAGE, e,
                "storageVersion %s is none that this program knows", text);
}

/* An error in the files of versions whose keys are all known: `authEnabled` under another
 * name means that authentication is off. */
static enum rc check_odd_keys(struct mvcc_collect *c, struct err *e)
{
    if (c->odd_keys == 0)
        return RC_OK;
    return tell(c, c->facts->writer[0] != '\0' ? FINDING_ERROR : FINDING_WARN,
                "key-unknown", FINDING_NO_PAGE, e,
                "bucket '%s' holds '%s', which is not one of etcd's keys; such keys: %zu",
                mvcc_bucket_name(c->odd_bucket), c->odd_key, c->odd_keys);
}

static bool role_exists(const struct mvcc_facts *facts, const char *name)
{
    size_t from = 0, to = facts->role_count;

    while (from < to) {
        size_t middle = from + (to - from) / 2;
        int order = strcmp(facts->roles[middle].name, name);

        if (order == 0)
            return true;
        if (order < 0)
            from = middle + 1;
        else
            to = middle;
    }
    return false;
}

/* etcd grants no role that is not there, `root` aside, and takes a deleted one from its
 * users. Roles lie in the order of their names. */
static enum rc check_roles(struct mvcc_collect *c, const struct mvcc_user *u,
                           struct err *e)
{
    char user[64], role[64];

    for (size_t i = 0; i < u->roles.count; i++) {
        const char *name = u->roles.items[i];

        if (strcmp(name, "root") == 0 || role_exists(c->facts, name))
            continue;
        str_printable(user, sizeof user, bytes_str(u->name));
        str_printable(role, sizeof role, bytes_str(name));
        TRY(tell(c, FINDING_ERROR, "role-missing", FINDING_NO_PAGE, e,
                 "user '%s' has the role '%s', which does not exist", user, role));
    }
    return RC_OK;
}

/* A downgrade that is restored keeps 3.5 of another minor version from starting. */
enum rc mvcc_collect_finish(struct mvcc_collect *c, struct err *e)
{
    const struct mvcc_downgrade *d = &c->facts->downgrade;
    char target[64];

    TRY(check_buckets(c, e));
    TRY(check_alarms(c, e));
    TRY(check_members(c, e));
    TRY(check_versions(c, e));
    TRY(check_odd_keys(c, e));
    for (size_t i = 0; i < c->facts->user_count; i++)
        TRY(check_roles(c, &c->facts->users[i], e));
    if (c->facts->has_consistent_index && c->facts->consistent_index == 0)
        TRY(tell(c, FINDING_WARN, "consistent-index", FINDING_NO_PAGE, e,
                 "consistent_index is 0, which etcd never writes"));
    if (d->enabled) {
        str_printable(target, sizeof target, bytes_str(d->target ? d->target : "?"));
        TRY(tell(c, FINDING_WARN, "downgrade", FINDING_NO_PAGE, e,
                 "a downgrade to %s is in progress", target));
    }
    if (c->facts->auth_enabled)
        TRY(tell(c, FINDING_NOTE, "auth-enabled", FINDING_NO_PAGE, e,
                 "authentication is on, users: %zu", c->facts->user_count));
    return RC_OK;
}

#include "datadir/read.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "mvcc/survey.h"
#include "util/mem.h"
#include "util/os.h"
#include "wal/snapfile.h"

void datadir_free(struct datadir *d)
{
    if (d == NULL)
        return;
    mvcc_facts_clear(&d->facts);
    bolt_file_free(d->db);
    wal_free(d->wal);
    findings_clear(&d->findings);
    mem_free(d->db_path);
    mem_free(d->wal_path);
    mem_free(d);
}

/* While it is read. */
struct reading {
    const struct datadir_request *request;
    struct datadir *d;
    char *snap_dir;
    struct snapdir snaps;
    bool young; /* there is a database, and nothing of the log is in it */
};

static void reading_end(struct reading *r)
{
    snapdir_clear(&r->snaps);
    mem_free(r->snap_dir);
}

#define TELL(r, severity, code, ...)                                              \
    findings_add(&(r)->d->findings, FINDING_##severity, code, FINDING_NO_PAGE, e, \
                 __VA_ARGS__)

/* ---- where things are -------------------------------------------------------------- */

static enum rc has_directory(const char *path, const char *name, bool *has, struct err *e)
{
    AT_END(mem_end) char *below = NULL;
    OWNED_FD int fd = -1;
    enum rc rc;

    TRY(str_format(&below, e, "%s/%s", path, name));
    rc = os_open(AT_FDCWD, below, O_RDONLY | O_DIRECTORY, 0, &fd, e);
    *has = rc == RC_OK;
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* DIR/member when that is there, else DIR itself, which then must hold snap or wal. */
static enum rc find_member(const char *dir, char **out, struct err *e)
{
    bool member, snap = false, wal = false;

    TRY(has_directory(dir, "member", &member, e));
    if (member)
        return str_format(out, e, "%s/member", dir);
    TRY(has_directory(dir, "snap", &snap, e));
    TRY(has_directory(dir, "wal", &wal, e));
    if (snap || wal)
        return str_format(out, e, "%s", dir);
    return err_set(e, RC_NOTFOUND,
                   "'%s' is no data directory: there is no 'member' in it" HINT
                   "name the directory that etcd was given as --data-dir",
                   dir);
}

static enum rc name_all(struct reading *r, struct err *e)
{
    const struct datadir_request *q = r->request;
    AT_END(mem_end) char *member = NULL;

    TRY(find_member(q->dir, &member, e));
    TRY(str_format(&r->snap_dir, e, "%s/snap", member));
    TRY(str_format(&r->d->db_path, e, "%s/db", r->snap_dir));
    if (q->wal_dir == NULL)
        return str_format(&r->d->wal_path, e, "%s/wal", member);
    return str_format(&r->d->wal_path, e, "%s", q->wal_dir);
}

/* ---- who uses it ------------------------------------------------------------------- */

static enum rc look_for_lock(struct datadir *d, const char *path, struct err *e)
{
    OWNED_FD int fd = -1;
    enum rc rc;

    rc = os_open(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd, e);
    if (rc == RC_NOTFOUND)
        return RC_OK;
    TRY(rc);
    return holder_find_lock(fd, &d->holder, &d->in_use, e);
}

/* etcd keeps its newest segment locked as long as it runs. */
static enum rc look_for_log_lock(struct datadir *d, struct err *e)
{
    AT_END(findings_clear) struct findings ignored = { 0 };
    AT_END(mem_end) struct wal_segment *segments = NULL;
    AT_END(mem_end) char *path = NULL;
    size_t count = 0;
    enum rc rc = wal_segment_list(d->wal_path, &ignored, &segments, &count, e);

    if (rc == RC_NOTFOUND)
        return RC_OK;
    TRY(rc);
    TRY(str_format(&path, e, "%s/%s", d->wal_path, segments[count - 1].name));
    return look_for_lock(d, path, e);
}

static enum rc look_for_user(struct datadir *d, struct err *e)
{
    d->in_use = false;
    TRY(look_for_lock(d, d->db_path, e));
    return d->in_use ? RC_OK : look_for_log_lock(d, e);
}

static enum rc refuse_used(const struct datadir *d, struct err *e)
{
    static const char advice[] = "stop it first; the database of a running member is "
                                 "saved by `holdfast snapshot save`";

    if (!d->in_use)
        return RC_OK;
    if (d->holder.pid == 0)
        return err_set(e, RC_LOCKED,
                       "'%s' is in use by a process that cannot be seen from here" HINT
                       "%s",
                       d->db_path, advice);
    return err_set(e, RC_LOCKED, "'%s' is in use by process %" PRIu64 " (%s)" HINT "%s",
                   d->db_path, d->holder.pid, d->holder.name, advice);
}

static enum rc check_user(struct reading *r, struct err *e)
{
    struct datadir *d = r->d;

    TRY(look_for_user(d, e));
    if (!r->request->in_use_too)
        return refuse_used(d, e);
    if (!d->in_use)
        return RC_OK;
    return TELL(r, WARN, "in-use",
                "an etcd runs on it (process %" PRIu64
                "): what is told of it is of different moments",
                d->holder.pid);
}

enum rc datadir_intact(const struct datadir *d, struct err *e)
{
    struct datadir now = { .db_path = d->db_path, .wal_path = d->wal_path };

    TRY(look_for_user(&now, e));
    TRY(refuse_used(&now, e));
    return d->db == NULL ? RC_OK : bolt_file_intact(d->db, e);
}

/* ---- the log and raft's snapshots -------------------------------------------------- */

static enum rc read_log(struct reading *r, struct err *e)
{
    struct datadir *d = r->d;
    struct err problem = { 0 };
    enum rc rc = wal_open(d->wal_path, &d->findings, &d->wal, &problem);

    if (rc == RC_NOTFOUND)
        return TELL(r, ERROR, "wal-missing",
                    "there is no log in '%s': what came after the database's last "
                    "entry cannot be known",
                    d->wal_path);
    if (rc != RC_OK)
        *e = problem;
    TRY(rc);
    d->log = wal_summary(d->wal);
    d->member_id = d->log->ids.node_id;
    d->cluster_id = d->log->ids.cluster_id;
    return RC_OK;
}

static const struct wal_mark *newest_mark(const struct wal_summary *log)
{
    const struct wal_mark *newest = NULL;

    for (size_t i = 0; log != NULL && i < log->mark_count; i++)
        if (log->marks[i].index > 0 && wal_mark_valid(log, &log->marks[i]) &&
            (newest == NULL || log->marks[i].index >= newest->index))
            newest = &log->marks[i];
    return newest;
}

static enum rc read_snaps(struct reading *r, struct err *e)
{
    AT_END(findings_clear) struct findings told = { 0 };
    const struct wal_mark *mark = newest_mark(r->d->log);
    OWNED(snapfile) newest = NULL;
    struct err problem = { 0 };
    enum rc rc = snapdir_list(r->snap_dir, &told, &r->snaps, &problem);

    if (rc == RC_OK)
        rc = snapfile_newest(r->snap_dir, r->d->log, &r->d->findings, &newest, &problem);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        return *e = problem, rc;
    r->d->snapshot = newest != NULL ? newest->snapshot.index : 0;
    if (mark == NULL || mark->index <= r->d->snapshot)
        return RC_OK;
    r->d->snapshot = mark->index;
    return TELL(r, WARN, "snap-missing",
                "the log has a mark for a snapshot at index %" PRIu64
                " whose .snap file is not there: etcd up to 3.6 starts from an older one",
                mark->index);
}

/* ---- what is known of both --------------------------------------------------------- */

/* 0 when the log does not say. */
static uint64_t term_in_log(struct datadir *d, uint64_t index)
{
    const struct wal_summary *log = d->log;
    struct wal_entry entry;
    struct err ignored;

    if (log == NULL || index == 0)
        return 0;
    if (wal_entry_at(d->wal, index, &entry, &ignored) == RC_OK)
        return entry.term;
    for (size_t i = 0; i < log->mark_count; i++)
        if (log->marks[i].index == index)
            return log->marks[i].term;
    return 0;
}

/* A cluster that starts takes no snapshot right behind the entries that add its first
 * members; a restore marks exactly that place. */
static bool is_from_restore(struct datadir *d)
{
    struct wal_entry entry = { .type = WAL_ENTRY_CONF_CHANGE };
    struct err ignored;
    uint64_t members = 0;

    while (entry.type != WAL_ENTRY_NORMAL &&
           wal_entry_at(d->wal, members + 1, &entry, &ignored) == RC_OK &&
           entry.type != WAL_ENTRY_NORMAL)
        members++;
    for (size_t i = 0; i < d->log->mark_count; i++)
        if (d->log->marks[i].index > 0 && d->log->marks[i].index <= members)
            return true;
    return false;
}

/* By raft's log matching, a log that has the snapshot's own last entry has the right ones
 * before it, too. */
static bool is_overtaken(struct datadir *d)
{
    struct wal_entry entry;
    struct err ignored;

    if (wal_entry_at(d->wal, d->snapshot, &entry, &ignored) != RC_OK)
        return true;
    for (size_t i = 0; i < d->log->mark_count; i++)
        if (d->log->marks[i].index == d->snapshot && d->log->marks[i].term == entry.term)
            return false;
    return true;
}

static struct datadir_view view_of(struct datadir *d)
{
    const struct wal_summary *log = d->log;
    struct datadir_view v = {
        .has_db = d->db != NULL || d->elsewhere,
        .has_log = log != NULL,
        .applied = d->applied,
        .db_term = d->facts.has_term ? d->facts.term : 0,
        .log_term = term_in_log(d, d->applied),
    };

    if (log == NULL)
        return v;
    v.log = log->verdict;
    v.first_index = log->first_index;
    v.last_index = log->last_index;
    v.snapshot = d->snapshot;
    v.overtaken = d->snapshot > 0 && is_overtaken(d);
    v.from_restore = is_from_restore(d);
    return v;
}

static bool log_is_complete(struct datadir *d)
{
    const struct datadir_view v = view_of(d);

    return datadir_log_is_complete(&v);
}

/* ---- the database ------------------------------------------------------------------ */

/* None, and why, when it cannot be opened. */
static enum rc open_db(struct reading *r, const char *path, struct bolt_file **out,
                       bool *missing, struct err *e)
{
    struct err problem = { 0 };
    enum rc rc = bolt_file_open(path, &r->d->findings, out, &problem);

    *missing = rc == RC_NOTFOUND;
    if (rc == RC_CORRUPT)
        return TELL(r, ERROR, "db-unreadable", "%s", problem.why);
    if (rc != RC_OK && rc != RC_NOTFOUND)
        *e = problem;
    return rc == RC_NOTFOUND ? RC_OK : rc;
}

/* False when it cannot be read. */
static bool index_of(const struct bolt_file *db, uint64_t *index)
{
    struct bytes value;
    struct err ignored;
    bool found = false;

    *index = 0;
    if (db == NULL || bolt_file_get(db, "meta", bytes_str(MVCC_CONSISTENT_INDEX), &value,
                                    &found, &ignored) != RC_OK)
        return false;
    return !found || mvcc_u64_read(value, index, &ignored) == RC_OK;
}

static bool was_received(const struct reading *r, uint64_t index)
{
    for (size_t i = 0; i < r->snaps.db_count; i++)
        if (r->snaps.dbs[i] == index)
            return true;
    return false;
}

static enum rc take_received(struct reading *r, struct err *e)
{
    struct datadir *d = r->d;
    OWNED(bolt_file) received = NULL;
    AT_END(mem_end) char *path = NULL;
    bool missing;

    TRY(str_format(&path, e, "%s/%016" PRIx64 ".snap.db", r->snap_dir, d->snapshot));
    TRY(open_db(r, path, &received, &missing, e));
    if (received == NULL)
        return RC_OK;
    bolt_file_free(d->db);
    mem_free(d->db_path);
    d->db = GIVE(received);
    d->db_path = GIVE(path);
    d->db_missing = false;
    d->received = true;
    return TELL(r, WARN, "db-received",
                "the database is the one that a leader sent at index %" PRIu64
                ": the member died before it was put in place, as it would be at its "
                "next start",
                d->snapshot);
}

/* Killed in its first moments a member leaves a database without all of its buckets. */
static enum rc pass_over_young(struct reading *r, struct err *e)
{
    struct datadir *d = r->d;

    bolt_file_free(d->db);
    d->db = NULL;
    d->db_missing = r->young = true;
    return TELL(r, WARN, "db-young",
                "no entry of the log is in the database yet: the log begins with the "
                "cluster and makes it again");
}

/* As an older database leaves it that somebody put back: etcd does not start. */
static enum rc tell_behind_snapshot(struct reading *r, uint64_t has, struct err *e)
{
    bool lost = r->d->log == NULL || is_overtaken(r->d);

    return findings_add(&r->d->findings, lost ? FINDING_ERROR : FINDING_WARN,
                        "snap-db-missing", FINDING_NO_PAGE, e,
                        "the database ends at entry %" PRIu64
                        ", before raft's snapshot at %" PRIu64 ", and %016" PRIx64
                        ".snap.db is not there: %s",
                        has, r->d->snapshot, r->d->snapshot,
                        lost ? "what is between is lost"
                             : "etcd would not start, but the log has what is between");
}

static enum rc take_base(struct reading *r, const struct datadir_base *base,
                         struct err *e)
{
    struct datadir *d = r->d;

    d->elsewhere = !base->none;
    d->db_missing = r->young = base->none;
    d->applied = base->applied;
    d->facts.has_term = base->term != 0;
    d->facts.term = base->term;
    if (base->none || d->snapshot <= d->applied)
        return RC_OK;
    return tell_behind_snapshot(r, d->applied, e);
}

static enum rc choose_db(struct reading *r, struct err *e)
{
    struct datadir *d = r->d;
    uint64_t has;

    if (r->request->base != NULL)
        return take_base(r, r->request->base, e);
    TRY(open_db(r, d->db_path, &d->db, &d->db_missing, e));
    if (index_of(d->db, &has) && has == 0 && log_is_complete(d))
        return pass_over_young(r, e);
    if (d->snapshot > has && was_received(r, d->snapshot))
        return take_received(r, e);
    if (d->snapshot > has && d->db != NULL)
        return tell_behind_snapshot(r, has, e);
    return RC_OK;
}

/* Under a running etcd pages change while they are read: that is no damage. */
static enum rc survey(struct reading *r, struct err *e)
{
    AT_END(findings_clear) struct findings ignored = { 0 };
    const struct mvcc_survey_options options = { .level = MVCC_FULL };
    struct datadir *d = r->d;

    if (d->db == NULL)
        return RC_OK;
    TRY(mvcc_survey_file(d->db, &options, d->in_use ? &ignored : &d->findings, &d->facts,
                         e));
    d->applied = d->facts.has_consistent_index ? d->facts.consistent_index : 0;
    return RC_OK;
}

/* ---- how they fit together --------------------------------------------------------- */

static enum rc tell_verdict(struct reading *r, const struct datadir_view *v,
                            struct err *e)
{
    const struct datadir *d = r->d;

    switch (d->verdict) {
    case DATADIR_WHOLE:
    case DATADIR_TORN:
        if (d->db_missing && !r->young)
            TRY(TELL(r, WARN, "db-missing",
                     "there is no database '%s', but the log begins with the cluster "
                     "and makes it again",
                     d->db_path));
        return d->last < d->first ? RC_OK
                                  : TELL(r, NOTE, "wal-tail",
                                         "the log holds entries %" PRIu64 " to %" PRIu64
                                         " that are not in the database yet",
                                         d->first, d->last);
    case DATADIR_GAP:
        if (v->first_index <= v->applied + 1)
            return TELL(r, ERROR, "wal-overtaken",
                        "behind entry %" PRIu64
                        " the log holds entries that a leader's snapshot at %" PRIu64
                        " replaced",
                        v->applied, v->snapshot);
        return TELL(r, ERROR, "wal-gap",
                    "the database ends at entry %" PRIu64 ", the log begins at %" PRIu64
                    ": what is between is lost",
                    v->applied, v->first_index);
    case DATADIR_BEHIND:
        return TELL(r, ERROR, "wal-behind",
                    "the database has entry %" PRIu64 ", but the log ends at %" PRIu64
                    ": its end was lost, or it is not this database's",
                    v->applied, v->last_index);
    case DATADIR_FOREIGN:
        return TELL(r, ERROR, "wal-foreign",
                    "entry %" PRIu64 " is of term %" PRIu64
                    " in the database and of term %" PRIu64
                    " in the log: they are not of one history",
                    v->applied, v->db_term, v->log_term);
    case DATADIR_NO_DATA:
        return TELL(r, ERROR, "db-missing", "there is no database '%s'%s", d->db_path,
                    d->log == NULL    ? ""
                    : v->from_restore ? ", and the log was written by a restore: what "
                                        "was restored is not in it"
                                      : ", and the log does not reach back to the "
                                        "cluster's first entry");
    case DATADIR_DAMAGED:
    case DATADIR_NO_LOG: /* told where it was found */
        break;
    }
    return RC_OK;
}

static bool is_in_conf(const struct wal_conf *c, uint64_t id)
{
    for (size_t i = 0; i < c->voter_count; i++)
        if (c->voters[i] == id)
            return true;
    for (size_t i = 0; i < c->learner_count; i++)
        if (c->learners[i] == id)
            return true;
    return false;
}

/* By the log itself: a mark's configuration, or an entry that adds it. */
static bool log_knows(struct datadir *d, uint64_t id)
{
    const struct wal_summary *log = d->log;
    struct wal_entry entry;
    struct wal_change change;
    struct err ignored;

    for (size_t i = 0; i < log->mark_count; i++)
        if (is_in_conf(&log->marks[i].conf, id))
            return true;
    for (uint64_t n = 0; n < log->entry_count; n++)
        if (wal_entry_at(d->wal, log->first_index + n, &entry, &ignored) == RC_OK &&
            entry.type == WAL_ENTRY_CONF_CHANGE &&
            wal_change_parse(entry.data, &change, &ignored) == RC_OK &&
            change.node_id == id)
            return true;
    return false;
}

static enum rc check_member(struct reading *r, struct err *e)
{
    struct datadir *d = r->d;
    const struct mvcc_facts *f = &d->facts;

    d->member_name = "";
    if (d->log == NULL || d->db == NULL)
        return RC_OK;
    for (size_t i = 0; i < f->member_count; i++)
        if (f->members[i].id == d->member_id) {
            d->member_name = f->members[i].name != NULL ? f->members[i].name : "";
            return RC_OK;
        }
    if (mvcc_ids_has(&f->removed_members, d->member_id))
        return TELL(r, WARN, "member-removed",
                    "the cluster has removed this member (%" PRIx64 ")", d->member_id);
    if (log_knows(d, d->member_id))
        return RC_OK;
    return TELL(r, WARN, "member-unknown",
                "the log is of member %" PRIx64 ", which the database does not know",
                d->member_id);
}

bool datadir_blocks(const struct finding *f)
{
    return f->severity == FINDING_ERROR && strcmp(f->code, "snap-damaged") != 0;
}

bool datadir_blocked(const struct datadir *d)
{
    size_t errors = 0;
    bool blocked = false;

    for (size_t i = 0; i < d->findings.kept; i++) {
        errors += d->findings.items[i].severity == FINDING_ERROR;
        blocked |= datadir_blocks(&d->findings.items[i]);
    }
    return blocked || errors < d->findings.errors;
}

static enum rc judge(struct reading *r, struct err *e)
{
    struct datadir *d = r->d;
    const struct datadir_view v = view_of(d);

    d->verdict = datadir_judge(&v, &d->first, &d->last);
    d->log_complete = datadir_log_is_complete(&v);
    d->committed = d->log == NULL ? 0 : d->log->state.commit;
    d->committed = d->committed > d->applied ? d->committed : d->applied;
    TRY(tell_verdict(r, &v, e));
    TRY(check_member(r, e));
    d->ok = !d->in_use && !datadir_blocked(d) &&
            (d->verdict == DATADIR_WHOLE || d->verdict == DATADIR_TORN);
    return RC_OK;
}

enum rc datadir_open(const struct datadir_request *q, struct datadir **out, struct err *e)
{
    OWNED(datadir) d = NULL;

    TRY(mem_new(&d, sizeof *d, "a data directory", e));

    AT_END(reading_end) struct reading r = { .request = q, .d = d };

    TRY(name_all(&r, e));
    TRY(check_user(&r, e));
    TRY(read_log(&r, e));
    TRY(read_snaps(&r, e));
    TRY(choose_db(&r, e));
    TRY(survey(&r, e));
    TRY(judge(&r, e));
    *out = GIVE(d);
    return RC_OK;
}

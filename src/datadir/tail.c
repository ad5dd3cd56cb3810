#include "datadir/tail.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datadir/password.h"
#include "util/log.h"
#include "util/stop.h"

enum { PROBE = 1000, OLDEST = 4, NEWEST = 7 };

void datadir_tail_clear(struct datadir_tail *t)
{
    machine_free(t->machine);
    *t = (struct datadir_tail){ 0 };
}

/* ---- may it be built on? ----------------------------------------------------------- */

/* Findings about the log are what allow_loss is for; those about the database are not. */
static bool is_of_log(const struct finding *f)
{
    return strncmp(f->code, "wal-", 4) == 0 || strcmp(f->code, "snap-db-missing") == 0;
}

static const struct finding *first_error(const struct datadir *d, bool of_log)
{
    for (size_t i = 0; i < d->findings.kept; i++) {
        const struct finding *f = &d->findings.items[i];

        if (datadir_blocks(f) && is_of_log(f) == of_log)
            return f;
    }
    return NULL;
}

static const char *advice_on_db(const struct datadir *d)
{
    if (d->log_complete)
        return "the log is complete: of a copy of the directory without member/snap/db "
               "the state is made from the log alone";
    if (d->verdict == DATADIR_NO_DATA && d->log != NULL)
        return "take another member's directory, or the newest snapshot that verifies; "
               "what was written lately is in the log, and `holdfast snapshot log` lists "
               "it";
    return "take another member's directory, or the newest snapshot that verifies";
}

static const char *advice_on_log(const struct datadir *d)
{
    if (d->verdict == DATADIR_NO_LOG)
        return "name it by --wal-dir if the member ran with one; --allow-damaged-wal "
               "takes the database as it is";
    return "another member's directory may be whole; --allow-damaged-wal takes what "
           "there is and lists what cannot be known";
}

static enum rc check(const struct datadir *d, const struct datadir_tail_options *o,
                     struct err *e)
{
    bool sound = d->verdict == DATADIR_WHOLE || d->verdict == DATADIR_TORN;
    const struct finding *db = first_error(d, false), *log = first_error(d, true);

    if (d->in_use)
        return err_set(e, RC_LOCKED, "'%s' is in use by an etcd", d->db_path);
    if (db != NULL)
        return err_set(e, RC_CORRUPT, "%s: %s" HINT "%s", db->code, db->message,
                       advice_on_db(d));
    if (log == NULL && datadir_blocked(d))
        return err_set(e, RC_CORRUPT, "there are %zu errors, and more than can be told",
                       d->findings.errors);
    if (o->allow_loss || (sound && log == NULL))
        return RC_OK;
    if (log == NULL)
        return err_set(e, RC_CORRUPT, "the log's verdict is '%s'" HINT "%s",
                       datadir_verdict_name(d->verdict), advice_on_log(d));
    return err_set(e, RC_CORRUPT, "%s: %s" HINT "%s", log->code, log->message,
                   advice_on_log(d));
}

static enum rc say_damage(const struct datadir *d, struct str_list *out, struct err *e)
{
    const struct wal_damage *w = &d->log->damage;

    TRY(str_list_format(out, e,
                        "entries from %" PRIu64
                        " on: the log is damaged in %s at offset %" PRIu64 " (%s)",
                        d->last + 1, w->segment, w->offset, w->reason));
    if (w->follows)
        TRY(str_list_format(
            out, e,
            "what the records behind the damage say, the first of them at offset "
            "%" PRIu64 ": without the one that is damaged they cannot be applied",
            w->follows_at));
    if (d->log->state.commit > d->last)
        TRY(str_list_format(
            out, e, "entries %" PRIu64 " to %" PRIu64 " were committed and are missing",
            d->last + 1, d->log->state.commit));
    return RC_OK;
}

enum rc datadir_lost(const struct datadir *d, struct str_list *out, struct err *e)
{
    switch (d->verdict) {
    case DATADIR_WHOLE:
    case DATADIR_TORN:
        return RC_OK;
    case DATADIR_DAMAGED:
        return say_damage(d, out, e);
    case DATADIR_GAP:
        if (d->log->first_index <= d->applied + 1)
            return str_list_format(out, e,
                                   "entries from %" PRIu64
                                   " on: the log's are not those that were committed",
                                   d->applied + 1);
        TRY(str_list_format(out, e,
                            "entries %" PRIu64 " to %" PRIu64 ": they are in no file",
                            d->applied + 1, d->log->first_index - 1));
        return str_list_format(out, e,
                               "entries %" PRIu64 " to %" PRIu64
                               ": they are in the log, but what came before them is not",
                               d->log->first_index, d->log->last_index);
    case DATADIR_BEHIND:
        return str_list_format(out, e,
                               "entries from %" PRIu64
                               " on, if there were any: the log ends at %" PRIu64
                               ", before the database",
                               d->applied + 1, d->log->last_index);
    case DATADIR_FOREIGN:
        return str_list_format(out, e,
                               "entries from %" PRIu64
                               " on: the log is of another history than the "
                               "database",
                               d->applied + 1);
    case DATADIR_NO_LOG:
    case DATADIR_NO_DATA:
        break;
    }
    return str_list_format(out, e, "entries from %" PRIu64 " on: there is no log",
                           d->applied + 1);
}

/* ---- whose rules ------------------------------------------------------------------- */

/* "3.5", "3.5.0"; 0 when it is none that is known. */
static int minor_of(const char *version)
{
    struct mvcc_version v;
    struct err ignored;

    if (version == NULL ||
        (mvcc_version_read(bytes_str(version), &v, &ignored) != RC_OK &&
         sscanf(version, "%u.%u", &v.major, &v.minor) != 2))
        return 0;
    return v.major == 3 && v.minor >= OLDEST && v.minor <= NEWEST ? (int)v.minor : 0;
}

/* A young database may lack what tells 3.6 from 3.5; the cluster's version does not. */
int datadir_minor_of(const struct mvcc_facts *f)
{
    int writer = minor_of(f->writer), cluster = minor_of(f->cluster_version);

    return writer > cluster ? writer : cluster;
}

static enum rc apply_from(struct datadir *d, struct machine *m, uint64_t first,
                          uint64_t last, struct err *e)
{
    for (uint64_t i = first; i <= last; i++) {
        struct wal_entry entry;

        if (i % 256 == 0)
            TRY(stop_check(e));
        TRY(wal_entry_at(d->wal, i, &entry, e));
        if (machine_apply(m, &entry, NULL, e) != RC_OK)
            return err_wrap(e, "applying entry %" PRIu64 " of the log in '%s'", i,
                            d->wal_path);
        progress("applying the log", i - first + 1, last - first + 1);
    }
    return RC_OK;
}

/* Among its first entries a cluster writes down its version. */
static enum rc minor_of_log(struct datadir *d, int *out, struct err *e)
{
    const struct machine_options options = { .minor = OLDEST + 1 };
    uint64_t last = d->last < PROBE ? d->last : PROBE;
    OWNED(machine) m = NULL;

    TRY(machine_new(&options, &m, e));
    TRY(apply_from(d, m, d->first, last, e));
    *out = minor_of(machine_cluster_version(m));
    return RC_OK;
}

static enum rc choose_minor(struct datadir *d, int wanted, int *out, struct err *e)
{
    *out = wanted != 0 ? wanted : datadir_minor_of(&d->facts);
    if (*out == 0 && d->last >= d->first)
        TRY(minor_of_log(d, out, e));
    if (*out == 0)
        *out = NEWEST;
    return RC_OK;
}

/* ---- the database and its tail ----------------------------------------------------- */

/* What was loaded must be what the survey saw, before anything is done to it. */
static enum rc check_loaded(const struct datadir *d, struct machine *m, struct err *e)
{
    struct mvcc_hashkv got;

    TRY(kvstore_hashkv(machine_kv(m), 0, &got, e));
    if (got.hash != d->facts.hashkv.hash || got.revision != d->facts.hashkv.revision)
        return err_set(e, RC_INTERNAL,
                       "the database as loaded has HashKV %u at revision %" PRId64
                       ", the file has %u at %" PRId64,
                       got.hash, got.revision, d->facts.hashkv.hash,
                       d->facts.hashkv.revision);
    return RC_OK;
}

static enum rc load(const struct datadir *d, const struct datadir_tail_options *o,
                    struct machine *m, struct err *e)
{
    if (d->elsewhere)
        return machine_load_from(m, o->feed, o->feed_arg, e);
    if (d->db == NULL)
        return RC_OK;
    if (machine_load(m, d->db, e) != RC_OK)
        return err_wrap(e, "reading the database '%s'", d->db_path);
    return check_loaded(d, m, e);
}

static enum rc apply_tail(struct datadir *d, const struct datadir_tail_options *o,
                          struct datadir_tail *t, struct err *e)
{
    t->first = d->first;
    t->last = d->last;
    t->beyond_commit = d->last > d->committed ? d->last - d->committed : 0;
    if (o->committed_only && t->last > d->committed)
        t->last = d->committed;
    t->db_revision = kvstore_revision(machine_kv(t->machine));
    TRY(apply_from(d, t->machine, t->first, t->last, e));
    t->revision = kvstore_revision(machine_kv(t->machine));
    return RC_OK;
}

enum rc datadir_apply(struct datadir *d, const struct datadir_tail_options *o,
                      struct datadir_tail *out, struct err *e)
{
    AT_END(datadir_tail_clear) struct datadir_tail t = { 0 };
    struct machine_options options = { .hash_password = datadir_hash_password };

    TRY(check(d, o, e));
    TRY(choose_minor(d, o->minor, &options.minor, e));
    t.minor = options.minor;
    TRY(machine_new(&options, &t.machine, e));
    TRY(load(d, o, t.machine, e));
    TRY(apply_tail(d, o, &t, e));
    *out = t;
    t.machine = NULL;
    return RC_OK;
}

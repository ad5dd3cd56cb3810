#include "recover/survey.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "datadir/tail.h"
#include "recover/conf.h"
#include "snapshot/verify.h"
#include "util/clock.h"
#include "util/mem.h"

/* One copy that cannot be read must not hide the others. */
static enum rc unreadable(struct recover_copy *c, enum rc rc, const struct err *why,
                          struct err *e)
{
    if (rc == RC_NOMEM || rc == RC_INTERRUPTED || rc == RC_INTERNAL) {
        *e = *why;
        return rc;
    }
    c->readable = false;
    return recover_note_add(c, FINDING_ERROR, "unreadable", e, "%s%s%s", why->what,
                            why->what[0] == '\0' ? "" : ": ", why->why);
}

static enum rc take_findings(struct recover_copy *c, const struct findings *f,
                             struct err *e)
{
    for (size_t i = 0; i < f->kept; i++)
        TRY(recover_note_add(c, f->items[i].severity, f->items[i].code, e, "%s",
                             f->items[i].message));
    return RC_OK;
}

static enum rc set_name(struct recover_copy *c, struct err *e)
{
    const struct mvcc_member *m = recover_member_of(c, c->member_id);

    if (m == NULL)
        return RC_OK;
    mem_free(c->name);
    c->name = mem_str(m->name);
    return c->name == NULL ? err_set(e, RC_NOMEM, "no memory for a name") : RC_OK;
}

/* Without a log, or with one that cannot tell, those that the bucket lists. */
static enum rc conf_of_members(const struct recover_copy *c, struct recover_conf *out,
                               struct err *e)
{
    for (size_t i = 0; i < c->member_count; i++)
        TRY(mvcc_ids_add(c->members[i].learner ? &out->learners : &out->voters,
                         c->members[i].id, e));
    return RC_OK;
}

static enum rc set_confs(struct recover_copy *c, struct datadir *d, struct err *e)
{
    bool latest, decided;

    TRY(recover_conf_at(d, c->index, &c->latest, &latest, e));
    TRY(recover_conf_at(d, c->commit < c->index ? c->commit : c->index, &c->decided,
                        &decided, e));
    if (!latest)
        TRY(conf_of_members(c, &c->latest, e));
    if (latest && decided && !recover_conf_same(&c->latest, &c->decided))
        TRY(recover_note_add(c, FINDING_WARN, "members-changing", e,
                             "the log ends in a change of members of which it does not "
                             "say whether a majority had it"));
    return RC_OK;
}

/* What a log is good for: where its entries go on from the database. */
static bool log_counts(const struct datadir *d)
{
    return d->log != NULL &&
           (d->verdict == DATADIR_WHOLE || d->verdict == DATADIR_TORN ||
            (d->verdict == DATADIR_DAMAGED && d->log->last_index >= d->applied));
}

static void set_end(struct recover_copy *c, const struct datadir *d)
{
    c->commit = d->committed;
    c->applied = d->applied;
    if (log_counts(d)) {
        c->term = d->log->last_term;
        c->index = d->log->last_index;
    } else {
        c->term = d->facts.has_term ? d->facts.term : 0;
        c->index = d->applied;
    }
    c->term_known = c->term != 0;
}

static bool has_note(const struct recover_copy *c, const char *code)
{
    for (size_t i = 0; i < c->note_count; i++)
        if (strcmp(c->notes[i].code, code) == 0)
            return true;
    return false;
}

/* The state can be had from less than what an etcd wants to see before it starts. */
static bool etcd_starts(const struct recover_copy *c, const struct datadir *d)
{
    return c->ok && !has_note(c, "db-missing") && !has_note(c, "snap-db-missing") &&
           !(d->log->verdict != WAL_CLEAN && d->log->damage.etcd == WAL_ETCD_REFUSES);
}

/* As far as it goes: the revision, and who belongs. */
static enum rc apply(struct recover_copy *c, struct datadir *d, struct err *e)
{
    const struct datadir_tail_options o = { .allow_loss = true };
    AT_END(datadir_tail_clear) struct datadir_tail t = { 0 };
    const struct mvcc_member *members;
    struct err why = { 0 };
    enum rc rc = datadir_apply(d, &o, &t, &why);
    size_t count;

    if (rc == RC_NOMEM || rc == RC_INTERRUPTED || rc == RC_INTERNAL) {
        *e = why;
        return rc;
    }
    if (rc != RC_OK) {
        c->ok = false;
        if (!datadir_blocked(d))
            TRY(recover_note_add(c, FINDING_ERROR, "tail-unusable", e, "%s%s%s", why.what,
                                 why.what[0] == '\0' ? "" : ": ", why.why));
        return recover_members_set(c, d->facts.members, d->facts.member_count, e);
    }
    c->tail_known = true;
    c->revision = t.db_revision;
    c->revision_with_tail = t.revision;
    members = machine_members(t.machine, &count);
    return recover_members_set(c, members, count, e);
}

static enum rc write_down(struct recover_copy *c, struct datadir *d, struct err *e)
{
    struct err why = { 0 };

    c->readable = true;
    c->ok = d->ok;
    c->in_use = d->in_use;
    c->cluster_id = d->cluster_id;
    c->member_id = d->member_id;
    c->revision = d->facts.revision;
    c->kubernetes = d->facts.kubernetes;
    snprintf(c->verdict, sizeof c->verdict, "%s", datadir_verdict_name(d->verdict));
    set_end(c, d);
    TRY(take_findings(c, &d->findings, e));
    if (d->in_use)
        TRY(recover_members_set(c, d->facts.members, d->facts.member_count, e));
    else
        TRY(apply(c, d, e));
    TRY(set_name(c, e));
    TRY(set_confs(c, d, e));
    c->startable = etcd_starts(c, d);
    if (datadir_intact(d, &why) != RC_OK) {
        c->ok = c->startable = false;
        return recover_note_add(c, FINDING_ERROR, "changed-meanwhile", e, "%s", why.why);
    }
    return RC_OK;
}

enum rc recover_survey_directory(struct recover_copies *l, const char *dir,
                                 const char *wal_dir, struct err *e)
{
    const struct datadir_request q = { .dir = dir,
                                       .wal_dir = wal_dir,
                                       .in_use_too = true };
    struct recover_copy *c;
    OWNED(datadir) d = NULL;
    struct err why = { 0 };
    enum rc rc;

    TRY(recover_copies_add(l, RECOVER_DIRECTORY, dir, &c, e));
    if (wal_dir != NULL && (c->wal_dir = mem_str(wal_dir)) == NULL)
        return err_set(e, RC_NOMEM, "no memory for a path");
    c->taken_ms = clock_unix_ms();
    rc = datadir_open(&q, &d, &why);
    if (rc != RC_OK)
        return unreadable(c, rc, &why, e);
    return write_down(c, d, e);
}

static enum rc write_down_snapshot(struct recover_copy *c, const struct snap_verdict *v,
                                   struct err *e)
{
    const struct mvcc_facts *f = &v->facts;
    struct err ignored = { 0 };

    c->readable = true;
    c->ok = findings_verdict(&v->findings, &ignored) == RC_OK;
    c->term_known = f->has_term && f->term > 0;
    c->term = c->term_known ? f->term : 0;
    c->index = c->commit = c->applied = f->consistent_index;
    c->revision = c->revision_with_tail = f->revision;
    c->tail_known = f->history_complete;
    c->kubernetes = f->kubernetes;
    TRY(take_findings(c, &v->findings, e));
    TRY(recover_members_set(c, f->members, f->member_count, e));
    return conf_of_members(c, &c->latest, e);
}

enum rc recover_survey_snapshot(struct recover_copies *l, const char *file,
                                const struct age_identities *ids, struct err *e)
{
    const struct snap_verify_options o = { .file = file,
                                           .ids = ids,
                                           .level = SNAP_LEVEL_FULL };
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    struct recover_copy *c;
    struct err why = { 0 };
    enum rc rc;

    TRY(recover_copies_add(l, RECOVER_SNAPSHOT, file, &c, e));
    c->taken_ms = clock_unix_ms();
    rc = snap_verify(&o, &v, &why);
    if (rc != RC_OK)
        return unreadable(c, rc, &why, e);
    return write_down_snapshot(c, &v, e);
}

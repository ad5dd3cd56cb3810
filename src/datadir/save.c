#include "datadir/save.h"

#include <inttypes.h>
#include <string.h>

#include "snapshot/made.h"
#include "util/clock.h"

/* ---- the proof --------------------------------------------------------------------- */

struct job {
    struct datadir *d;
    struct datadir_tail tail;
    struct snap_made made;
};

static void job_end(struct job *j)
{
    datadir_tail_clear(&j->tail);
    snap_made_clear(&j->made);
    datadir_free(j->d);
}

static enum rc differs(struct err *e, const char *what, uint64_t state, uint64_t written)
{
    return err_set(e, RC_INTERNAL,
                   "what was written is not the state: %s is %" PRIu64
                   " and should be %" PRIu64,
                   what, written, state);
}

static enum rc compare(const struct job *j, struct err *e)
{
    const struct mvcc_facts *f = &j->made.facts;
    const struct machine *m = j->tail.machine;
    struct machine_lease ignored;
    struct mvcc_hashkv want;
    size_t members;

    TRY(kvstore_hashkv(machine_kv(j->tail.machine), 0, &want, e));
    machine_members(m, &members);
    if (!f->hashkv_known || f->hashkv.hash != want.hash)
        return differs(e, "HashKV", want.hash, f->hashkv.hash);
    if (f->revision != want.revision)
        return differs(e, "the revision", (uint64_t)want.revision, (uint64_t)f->revision);
    if (f->consistent_index != machine_index(m))
        return differs(e, "consistent_index", machine_index(m), f->consistent_index);
    if (f->member_count != members)
        return differs(e, "the number of members", members, f->member_count);
    if ((f->leases > 0 && !machine_lease_at(m, f->leases - 1, &ignored)) ||
        machine_lease_at(m, f->leases, &ignored))
        return differs(e, "the number of leases", 0, f->leases);
    return RC_OK;
}

/* Asked when all bytes are on their way and before the file gets its name. */
static enum rc judge(void *arg, struct err *e)
{
    const struct job *j = arg;

    if (findings_verdict(&j->made.findings, e) != RC_OK)
        return err_wrap(e, "the state that the directory stands for is none that an etcd "
                           "could have");
    TRY(compare(j, e));
    return datadir_intact(j->d, e);
}

/* ---- the state as a database ------------------------------------------------------- */

static enum rc build(void *arg, const struct bolt_target *target, struct err *e)
{
    const struct bolt_build_options options = { 0 };
    const struct job *j = arg;
    OWNED(bolt_builder) builder = NULL;
    uint64_t size;

    TRY(bolt_builder_new(target, &options, &builder, e));
    TRY(machine_dump(j->tail.machine, builder, e));
    return bolt_builder_finish(builder, &size, e);
}

/* ---- the whole --------------------------------------------------------------------- */

/* The tail may have brought it. */
static const char *name_of(const struct mvcc_facts *f, uint64_t member)
{
    for (size_t i = 0; i < f->member_count; i++)
        if (f->members[i].id == member && f->members[i].name != NULL)
            return f->members[i].name;
    return "";
}

static void conclude(struct job *j, struct datadir_saved *s)
{
    s->from = GIVE(j->d);
    s->minor = j->tail.minor;
    s->first = j->tail.first;
    s->last = j->tail.last;
    s->beyond_commit = j->tail.beyond_commit;
    s->db_revision = j->tail.db_revision;
    s->size = j->made.trailer.size;
    s->stored_size = j->made.stored.file.size;
    memcpy(s->sha256, j->made.stored.sha256, sizeof s->sha256);
    s->facts = j->made.facts;
    j->made.facts = (struct mvcc_facts){ 0 };
    s->member_name = name_of(&s->facts, s->from->member_id);
    s->proved = j->made.stored.file.read_back && s->facts.pages_complete &&
                s->facts.history_complete;
}

enum rc datadir_save(const struct datadir_save_options *o, struct datadir_saved *out,
                     struct err *e)
{
    AT_END(datadir_saved_clear) struct datadir_saved s = { 0 };
    AT_END(job_end) struct job j = { 0 };
    uint64_t start = clock_ms();

    TRY(snap_store_check(&o->store, e));
    TRY(datadir_open(&o->from, &j.d, e));
    TRY(datadir_lost(j.d, &s.lost, e));
    if (datadir_apply(j.d, &o->tail, &j.tail, e) != RC_OK)
        return err_wrap(e, "making a snapshot of '%s'", o->from.dir);
    if (snap_made_store(&o->store, build, judge, &j, &j.made, e) != RC_OK)
        return err_wrap(e, "making a snapshot of '%s' in '%s'", o->from.dir,
                        o->store.file);
    conclude(&j, &s);
    s.took_ms = clock_ms() - start;
    *out = s;
    s = (struct datadir_saved){ 0 };
    return RC_OK;
}

void datadir_saved_clear(struct datadir_saved *s)
{
    mvcc_facts_clear(&s->facts);
    str_list_clear(&s->lost);
    datadir_free(s->from);
    s->from = NULL;
}

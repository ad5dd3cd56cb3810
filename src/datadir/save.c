#include "datadir/save.h"

#include <inttypes.h>
#include <string.h>

#include "filter/lane.h"
#include "mvcc/stream_survey.h"
#include "snapshot/gate.h"
#include "snapshot/trailer.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum { LANE_BLOCK = 1 << 20, LANE_BLOCKS = 4, HEAD_MAX = 2 * BOLT_PAGE_SIZE_MAX };

/* ---- first: what its metas say ----------------------------------------------------- */

struct head {
    uint8_t bytes[HEAD_MAX];
    size_t n;
    uint64_t size; /* of the database */
};

static enum rc count_piece(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    (void)p;
    ((struct head *)arg)->size += n;
    return stop_check(e);
}

static enum rc keep_head(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct head *h = arg;

    if (n > sizeof h->bytes)
        return err_set(e, RC_INTERNAL, "the metas take %zu bytes", n);
    memcpy(h->bytes, p, n);
    h->n = n;
    return RC_OK;
}

static enum rc build(const struct machine *m, const struct bolt_target *target,
                     struct err *e)
{
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) builder = NULL;
    uint64_t size;

    TRY(bolt_builder_new(target, &options, &builder, e));
    TRY(machine_dump(m, builder, e));
    return bolt_builder_finish(builder, &size, e);
}

static enum rc learn_head(const struct machine *m, struct head *h, struct err *e)
{
    const struct bolt_target target = { h, count_piece, keep_head };

    return build(m, &target, e);
}

/* ---- then: the whole, front to back ------------------------------------------------ */

struct outflow {
    const struct head *head;
    struct sink *chain;
    struct sha256 *hash;
    uint64_t at;
};

static enum rc send(struct outflow *s, const uint8_t *p, size_t n, struct err *e)
{
    s->at += n;
    TRY(sha256_add(s->hash, p, n, e));
    progress("writing the snapshot", s->at, s->head->size);
    return sink_write(s->chain, p, n, e);
}

/* The builder begins with zeros where the metas go. */
static enum rc send_piece(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    struct outflow *s = arg;
    size_t known = s->at == 0 ? s->head->n : 0;

    TRY(stop_check(e));
    if (known > n)
        return err_set(e, RC_INTERNAL, "the first piece is shorter than the metas");
    if (known > 0)
        TRY(send(s, s->head->bytes, known, e));
    return n == known ? RC_OK : send(s, p + known, n - known, e);
}

static enum rc check_head(void *arg, const uint8_t *p, size_t n, struct err *e)
{
    const struct head *h = ((struct outflow *)arg)->head;

    if (n != h->n || memcmp(p, h->bytes, n) != 0)
        return err_set(e, RC_INTERNAL, "the second build differs from the first");
    return RC_OK;
}

static enum rc send_all(const struct machine *m, const struct head *h, struct sink *chain,
                        struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) hash = NULL;

    TRY(sha256_new(&hash, e));

    struct outflow s = { h, chain, hash, 0 };
    const struct bolt_target target = { &s, send_piece, check_head };

    TRY(build(m, &target, e));
    TRY(sha256_end(hash, digest, e));
    return sink_write(chain, digest, sizeof digest, e);
}

/* ---- the proof --------------------------------------------------------------------- */

struct job {
    struct datadir *d;
    struct datadir_tail tail;
    struct findings findings; /* of what is written */
    struct mvcc_facts facts;
    struct snap_trailer trailer;
    struct snap_store_result stored;
};

static void job_end(struct job *j)
{
    datadir_tail_clear(&j->tail);
    findings_clear(&j->findings);
    mvcc_facts_clear(&j->facts);
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
    const struct mvcc_facts *f = &j->facts;
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

    if (findings_verdict(&j->findings, e) != RC_OK)
        return err_wrap(e, "the state that the directory stands for is none that an etcd "
                           "could have");
    TRY(compare(j, e));
    return datadir_intact(j->d, e);
}

static enum rc write_file(struct job *j, const struct snap_store_options *o,
                          struct err *e)
{
    OWNED(sink) chain = NULL;
    struct head *h = NULL;
    AT_END(mem_end) void *held = NULL;
    uint64_t reserve;

    TRY(mem_new(&h, sizeof *h, "the metas", e));
    held = h;
    TRY(snap_store_reserve(o, &reserve, e));
    TRY(learn_head(j->tail.machine, h, e));
    TRY(snap_store_new(o, reserve, h->size + SNAP_TRAILER_SIZE, &j->stored, &chain, e));
    TRY(gate_sink_new(GIVE(chain), judge, j, &chain, e));
    TRY(mvcc_stream_sink_new(GIVE(chain), 0, &j->findings, &j->facts, &chain, e));
    TRY(snap_trailer_sink_new(GIVE(chain), false, &j->trailer, &chain, e));
    TRY(lane_sink_new(GIVE(chain), LANE_BLOCK, LANE_BLOCKS, &chain, e));
    TRY(send_all(j->tail.machine, h, chain, e));
    return sink_finish(chain, e);
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
    s->size = j->trailer.size;
    s->stored_size = j->stored.file.size;
    memcpy(s->sha256, j->stored.sha256, sizeof s->sha256);
    s->facts = j->facts;
    j->facts = (struct mvcc_facts){ 0 };
    s->member_name = name_of(&s->facts, s->from->member_id);
    s->proved =
        j->stored.file.read_back && s->facts.pages_complete && s->facts.history_complete;
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
    if (write_file(&j, &o->store, e) != RC_OK)
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

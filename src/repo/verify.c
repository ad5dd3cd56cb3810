#include "repo/verify.h"

#include <inttypes.h>
#include <string.h>

#include "bundle/bundle.h"
#include "filter/lane.h"
#include "repo/object.h"
#include "snapshot/gate.h"
#include "util/clock.h"

enum { LANE_BLOCK = 1 << 20, LANE_BLOCKS = 4 };

/* ---- the content against the record ----------------------------------------------- */

void repo_content_clear(struct repo_content *c)
{
    snap_verdict_clear(&c->verdict);
}

static enum rc differs(const char *what, struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "it opens, but its %s is not what the record says" HINT
                   "the record or the object is false: run 'holdfast audit'",
                   what);
}

static enum rc compare(const struct manifest *m, const struct snap_verdict *v,
                       struct err *e)
{
    const struct mvcc_facts *f = &v->facts;

    if (v->trailer.size != m->db_size)
        return differs("size", e);
    if (memcmp(v->trailer.database, m->db_sha256, sizeof m->db_sha256) != 0)
        return differs("SHA-256", e);
    if (f->revision != m->revision)
        return differs("revision", e);
    if (f->live_keys != m->live_keys)
        return differs("number of keys", e);
    if (m->hashkv_known && f->hashkv_known &&
        (f->hashkv.hash != m->hashkv ||
         f->hashkv.compact_revision != m->compact_revision))
        return differs("HashKV", e);
    return RC_OK;
}

static enum rc judge(void *arg, struct err *e)
{
    struct repo_content *c = arg;

    TRY(snap_examine_trailer(&c->verdict, e));
    if (findings_verdict(&c->verdict.findings, e) != RC_OK)
        return err_wrap(e, "the database in it is damaged");
    return compare(c->m, &c->verdict, e);
}

static enum rc open_bundle(struct sink *next, struct sink **out, struct err *e)
{
    const struct bundle_target target = { .snapshot = next,
                                          .snapshot_max = SNAP_SIZE_MAX };

    return bundle_unpack_new(&target, out, e);
}

enum rc repo_content_sink_new(struct sink *next, const struct age_identities *ids,
                              struct repo_content *c, struct sink **out, struct err *e)
{
    OWNED(sink) chain = next;

    TRY(gate_sink_new(GIVE(chain), judge, c, &chain, e));
    TRY(snap_examine_sink_new(GIVE(chain), SNAP_LEVEL_FULL, 0, &c->verdict, &chain, e));
    if (c->m->content == MANIFEST_BUNDLE)
        TRY(open_bundle(GIVE(chain), &chain, e));
    TRY(lane_sink_new(GIVE(chain), LANE_BLOCK, LANE_BLOCKS, &chain, e));
    TRY(snap_decode_sink_new(GIVE(chain), ids, &c->verdict.kind, &chain, e));
    *out = GIVE(chain);
    return RC_OK;
}

/* ---- one backup ------------------------------------------------------------------- */

static enum rc verify_full(struct repo *r, const struct manifest *m,
                           const struct age_identities *ids, struct err *e)
{
    AT_END(repo_content_clear) struct repo_content c = { .m = m };
    OWNED(sink) chain = NULL;

    TRY(null_sink_new(&chain, e));
    TRY(repo_content_sink_new(GIVE(chain), ids, &c, &chain, e));
    return repo_object_read(r, m, GIVE(chain), e);
}

enum rc repo_verify(struct repo *r, const struct record *x, enum repo_level level,
                    const struct age_identities *ids, struct err *e)
{
    int64_t begun = clock_unix_ms() / 1000;
    enum rc rc = level == REPO_LEVEL_FULL ? verify_full(r, x->backup, ids, e)
                                          : repo_object_check(r->store, x->backup, e);

    repo_note_run(r, "verify", begun, x->sequence, rc, e);
    return rc == RC_OK ? rc : repo_object_wrap(x, "verifying", e);
}

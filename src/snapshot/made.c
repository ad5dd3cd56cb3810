#include "snapshot/made.h"

#include <string.h>

#include "filter/lane.h"
#include "mvcc/stream_survey.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/stop.h"

enum { LANE_BLOCK = 1 << 20, LANE_BLOCKS = 4, HEAD_MAX = 2 * BOLT_PAGE_SIZE_MAX };

void snap_made_clear(struct snap_made *m)
{
    findings_clear(&m->findings);
    mvcc_facts_clear(&m->facts);
}

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

static enum rc send_all(snap_build_fn *build, void *arg, const struct head *h,
                        struct sink *chain, struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) hash = NULL;

    TRY(sha256_new(&hash, e));

    struct outflow s = { h, chain, hash, 0 };
    const struct bolt_target target = { &s, send_piece, check_head, NULL };

    TRY(build(arg, &target, e));
    TRY(sha256_end(hash, digest, e));
    return sink_write(chain, digest, sizeof digest, e);
}

/* ---- together ---------------------------------------------------------------------- */

enum rc snap_made_store(const struct snap_store_options *o, snap_build_fn *build,
                        gate_fn *judge, void *arg, struct snap_made *out, struct err *e)
{
    OWNED(sink) chain = NULL;
    struct head *h = NULL;
    AT_END(mem_end) void *held = NULL;
    uint64_t reserve;

    TRY(mem_new(&h, sizeof *h, "the metas", e));
    held = h;

    const struct bolt_target learning = { h, count_piece, keep_head, NULL };

    TRY(snap_store_reserve(o, &reserve, e));
    TRY(build(arg, &learning, e));
    TRY(snap_store_new(o, reserve, h->size + SNAP_TRAILER_SIZE, &out->stored, &chain, e));
    TRY(gate_sink_new(GIVE(chain), judge, arg, &chain, e));
    TRY(mvcc_stream_sink_new(GIVE(chain), NULL, &out->findings, &out->facts, &chain, e));
    TRY(snap_trailer_sink_new(GIVE(chain), false, &out->trailer, &chain, e));
    TRY(lane_sink_new(GIVE(chain), LANE_BLOCK, LANE_BLOCKS, &chain, e));
    TRY(send_all(build, arg, h, chain, e));
    TRY(sink_finish(chain, e));
    snap_store_settle(o, &out->trailer, &out->stored);
    return RC_OK;
}

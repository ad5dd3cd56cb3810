#include "snapshot/verify.h"

#include <string.h>

#include "boltdb/ahead.h"
#include "mvcc/stream_survey.h"
#include "mvcc/survey.h"
#include "util/mem.h"

/* Facts of a stream take this much at most; beyond it HashKV stays unknown. */
#define SURVEY_MEMORY ((size_t)512 << 20)

void snap_verdict_clear(struct snap_verdict *v)
{
    mvcc_facts_clear(&v->facts);
    findings_clear(&v->findings);
    *v = (struct snap_verdict){ 0 };
}

enum rc snap_examine_trailer(struct snap_verdict *v, struct err *e)
{
    struct err why = { 0 };

    if (snap_trailer_verdict(&v->trailer, &why) == RC_OK)
        return RC_OK;
    return findings_add(&v->findings, FINDING_ERROR,
                        v->trailer.present ? "trailer-mismatch" : "trailer-missing",
                        FINDING_NO_PAGE, e, "%s", why.why);
}

static enum rc survey_raw(const struct snap_verify_options *o,
                          const struct bolt_file *file, struct snap_verdict *v,
                          struct err *e)
{
    const struct mvcc_survey_options options = {
        .level = o->level == SNAP_LEVEL_FULL ? MVCC_FULL : MVCC_PAGES,
        .revision = o->revision,
        .status_hash = o->status_hash,
    };
    AT_END(bolt_ahead_stop) struct bolt_ahead ahead = { 0 };

    if (o->level == SNAP_LEVEL_TRAILER)
        return RC_OK;
    /* Else the digest's thread reads it in file order. */
    if (o->skip_trailer)
        TRY(bolt_ahead_start(&ahead, file, e));
    return mvcc_survey_file(file, &options, &v->findings, &v->facts, e);
}

static enum rc verify_raw(const struct snap_verify_options *o, struct snap_verdict *v,
                          struct err *e)
{
    OWNED(bolt_file) file = NULL;
    struct snap_hashing h = { 0 };

    TRY(bolt_file_open(o->file, &v->findings, &file, e));
    if (!o->skip_trailer)
        TRY(snap_hashing_start(&h, bolt_file_bytes(file), e));
    TRY(snap_hashing_join(&h, survey_raw(o, file, v, e), e));
    TRY(bolt_file_intact(file, e));
    v->trailer = h.trailer;
    v->stored.size = bolt_file_size(file);
    memcpy(v->stored.sha256, h.trailer.whole, SHA256_SIZE);
    return o->skip_trailer ? RC_OK : snap_examine_trailer(v, e);
}

enum rc snap_examine_sink_new(struct sink *next, enum snap_level level, int64_t revision,
                              struct snap_verdict *out, struct sink **sink, struct err *e)
{
    const struct mvcc_stream_options survey = { .revision = revision,
                                                .memory_max = SURVEY_MEMORY };
    OWNED(sink) chain = next;

    if (level != SNAP_LEVEL_TRAILER)
        TRY(mvcc_stream_sink_new(GIVE(chain), &survey, &out->findings, &out->facts,
                                 &chain, e));
    TRY(snap_trailer_sink_new(GIVE(chain), true, &out->trailer, &chain, e));
    *sink = GIVE(chain);
    return RC_OK;
}

static enum rc verify_wrapped(const struct snap_verify_options *o, struct snap_verdict *v,
                              struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(null_sink_new(&chain, e));
    TRY(snap_examine_sink_new(GIVE(chain), o->level, o->revision, v, &chain, e));
    TRY(snap_decode_file(o->file, o->ids, GIVE(chain), &v->kind, &v->stored, e));
    return snap_examine_trailer(v, e);
}

static enum rc examine(const struct snap_verify_options *o, struct snap_verdict *v,
                       struct err *e)
{
    bool raw = false;

    if (strcmp(o->file, "-") != 0) {
        TRY(snap_probe(o->file, &v->kind, e));
        raw = !v->kind.age && !v->kind.zstd;
    }
    return raw ? verify_raw(o, v, e) : verify_wrapped(o, v, e);
}

enum rc snap_verify(const struct snap_verify_options *o, struct snap_verdict *out,
                    struct err *e)
{
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };

    TRY(examine(o, &v, e));
    *out = v;
    v = (struct snap_verdict){ 0 };
    return RC_OK;
}

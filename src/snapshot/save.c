#include "snapshot/save.h"

#include <stdio.h>
#include <string.h>

#include "filter/lane.h"
#include "filter/rate.h"
#include "mvcc/stream_survey.h"
#include "snapshot/gate.h"
#include "snapshot/local.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/str.h"
#include "wire/maintenance.h"
#include "wire/snapshot.h"

enum { LANE_BLOCK = 1 << 20, LANE_BLOCKS = 4 };

/* Without a place for a temporary file facts of pages and records may take this much;
 * beyond it the survey gives up. */
#define SURVEY_MEMORY ((size_t)192 << 20)

/* ---- which member ----------------------------------------------------------------- */

struct view {
    struct snap_member *members;
    struct snap_candidate *order;
    uint64_t *db_sizes;
    size_t count, candidates;
    uint64_t cluster;
    bool nospace, corrupt;
    struct err first_failure;
};

static void view_end(struct view *v)
{
    mem_free(v->members);
    mem_free(v->order);
    mem_free(v->db_sizes);
}

/* Alarm texts differ between versions in spacing; the words do not. */
static void note_alarms(struct view *v, const struct wire_status *s,
                        struct snap_member *m)
{
    char own[32];

    snprintf(own, sizeof own, "memberID:%llu ", (unsigned long long)s->header.member_id);
    for (size_t i = 0; i < s->errors.count; i++) {
        bool corrupt = strstr(s->errors.items[i], "CORRUPT") != NULL;

        v->nospace |= strstr(s->errors.items[i], "NOSPACE") != NULL;
        v->corrupt |= corrupt;
        m->corrupt_alarm |= corrupt && strstr(s->errors.items[i], own) != NULL;
    }
}

static enum rc ask(struct wire_client *c, size_t i, struct view *v, struct err *e)
{
    AT_END(wire_status_clear) struct wire_status s = { 0 };
    struct snap_member *m = &v->members[i];
    struct err failure = { 0 };
    enum rc rc = wire_status_get(c, i, &s, &failure);

    m->endpoint = wire_endpoint(c, i);
    if (rc == RC_OK) {
        m->answered = true;
        m->id = s.header.member_id;
        v->cluster = s.header.cluster_id;
        m->revision = s.header.revision;
        m->learner = s.is_learner;
        m->knows_leader = s.leader != 0;
        m->leader = s.leader == m->id;
        v->db_sizes[i] = s.db_size;
        note_alarms(v, &s, m);
        return RC_OK;
    }
    if (v->first_failure.why[0] == '\0')
        v->first_failure = failure;
    if (rc == RC_NET) {
        log_warn("%s does not answer: %s", m->endpoint, failure.why);
        return RC_OK;
    }
    *e = failure;
    return rc;
}

static enum rc look(struct wire_client *c, const struct snap_save_options *o,
                    struct view *v, struct err *e)
{
    bool any = false;

    v->count = wire_endpoint_count(c);
    TRY(mem_new(&v->members, v->count * sizeof *v->members, "the members", e));
    TRY(mem_new(&v->order, v->count * sizeof *v->order, "the members", e));
    TRY(mem_new(&v->db_sizes, v->count * sizeof *v->db_sizes, "the members", e));
    for (size_t i = 0; i < v->count; i++) {
        TRY(ask(c, i, v, e));
        any |= v->members[i].answered;
    }
    if (!any) {
        *e = v->first_failure;
        return e->code;
    }
    return snap_choose(v->members, v->count, o->from, o->from_endpoint, v->order,
                       &v->candidates, e);
}

static const char *degraded_by(const struct view *v, const struct snap_member *m)
{
    if (v->corrupt)
        return "a member raised a CORRUPT alarm: compare the members' hashes";
    if (v->nospace)
        return "the cluster has a NOSPACE alarm: it refuses writes until space is made";
    if (!m->knows_leader)
        return "the member knows no leader: the cluster has lost its quorum, and this "
               "copy "
               "may lack writes that other members have";
    return NULL;
}

/* ---- one attempt ------------------------------------------------------------------- */

struct attempt {
    struct findings findings;
    uint64_t announced; /* how many bytes will come */
    struct snap_trailer trailer;
    struct mvcc_facts facts;
    struct snap_store_result stored;
};

static void attempt_end(struct attempt *a)
{
    findings_clear(&a->findings);
    mvcc_facts_clear(&a->facts);
}

static enum rc judge(void *arg, struct err *e)
{
    const struct attempt *a = arg;

    if (findings_verdict(&a->findings, e) != RC_OK) {
        enum rc rc = err_wrap(e, "the member sent a damaged database");

        err_hint(e, "take the snapshot from another member, and look at this one's disk");
        return rc;
    }
    return RC_OK;
}

static uint64_t rate_of(const struct snap_save_options *o, const char *endpoint)
{
    if (!o->rate_auto)
        return o->rate;
    return snap_endpoint_is_local(endpoint) ? SNAP_LOCAL_RATE : 0;
}

static struct snap_store_options store_of(const struct snap_save_options *o)
{
    return (struct snap_store_options){ o->file, o->recipients, o->allow_same_filesystem,
                                        o->end };
}

/* The chain, built from the file outwards. */
static enum rc build_chain(const struct snap_save_options *o, uint64_t rate,
                           uint64_t reserve, uint64_t db_size, struct attempt *a,
                           struct sink **out, struct err *e)
{
    const struct snap_store_options store = store_of(o);
    const struct mvcc_stream_options survey = { .memory_max = SURVEY_MEMORY };
    OWNED(sink) chain = NULL;

    TRY(snap_store_new(&store, reserve, db_size, &a->stored, &chain, e));
    if (o->wrap != NULL)
        TRY(o->wrap(o->wrap_arg, &a->announced, GIVE(chain), &chain, e));
    TRY(gate_sink_new(GIVE(chain), judge, a, &chain, e));
    TRY(mvcc_stream_sink_new(GIVE(chain), &survey, &a->findings, &a->facts, &chain, e));
    TRY(snap_trailer_sink_new(GIVE(chain), false, &a->trailer, &chain, e));
    TRY(lane_sink_new(GIVE(chain), LANE_BLOCK, LANE_BLOCKS, &chain, e));
    TRY(rate_sink_new(GIVE(chain), rate, &chain, e));
    *out = GIVE(chain);
    return RC_OK;
}

static enum rc attempt(struct wire_client *c, const struct snap_save_options *o,
                       size_t member, uint64_t db_size, uint64_t reserve,
                       struct attempt *a, struct err *e)
{
    uint64_t rate = rate_of(o, wire_endpoint(c, member));
    const struct wire_snapshot_options limits = { .announced = &a->announced };
    const struct snap_store_options store = store_of(o);
    OWNED(sink) chain = NULL;
    struct wire_snapshot got;

    TRY(build_chain(o, rate, reserve, db_size, a, &chain, e));
    TRY(wire_snapshot_take(c, member, &limits, chain, &got, e));
    TRY(sink_finish(chain, e));
    snap_store_settle(&store, &a->trailer, &a->stored);
    return RC_OK;
}

static void conclude(const struct snap_save_options *o, const struct view *v,
                     const struct snap_candidate *from, struct attempt *a,
                     struct snap_saved *s)
{
    const struct snap_member *m = &v->members[from->member];

    s->kind = snap_kind_of_name(o->file);
    s->size = a->trailer.size;
    s->stored_size = a->stored.file.size;
    memcpy(s->sha256, a->stored.sha256, sizeof s->sha256);
    memcpy(s->database_sha256, a->trailer.database, sizeof s->database_sha256);
    s->facts = a->facts;
    a->facts = (struct mvcc_facts){ 0 };
    s->member_id = m->id;
    snprintf(s->endpoint, sizeof s->endpoint, "%s", m->endpoint);
    s->reason = from->reason;
    s->checked = s->facts.pages_complete && s->facts.history_complete;
    s->proved = s->checked && a->stored.file.read_back;
    s->degraded = degraded_by(v, m);
    if (s->degraded == NULL && !s->facts.history_complete)
        s->degraded =
            "it holds too many records to check them all while they stream: run "
            "snapshot verify on it";
}

/* Another member may do better after these; not after a full disk or a refusal. */
static bool another_may_help(enum rc rc)
{
    return rc == RC_NET || rc == RC_CORRUPT;
}

static enum rc save_from(struct wire_client *c, const struct snap_save_options *o,
                         const struct view *v, size_t turn, uint64_t reserve,
                         struct snap_saved *out, struct err *e)
{
    AT_END(attempt_end) struct attempt a = { 0 };
    const struct snap_candidate *from = &v->order[turn];
    const char *endpoint = v->members[from->member].endpoint;

    log_info("taking the snapshot from %s: %s", endpoint, from->reason);
    if (attempt(c, o, from->member, v->db_sizes[from->member], reserve, &a, e) != RC_OK) {
        if (e->code == RC_CORRUPT && e->hint[0] == '\0')
            err_hint(e, "nothing was stored; take the snapshot from another member");
        return err_wrap(e, "saving a snapshot from %s to '%s'", endpoint, o->file);
    }
    conclude(o, v, from, &a, out);
    return RC_OK;
}

static enum rc announce(const struct snap_save_options *o, const struct view *v,
                        struct err *e)
{
    int64_t lowest = INT64_MAX;

    for (size_t i = 0; i < v->candidates; i++) {
        int64_t revision = v->members[v->order[i].member].revision;

        lowest = revision < lowest ? revision : lowest;
    }
    return o->begins == NULL ? RC_OK : o->begins(o->begins_arg, v->cluster, lowest, e);
}

enum rc snap_save(struct wire_client *c, const struct snap_save_options *o,
                  struct snap_saved *out, struct err *e)
{
    AT_END(view_end) struct view v = { 0 };
    const struct snap_store_options store = store_of(o);
    uint64_t start = clock_ms(), reserve = 0;
    struct snap_saved s = { 0 };
    enum rc rc = RC_OK;

    TRY(snap_store_check(&store, e));
    TRY(look(c, o, &v, e));
    TRY(snap_store_reserve(&store, &reserve, e));
    TRY(announce(o, &v, e));
    for (size_t i = 0; i < v.candidates; i++) {
        rc = save_from(c, o, &v, i, reserve, &s, e);
        if (rc == RC_OK || !another_may_help(rc) || i + 1 == v.candidates)
            break;
        log_warn("%s: %s; trying another member", e->what, e->why);
    }
    TRY(rc);
    s.took_ms = clock_ms() - start;
    *out = s;
    return RC_OK;
}

void snap_saved_clear(struct snap_saved *s)
{
    mvcc_facts_clear(&s->facts);
}

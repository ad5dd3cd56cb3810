#include "repo/backup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "care/beside.h"
#include "care/samples.h"
#include "catalog/retain.h"
#include "repo/object.h"
#include "repo/prove.h"
#include "repo/seal.h"
#include "repo/upload.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "wire/auth.h"

#define SNAPSHOT_NAME "snapshot.db.zst.age"
#define BUNDLE_NAME "bundle.tar.zst.age"

enum { ANOTHER_MS = 2 * 60 * 1000 };

void repo_backup_clear(struct repo_backup *b)
{
    record_free(b->record);
    bundle_report_clear(&b->bundled);
    *b = (struct repo_backup){ 0 };
}

/* Everything of one run. */
struct run {
    struct repo *repo;
    const struct repo_backup_options *o;
    struct repo_job job;
    struct care_view view;
    struct str_list recipients; /* fingerprints */
    struct repo_upload upload;
    struct snap_saved saved;
    uint64_t stored_size;
    struct record *record;
    uint64_t auth_revision; /* before the stream; 0: it was not told */
    bool appending;         /* from here on a record may be there, whatever we are told */
    struct repo_proof proof;
    struct bundle_report bundled;
    struct care_beside beside;
};

static void run_end(struct run *n)
{
    repo_job_end(&n->job);
    care_view_clear(&n->view);
    str_list_clear(&n->recipients);
    snap_saved_clear(&n->saved);
    record_free(n->record);
    bundle_report_clear(&n->bundled);
    care_beside_end(&n->beside);
}

/* ---- before the first byte -------------------------------------------------------- */

static enum rc check_recipients(struct run *n, struct err *e)
{
    const struct age_recipients *to = n->o->recipients;

    if (to == NULL || to->count == 0)
        return err_set(e, RC_USAGE,
                       "the backup is to be encrypted, but for nobody" HINT
                       "give --recipient age1... or --recipients-file FILE, as for "
                       "'holdfast repo init'");
    TRY(repo_fingerprints(to, &n->recipients, e));
    if (n->o->allow_other_recipients)
        return RC_OK;
    return repo_check_recipients(&n->repo->identity.recipients, &n->recipients, e);
}

/* One name stands for one cluster: else a backup of staging would be restored as the
 * newest of production. */
static enum rc check_cluster(const struct run *n, uint64_t cluster, struct err *e)
{
    const struct chain_item *last = chain_newest(n->job.log, false);

    if (last == NULL || last->record->backup->etcd_cluster_id == cluster ||
        n->o->accept_cluster == cluster)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "the endpoints belong to cluster %" PRIx64
                   ", and the backups of '%s' so far are of cluster %" PRIx64 HINT
                   "look where the endpoints lead; if the cluster was restored, say "
                   "--accept-cluster %" PRIx64,
                   cluster, n->repo->options.cluster,
                   last->record->backup->etcd_cluster_id, cluster);
}

static void keep_sample(const struct run *n)
{
    struct err e = { 0 };

    if (n->repo->options.state != NULL &&
        care_samples_add(n->repo->options.state, &n->view, clock_unix_ms() / 1000, &e) !=
            RC_OK)
        log_warn("no sample was kept: %s", e.why);
}

/* etcd tells since 3.5, and asks for role root as the vote does. */
static void look_at_users(struct run *n)
{
    bool enabled = false;
    uint64_t revision = 0;
    struct err why = { 0 };

    if (wire_auth_status(n->o->client, &enabled, &revision, &why) == RC_OK)
        n->auth_revision = revision;
}

static enum rc look(struct run *n, struct err *e)
{
    TRY(care_look(n->o->access, 0, &n->view, e));
    if (n->view.cluster_id == 0)
        return care_view_verdict(&n->view, e);
    keep_sample(n);
    look_at_users(n);
    return check_cluster(n, n->view.cluster_id, e);
}

static enum rc begins(void *arg, uint64_t cluster, int64_t revision, struct err *e)
{
    struct run *n = arg;

    TRY(check_cluster(n, cluster, e));
    return care_beside_begin(&n->beside, n->repo->options.state, cluster, revision, e);
}

/* ---- the stream ------------------------------------------------------------------- */

static const char *object_name(const struct run *n)
{
    return n->o->include_count > 0 ? BUNDLE_NAME : SNAPSHOT_NAME;
}

static enum rc make_bundle(void *arg, const uint64_t *size, struct sink *next,
                           struct sink **out, struct err *e)
{
    struct run *n = arg;
    const struct bundle_options o = { .paths = n->o->include,
                                      .count = n->o->include_count,
                                      .snapshot_size = size };

    bundle_report_clear(&n->bundled);
    n->bundled = (struct bundle_report){ 0 };
    return bundle_pack_new(next, &o, &n->bundled, out, e);
}

/* Each attempt has an object of its own; what was begun for the last one goes. */
static enum rc make_end(void *arg, uint64_t size, struct sink **out, struct err *e)
{
    struct run *n = arg;
    const struct store_put put = { .keep_until = n->o->keep_until };
    OWNED(sink) chain = NULL;

    (void)size; /* of the database, which is compressed */
    if (n->upload.object[0] != '\0')
        TRY(repo_upload_end(n->repo, &n->upload, e));
    TRY(repo_upload_begin(n->repo, object_name(n), &n->upload, e));
    TRY(store_put_new(n->repo->store, n->upload.object, &put, &chain, e));
    return repo_beat_sink_new(GIVE(chain), n->job.lock, &n->stored_size, out, e);
}

static enum rc stream(struct run *n, struct err *e)
{
    const struct snap_store_end end = { make_end, n };
    struct snap_save_options o = n->o->stream;

    o.file = object_name(n);
    o.wrap = n->o->include_count > 0 ? make_bundle : NULL;
    o.wrap_arg = n;
    o.recipients = n->o->recipients;
    o.end = &end;
    o.begins = begins;
    o.begins_arg = n;
    return snap_save(n->o->client, &o, &n->saved, e);
}

/* Past whatever cache took the bytes in. */
static enum rc read_back(struct run *n, struct err *e)
{
    OWNED(sink) chain = NULL;
    uint64_t size;

    TRY(null_sink_new(&chain, e));
    TRY(repo_beat_sink_new(GIVE(chain), n->job.lock, &size, &chain, e));
    if (repo_object_read(n->repo, n->record->backup, GIVE(chain), e) != RC_OK)
        return err_wrap(e, "reading back what was stored");
    return RC_OK;
}

/* ---- the record ------------------------------------------------------------------- */

static void note_alarms(const struct care_view *v, struct manifest *m)
{
    for (size_t i = 0; i < v->count; i++) {
        m->alarm_nospace |= (v->items[i].alarms & 1U << WIRE_ALARM_NOSPACE) != 0;
        m->alarm_corrupt |= (v->items[i].alarms & 1U << WIRE_ALARM_CORRUPT) != 0;
    }
}

static void note_facts(const struct run *n, struct manifest *m)
{
    const struct mvcc_facts *f = &n->saved.facts;
    const struct care_member *from = care_member_of(&n->view, n->saved.member_id);

    m->etcd_cluster_id = n->view.cluster_id;
    m->member_id = n->saved.member_id;
    m->auth_revision = n->auth_revision;
    if (from != NULL && from->answered)
        snprintf(m->etcd_version, sizeof m->etcd_version, "%.31s", from->status.version);
    if (f->storage_version != NULL)
        snprintf(m->storage_version, sizeof m->storage_version, "%.31s",
                 f->storage_version);
    m->kubernetes = f->kubernetes;
    m->revision = f->revision;
    m->compact_revision =
        f->hashkv_known ? f->hashkv.compact_revision : f->compact_revision;
    m->hashkv_known = f->hashkv_known;
    m->hashkv = f->hashkv.hash;
    m->live_keys = f->live_keys;
    m->db_size = n->saved.size;
    memcpy(m->db_sha256, n->saved.database_sha256, sizeof m->db_sha256);
    note_alarms(&n->view, m);
}

static enum rc copy_texts(const struct run *n, struct manifest *m, struct err *e)
{
    m->object_key = mem_str(n->upload.object);
    if (m->object_key == NULL)
        return err_set(e, RC_NOMEM, "no memory for a key");
    for (size_t i = 0; i < n->recipients.count; i++)
        TRY(str_list_add(&m->recipients, n->recipients.items[i], e));
    for (size_t i = 0; n->o->tags != NULL && i < n->o->tags->count; i++)
        TRY(manifest_add_tag(&m->tags, n->o->tags->items[i], e));
    if (n->saved.degraded == NULL)
        return RC_OK;
    return str_format(&m->degraded, e, "%.*s", MANIFEST_WHY_MAX, n->saved.degraded);
}

static enum rc fill_record(struct run *n, struct err *e)
{
    struct manifest *m;

    TRY(record_new(RECORD_BACKUP, &n->record, e));
    TRY(manifest_new(&n->record->backup, e));
    m = n->record->backup;
    m->content = n->o->include_count > 0 ? MANIFEST_BUNDLE : MANIFEST_SNAPSHOT;
    m->object_size = n->stored_size;
    memcpy(m->object_sha256, n->saved.sha256, sizeof m->object_sha256);
    note_facts(n, m);
    return copy_texts(n, m, e);
}

/* ---- nothing new ------------------------------------------------------------------ */

static bool still_stored(const struct run *n, const struct manifest *m)
{
    struct store_info info = { 0 };
    struct err e = { 0 };

    return store_stat(n->repo->store, m->object_key, &info, &e) == RC_OK &&
           info.size == m->object_size;
}

static bool has_voted(const struct manifest *m, uint64_t id)
{
    for (size_t i = 0; i < m->vote_count; i++)
        if (m->votes[i].member_id == id)
            return true;
    return false;
}

/* Users, roles and voters are no keys. A lease that matters holds one, and a learner
 * becomes a voter. */
static bool same_beside_keys(const struct run *n, const struct manifest *m)
{
    size_t voters = 0;

    for (size_t i = 0; i < n->view.count; i++) {
        if (!care_is_voter(&n->view.items[i]))
            continue;
        if (!has_voted(m, n->view.items[i].id))
            return false;
        voters++;
    }
    return voters == m->vote_count && n->auth_revision != 0 &&
           n->auth_revision == m->auth_revision;
}

/* Nobody has written since: all voters are at its revision and hold its HashKV. */
static enum rc check_unchanged(struct run *n, bool *unchanged, struct err *e)
{
    const struct chain_item *last = chain_newest(n->job.log, true);
    const struct manifest *m = last == NULL ? NULL : last->record->backup;

    *unchanged = false;
    if (m == NULL || last != chain_newest(n->job.log, false) || n->o->include_count > 0 ||
        m->etcd_cluster_id != n->view.cluster_id || m->revision != n->view.revision ||
        !same_beside_keys(n, m) || !still_stored(n, m))
        return RC_OK;
    TRY(repo_prove_again(n->o->access, &n->view, m, unchanged, e));
    return RC_OK;
}

/* Somebody else was faster. */
static bool young_enough(const struct run *n)
{
    const struct chain_item *last = chain_newest(n->job.log, true);

    return n->o->unless_since != 0 && last != NULL &&
           retain_made_since(last->record->created, n->o->unless_since,
                             clock_unix_ms() / 1000) &&
           still_stored(n, last->record->backup);
}

static enum rc take_last(struct run *n, struct repo_backup *out, struct err *e)
{
    const struct chain_item *last = chain_newest(n->job.log, true);
    AT_END(log_record_clear) struct log_record text = { 0 };

    TRY(log_read_one(n->repo->store, n->repo->options.cluster, last->at.sequence, &text,
                     e));
    TRY(record_decode((struct bytes){ text.record.p, text.record.n }, "the last record",
                      &out->record, e));
    out->skipped = true;
    return RC_OK;
}

/* ---- together --------------------------------------------------------------------- */

/* The vote comes before anything else that takes time: Kubernetes compacts every five
 * minutes, and what is compacted away no voter can be asked for. */
static enum rc store_once(struct run *n, struct err *e)
{
    TRY(stream(n, e));
    TRY(fill_record(n, e));
    return repo_prove(n->o->access, &n->view, &n->saved, n->record->backup, &n->proof, e);
}

/* What is locked in the store cannot be taken back, and what took long would again. */
static bool worth_another(const struct run *n, uint64_t began_ms)
{
    return n->proof.overtaken && n->o->keep_until == 0 &&
           clock_ms() - began_ms < ANOTHER_MS;
}

static enum rc forget_upload(struct run *n, struct err *e)
{
    record_free(n->record);
    n->record = NULL;
    snap_saved_clear(&n->saved);
    n->saved = (struct snap_saved){ 0 };
    care_beside_end(&n->beside);
    n->beside = (struct care_beside)CARE_BESIDE;
    TRY(store_remove(n->repo->store, n->upload.object, e));
    TRY(repo_upload_end(n->repo, &n->upload, e));
    n->upload = (struct repo_upload){ 0 };
    return RC_OK;
}

static enum rc store_and_prove(struct run *n, struct err *e)
{
    uint64_t began_ms = clock_ms();
    struct record_link at;

    TRY(store_once(n, e));
    if (worth_another(n, began_ms)) {
        log_info("a compaction came between the backup and its proof: once more");
        TRY(forget_upload(n, e));
        TRY(store_once(n, e));
    }
    TRY(read_back(n, e));
    n->appending = true;
    TRY(repo_job_append(&n->job, n->record, &at, e));
    n->record->sequence = at.sequence;
    return repo_upload_end(n->repo, &n->upload, e);
}

/* An object that will never be named is not left for the next run to find, if that can be
 * helped. Its name is ours alone, so this needs no lock: whoever took the lock away may
 * have removed the entry that announces the object. */
static void drop_upload(struct run *n)
{
    struct err e = { 0 };

    if (n->upload.object[0] == '\0' || n->appending)
        return;
    if (store_remove(n->repo->store, n->upload.object, &e) != RC_OK ||
        repo_upload_end(n->repo, &n->upload, &e) != RC_OK)
        log_warn("'%s' is left for the next run to remove: %s", n->upload.object, e.why);
}

static enum rc carry_out(struct run *n, struct repo_backup *out, struct err *e)
{
    bool unchanged;
    enum rc rc;

    TRY(check_recipients(n, e));
    TRY(repo_job_begin(&n->job, n->repo, &n->o->job, e));
    unchanged = young_enough(n);
    if (!unchanged)
        TRY(look(n, e));
    if (!unchanged && n->o->skip_unchanged)
        TRY(check_unchanged(n, &unchanged, e));
    if (unchanged)
        return take_last(n, out, e);
    rc = store_and_prove(n, e);
    if (rc != RC_OK) {
        drop_upload(n);
        return rc;
    }
    out->record = GIVE(n->record);
    snprintf(out->endpoint, sizeof out->endpoint, "%s", n->saved.endpoint);
    out->reason = n->saved.reason;
    out->voters = n->proof.voters;
    out->agreed = n->proof.agreed;
    out->bundled = n->bundled;
    n->bundled = (struct bundle_report){ 0 };
    return RC_OK;
}

enum rc repo_backup(struct repo *r, const struct repo_backup_options *o,
                    struct repo_backup *out, struct err *e)
{
    AT_END(run_end) struct run n = { .repo = r, .o = o, .beside = CARE_BESIDE };
    AT_END(repo_backup_clear) struct repo_backup made = { 0 };
    int64_t begun = clock_unix_ms() / 1000;
    uint64_t start = clock_ms();
    enum rc rc;

    rc = carry_out(&n, &made, e);
    repo_note_run(r, "backup", begun, rc == RC_OK ? made.record->sequence : 0, rc, e);
    if (rc != RC_OK)
        return err_wrap(e, "backing up '%s' to '%s'", r->options.cluster,
                        store_name(r->store));
    made.took_ms = clock_ms() - start;
    *out = made;
    made = (struct repo_backup){ 0 };
    return RC_OK;
}

enum rc repo_backup_verdict(const struct repo_backup *b, struct err *e)
{
    const struct manifest *m = b->record->backup;

    if (!m->proved)
        return err_set(e, RC_DEGRADED,
                       "the backup is stored, but not proved: %s" HINT
                       "run 'holdfast hash' and 'holdfast doctor', then take another one",
                       m->proved_why == NULL ? "" : m->proved_why);
    if (m->degraded != NULL)
        return err_set(e, RC_DEGRADED, "the backup is stored, but %s", m->degraded);
    if (b->bundled.missing_required > 0)
        return err_set(
            e, RC_DEGRADED,
            "the backup is stored, but %zu file(s) that a recovery of this host "
            "needs were not found" HINT
            "they are named above; is this the right host, and the right preset?",
            b->bundled.missing_required);
    return RC_OK;
}

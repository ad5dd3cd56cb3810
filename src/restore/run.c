/* The executor: build beside the final name, prove, publish. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "restore/database.h"
#include "restore/place.h"
#include "restore/restore.h"
#include "restore/source.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"
#include "util/str.h"

static enum rc write_log(const struct restore_plan *p, const struct restore_place *place,
                         struct err *e)
{
    struct wal_member members[RESTORE_MEMBERS_MAX];
    const struct wal_seed seed = {
        .members = members,
        .member_count = p->members.count,
        .node_id = p->member_id,
        .cluster_id = p->cluster_id,
        .term = 1,
        .index = p->members.count,
    };

    for (size_t i = 0; i < p->members.count; i++) {
        const struct restore_member *m = &p->members.items[i];

        members[i] = (struct wal_member){
            .id = m->id,
            .name = m->name,
            .peer_urls = (const char *const *)m->peer_urls.items,
            .peer_url_count = m->peer_urls.count,
        };
    }
    return restore_place_seed(place, &seed, e);
}

/* A newer schema than the target knows makes that etcd refuse to start, or worse. */
static enum rc check_version(const struct restore_plan *p, const struct bolt_file *db,
                             struct restore_done *done, struct err *e)
{
    struct mvcc_version v = { 0 };
    struct bytes value;
    bool found = false;

    TRY(bolt_file_get(db, "meta", bytes_str(MVCC_STORAGE_VERSION), &value, &found, e));
    if (!found)
        return RC_OK;
    TRY(mvcc_version_read(value, &v, e));
    snprintf(done->storage_version, sizeof done->storage_version, "%u.%u.%u", v.major,
             v.minor, v.patch);
    if (p->target_minor == 0)
        log_info("the snapshot has storage version %s: it boots on etcd %u.%u and later; "
                 "for an older one give --target-version",
                 done->storage_version, v.major, v.minor);
    else if (p->target_minor < v.minor)
        log_warn(
            "the snapshot comes from etcd %u.%u and is fitted to 3.%u, which may not "
            "know all that is in it: boot and compare before you rely on it",
            v.major, v.minor, p->target_minor);
    return RC_OK;
}

static enum rc check_pin(const struct restore_plan *p, const struct snap_trailer *t,
                         struct err *e)
{
    char want[2 * SHA256_SIZE + 1], got[2 * SHA256_SIZE + 1];

    if (!p->pinned || memcmp(p->database_sha256, t->database, SHA256_SIZE) == 0)
        return RC_OK;
    str_hex(want, p->database_sha256, SHA256_SIZE);
    str_hex(got, t->database, SHA256_SIZE);
    return err_set(e, RC_CORRUPT,
                   "this is not the snapshot that the plan was made for: SHA-256 %s "
                   "instead of %s" HINT
                   "all members must be restored from the same snapshot",
                   got, want);
}

static void tell_trailer(const struct snap_trailer *t)
{
    if (!t->present)
        log_warn("the file has no SHA-256 trailer: only its structure was checked");
    else if (!t->matches)
        log_warn("the SHA-256 trailer does not match, which --skip-hash-check allows");
}

static enum rc build(const struct restore_plan *p, const struct restore_place *place,
                     struct restore_source *source, const char *db,
                     struct restore_database *built, struct restore_done *done,
                     struct err *e)
{
    const struct restore_rewrite_plan rewrite = {
        .members = &p->members,
        .index = p->members.count,
        .bump = { .kind = p->bump,
                  .by = p->bump_by,
                  .high_water = p->high_water,
                  .mark_compacted = p->mark_compacted },
        .target = { p->target_minor },
    };
    AT_END(findings_clear) struct findings f = { 0 };

    TRY(check_version(p, restore_source_database(source), done, e));
    TRY(restore_database_build(restore_source_database(source), db, &rewrite, &f, built,
                               e));
    return write_log(p, place, e);
}

/* Asked last: the source is still being hashed while the new database is built and
 * proved. */
static enum rc judge_source(const struct restore_plan *p, struct restore_source *source,
                            struct restore_done *done, struct err *e)
{
    TRY(restore_source_verdict(source, p->skip_hash_check, &done->trailer, e));
    TRY(check_pin(p, &done->trailer, e));
    tell_trailer(&done->trailer);
    return RC_OK;
}

static void fill(const struct restore_database *built, struct restore_done *done)
{
    done->bump = built->bump;
    done->dropped = built->dropped;
    done->records = built->source.records;
    done->live_keys = built->source.live_keys;
    done->db_size = built->size;
    done->snapshot_revision = built->source.revision;
    done->compact_revision = built->source.hashkv.compact_revision;
    done->hashkv = built->source.hashkv.hash;
}

static enum rc run(const struct restore_plan *p, const char *file,
                   const struct age_identities *ids, struct restore_done *done,
                   struct err *e)
{
    OWNED(restore_place) place = NULL;
    OWNED(restore_source) source = NULL;
    AT_END(findings_clear) struct findings f = { 0 };
    AT_END(mem_end) char *db = NULL;
    struct restore_database built;

    TRY(restore_place_open(p->data_dir, p->wal_dir, &place, e));
    TRY(str_format(&db, e, "%s/db", restore_place_snap_dir(place)));
    TRY(restore_source_open(file, ids, restore_place_scratch(place), &f, &source, e));
    TRY(build(p, place, source, db, &built, done, e));
    TRY(judge_source(p, source, done, e));
    TRY(stop_check(e));
    fill(&built, done);
    return restore_place_publish(place, e);
}

enum rc restore_run(const struct restore_plan *p, const char *file,
                    const struct age_identities *ids, struct restore_done *out,
                    struct err *e)
{
    struct restore_done done = { 0 };
    uint64_t start = clock_ms();

    if (run(p, file, ids, &done, e) != RC_OK)
        return err_wrap(e, "restoring '%s' to '%s'", file, p->data_dir);
    done.took_ms = clock_ms() - start;
    *out = done;
    return RC_OK;
}

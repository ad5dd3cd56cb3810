#include "drill/drill.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "drill/boot.h"
#include "restore/restore.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/os.h"
#include "wire/kv.h"
#include "wire/maintenance.h"

/* A name that only this drill's data directory knows. */
#define PEER_URL "http://127.0.0.1:2380"

struct drill {
    const struct drill_request *q;
    struct drill_seen *seen;
    char *data_dir, *log;
    struct boot boot;
    struct wire_client *client;
    uint64_t cluster, step_began;
    int64_t base; /* the revision that the restored data ends with */
    uint32_t expected_hashkv;
    uint64_t expected_keys;
};

static void step_done(struct drill *d, const char *name)
{
    const uint64_t now = clock_ms();

    for (size_t i = 0; i < DRILL_STEPS; i++)
        if (d->seen->steps[i].name == NULL) {
            d->seen->steps[i] = (struct drill_step){ name, now - d->step_began };
            break;
        }
    d->step_began = now;
}

/* ---- restore -------------------------------------------------------------------------
 */

static enum rc differs(const char *what, uint64_t is, uint64_t should, struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "%s is %" PRIu64 ", and %" PRIu64 " was backed up" HINT
                   "do not count on this backup: drill an older one, and make a new one",
                   what, is, should);
}

/* Does the file hold what the record says? */
static enum rc compare_file(struct drill *d, const struct restore_done *done,
                            struct err *e)
{
    const struct drill_expected *x = &d->q->expected;

    d->base = done->snapshot_revision;
    d->expected_hashkv = done->hashkv;
    d->expected_keys = done->live_keys;
    if (!x->known)
        return RC_OK;
    if (done->snapshot_revision != x->revision)
        return differs("the revision", (uint64_t)done->snapshot_revision,
                       (uint64_t)x->revision, e);
    if (x->hashkv_known && done->hashkv != x->hashkv)
        return differs("HashKV", done->hashkv, x->hashkv, e);
    if (done->live_keys != x->keys)
        return differs("the number of keys", done->live_keys, x->keys, e);
    return RC_OK;
}

/* Without a bump: what is compared is the history as it was. */
static enum rc restore(struct drill *d, struct err *e)
{
    [[gnu::cleanup(restore_plan_clear)]] struct restore_plan plan = { 0 };
    struct restore_done done = { 0 };
    const struct restore_request q = {
        .name = "drill",
        .data_dir = d->data_dir,
        .initial_cluster = "drill=" PEER_URL,
        .peer_urls = PEER_URL,
        .bump = RESTORE_BUMP_BY,
    };

    TRY(restore_plan_make(&q, &plan, e));
    TRY(restore_run(&plan, d->q->file, d->q->ids, &done, e));
    d->cluster = plan.cluster_id;
    d->seen->db_size = done.db_size;
    step_done(d, "restore");
    return compare_file(d, &done, e);
}

/* ---- boot ----------------------------------------------------------------------------
 */

static enum rc boot(struct drill *d, struct err *e)
{
    TRY(boot_start(&d->boot, d->data_dir, PEER_URL, d->log, e));
    TRY(boot_wait(&d->boot, d->q, d->cluster, d->log, &d->client, e));
    step_done(d, "boot");
    return RC_OK;
}

/* ---- ask -----------------------------------------------------------------------------
 */

static enum rc who_answers(struct drill *d, struct err *e)
{
    struct wire_status s = { 0 };
    const enum rc rc = wire_status_get(d->client, 0, &s, e);

    if (rc == RC_OK)
        snprintf(d->seen->server, sizeof d->seen->server, "%s %s",
                 d->boot.etcd ? "etcd" : "holdfast-lab", s.version);
    wire_status_clear(&s);
    return rc;
}

/* At the revision of the backup, whatever a lease that ends meanwhile may delete. */
static enum rc ask_hashkv(struct drill *d, struct err *e)
{
    struct wire_hashkv h = { 0 };

    TRY(wire_hashkv_get(d->client, 0, d->base, &h, e));
    d->seen->revision = d->base;
    d->seen->hashkv = h.hash;
    if (h.hash != d->expected_hashkv)
        return differs("HashKV of the server", h.hash, d->expected_hashkv, e);
    return RC_OK;
}

static enum rc count(struct drill *d, struct bytes key, struct bytes end, uint64_t *out,
                     struct err *e)
{
    struct wire_kvs k = { 0 };
    const struct wire_range q = {
        .key = key, .end = end, .revision = d->base, .count_only = true
    };
    const enum rc rc = wire_range_get(d->client, &q, &k, e);

    *out = (uint64_t)k.total;
    wire_kvs_clear(&k);
    return rc;
}

static enum rc ask_keys(struct drill *d, struct err *e)
{
    static const uint8_t zero[1] = { 0 };

    TRY(count(d, BYTES_OF(zero), BYTES_OF(zero), &d->seen->keys, e));
    if (d->seen->keys != d->expected_keys)
        return differs("the number of keys", d->seen->keys, d->expected_keys, e);
    return RC_OK;
}

static enum rc ask_canaries(struct drill *d, struct err *e)
{
    const struct str_list *l = &d->q->canaries;

    for (size_t i = 0; i < l->count; i++) {
        uint64_t found;

        TRY(count(d, bytes_str(l->items[i]), (struct bytes){ NULL, 0 }, &found, e));
        if (found == 0)
            return err_set(e, RC_CORRUPT, "the canary key '%.200s' is not there",
                           l->items[i]);
        d->seen->canaries++;
    }
    return RC_OK;
}

static enum rc ask(struct drill *d, struct err *e)
{
    TRY(who_answers(d, e));
    TRY(ask_hashkv(d, e));
    TRY(ask_keys(d, e));
    TRY(ask_canaries(d, e));
    step_done(d, "ask");
    return RC_OK;
}

/* ---- all of it -----------------------------------------------------------------------
 */

static enum rc steps(struct drill *d, struct err *e)
{
    TRY(boot_choose(d->q->etcd, &d->boot, e));
    if (restore(d, e) != RC_OK)
        return err_wrap(e, "restoring it");
    if (boot(d, e) != RC_OK)
        return err_wrap(e, "booting on it");
    if (ask(d, e) != RC_OK)
        return err_wrap(e, "comparing it");
    d->seen->recovery_ms = clock_ms() - d->q->begun_ms;
    return RC_OK;
}

static enum rc clear(const struct drill *d, struct err *e)
{
    TRY(os_remove_tree(AT_FDCWD, d->data_dir, e));
    return os_remove_tree(AT_FDCWD, d->log, e);
}

static void drill_end(struct drill *d)
{
    wire_client_free(d->client);
    mem_free(d->data_dir);
    mem_free(d->log);
}

enum rc drill_run(const struct drill_request *q, struct drill_seen *out, struct err *e)
{
    AT_END(drill_end)
    struct drill d = {
        .q = q, .seen = out, .boot.fds = { -1, -1 }, .step_began = clock_ms()
    };
    struct err left = { 0 };
    enum rc rc;

    *out = (struct drill_seen){ .revision = 0 };
    TRY(str_format(&d.data_dir, e, "%s/data", q->scratch));
    TRY(str_format(&d.log, e, "%s/server.log", q->scratch));
    if (d.step_began > q->begun_ms) {
        d.step_began = q->begun_ms;
        step_done(&d, "fetch");
    }
    rc = steps(&d, e);
    boot_end(&d.boot);
    if (clear(&d, &left) != RC_OK && rc == RC_OK) {
        *e = left;
        rc = left.code;
    }
    return rc;
}

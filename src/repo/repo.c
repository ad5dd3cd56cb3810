#include "repo/repo.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "care/samples.h"
#include "repo/memory.h"
#include "repo/rekey.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- opening ---------------------------------------------------------------------- */

static enum rc check_cluster(const char *cluster, struct err *e)
{
    if (cluster == NULL)
        return err_set(e, RC_USAGE,
                       "which cluster of the repository is meant?" HINT
                       "name it with --cluster");
    if (!record_name_valid(cluster))
        return err_set(e, RC_USAGE,
                       "'%s' is no name for a cluster" HINT
                       "use 1 to 64 letters, digits, '.', '_' or '-'",
                       cluster);
    return RC_OK;
}

/* Keys of the user, else those that this host remembers. */
static enum rc know_keys(struct repo *r, const struct repo_options *o,
                         struct repo_memory *m, struct err *e)
{
    if (o->state != NULL)
        TRY(repo_memory_get(o->state, store_name(r->store), m, e));
    if (o->trust != NULL && o->trust->count > 0) {
        r->trust = *o->trust;
        m->known = false;
    } else if (m->known) {
        r->trust = m->keys;
    }
    r->pinned = r->trust.count > 0;
    return RC_OK;
}

static enum rc other_repository(const struct repo *r, const struct repo_memory *m,
                                struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "'%s' is repository %s, and this host remembers %s there" HINT
                   "if it was made anew on purpose, give its key with --public-key",
                   store_name(r->store), r->identity.id, m->id);
}

static enum rc rolled_back(const struct repo *r, struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "%s in '%s' is older than what this host has seen of it" HINT
                   "somebody put back one with keys that were retired since",
                   REPO_IDENTITY_KEY, store_name(r->store));
}

/* What a believed key signed says whose records count, and up to where. */
static enum rc take_keys(struct repo *r, struct err *e)
{
    for (size_t i = 0; i < r->identity.keys.count; i++)
        TRY(minisign_trust_add(&r->trust, &r->identity.keys.keys[i], e));
    for (size_t i = 0; i < r->identity.retired_count; i++)
        TRY(repo_bound(&r->trust, r->options.cluster, &r->identity.retired[i], e));
    return RC_OK;
}

static enum rc learn_keys(struct repo *r, const struct repo_options *o,
                          struct repo_memory *m, struct err *e)
{
    if (m->known && strcmp(m->id, r->identity.id) != 0)
        return other_repository(r, m, e);
    if (m->known && r->identity.changes < m->changes)
        return rolled_back(r, e);
    if (m->known) /* what is remembered was enough to check who says the rest */
        r->trust = (struct minisign_trust){ 0 };
    TRY(take_keys(r, e));
    if (o->state == NULL || (m->known && m->changes == r->identity.changes))
        return RC_OK;
    if (!r->pinned)
        log_info("this host sees repository %s for the first time, and believes the key "
                 "that it names from now on",
                 r->identity.id);
    memcpy(m->id, r->identity.id, sizeof m->id);
    m->changes = r->identity.changes;
    TRY(repo_active_keys(&r->trust, &m->keys, e));
    return repo_memory_put(o->state, store_name(r->store), m, e);
}

static enum rc open_all(struct repo *r, const struct repo_options *o, struct err *e)
{
    struct repo_memory m = { 0 };

    TRY(store_open(&o->store, &r->store, e));
    TRY(know_keys(r, o, &m, e));
    TRY(repo_identity_get(r->store, &r->trust, &r->identity, e));
    TRY(learn_keys(r, o, &m, e));
    return o->state == NULL ? RC_OK : index_open(o->state->dir, &r->index, e);
}

enum rc repo_open(const struct repo_options *o, struct repo **out, struct err *e)
{
    OWNED(repo) r = NULL;

    TRY(check_cluster(o->cluster, e));
    TRY(mem_new(&r, sizeof *r, "a repository", e));
    r->options = *o;
    r->options.trust = NULL;
    if (open_all(r, o, e) != RC_OK)
        return err_wrap(e, "opening the repository '%s'",
                        r->store == NULL ? "" : store_name(r->store));
    *out = GIVE(r);
    return RC_OK;
}

void repo_free(struct repo *r)
{
    if (r == NULL)
        return;
    index_free(r->index);
    store_free(r->store);
    repo_identity_clear(&r->identity);
    mem_free(r);
}

const char *repo_directory(const struct repo *r)
{
    const char *name = store_name(r->store);

    return strstr(name, "://") == NULL && strcmp(name, "memory:") != 0 ? name : NULL;
}

/* ---- the log ---------------------------------------------------------------------- */

static const char index_whence[] = "this host's index";

struct known {
    struct chain_mark mark;
    bool marked;
};

static enum rc recall(struct repo *r, struct known *k, struct err *e)
{
    *k = (struct known){ 0 };
    if (r->index == NULL)
        return RC_OK;
    return index_mark(r->index, r->identity.id, r->options.cluster, &k->mark, &k->marked,
                      e);
}

static enum rc remember_one(struct repo *r, uint64_t sequence, struct err *e)
{
    AT_END(log_record_clear) struct log_record one = { 0 };
    struct index_record put = { .sequence = sequence };

    TRY(log_read_one(r->store, r->options.cluster, sequence, &one, e));
    put.record = (struct bytes){ one.record.p, one.record.n };
    put.signature = (struct bytes){ one.signature.p, one.signature.n };
    return index_put(r->index, r->identity.id, r->options.cluster, &put, e);
}

static bool same_item(const struct chain *c, const struct chain_item *i)
{
    const struct chain_item *other = chain_find(c, i->at.sequence);

    return other != NULL && record_link_equal(&other->at, &i->at);
}

static enum rc open_remembered(struct repo *r, struct chain **out, struct err *e)
{
    OWNED(chain) c = NULL;

    TRY(chain_new(r->identity.id, r->options.cluster, &r->trust, &c, e));
    TRY(index_chain(r->index, c, e));
    *out = GIVE(c);
    return RC_OK;
}

/* Only what differs is read and written. */
static enum rc remember_all(struct repo *r, const struct chain *c, struct err *e)
{
    const struct chain_mark mark = chain_mark_of(c, index_whence);
    OWNED(chain) had = NULL;

    TRY(open_remembered(r, &had, e));
    TRY(chain_close(had, NULL, 0, e));
    for (size_t i = 0; i < had->count; i++)
        if (!same_item(c, &had->items[i]))
            TRY(index_forget(r->index, r->identity.id, r->options.cluster,
                             had->items[i].at.sequence, e));
    for (size_t i = 0; i < c->count; i++)
        if (!same_item(had, &c->items[i]))
            TRY(remember_one(r, c->items[i].at.sequence, e));
    return index_raise(r->index, r->identity.id, r->options.cluster, &mark, e);
}

static enum rc read_log(struct repo *r, struct index *known, struct chain **out,
                        struct err *e)
{
    OWNED(chain) c = NULL;
    struct known k;
    struct err why = { 0 };

    TRY(recall(r, &k, e));
    TRY(log_read_known(r->store, r->identity.id, r->options.cluster, &r->trust, known, &c,
                       e));
    TRY(chain_close(c, &k.mark, k.marked ? 1 : 0, e));
    if (r->index != NULL && c->findings.errors == 0 && remember_all(r, c, &why) != RC_OK)
        log_warn("this host's index does not know the newest state of the log: %s",
                 why.why);
    *out = GIVE(c);
    return RC_OK;
}

enum rc repo_log(struct repo *r, struct chain **out, struct err *e)
{
    return read_log(r, r->index, out, e);
}

enum rc repo_log_whole(struct repo *r, struct chain **out, struct err *e)
{
    return read_log(r, NULL, out, e);
}

void repo_remember(struct repo *r, const struct record_link *at, int64_t high_water)
{
    const struct chain_mark mark = { *at, high_water, index_whence };
    struct err why = { 0 };

    if (r->index == NULL)
        return;
    if (remember_one(r, at->sequence, &why) != RC_OK ||
        index_raise(r->index, r->identity.id, r->options.cluster, &mark, &why) != RC_OK)
        log_warn("this host's index does not know the newest record: %s", why.why);
}

enum rc repo_log_remembered(struct repo *r, struct chain **out, struct err *e)
{
    OWNED(chain) c = NULL;
    struct known k;

    if (r->index == NULL)
        return err_set(e, RC_NOTFOUND, "there is no state directory to look in");
    TRY(recall(r, &k, e));
    TRY(open_remembered(r, &c, e));
    TRY(chain_close(c, &k.mark, k.marked ? 1 : 0, e));
    *out = GIVE(c);
    return RC_OK;
}

enum rc repo_log_check(const struct chain *log, struct err *e)
{
    if (findings_verdict(&log->findings, e) == RC_OK)
        return RC_OK;
    (void)err_wrap(e, "the log of '%s' in the repository does not hang together",
                   log->cluster);
    err_hint(e, "look at it with 'holdfast audit'; nothing is added to it or taken from "
                "it like this");
    return e->code;
}

/* ---- one backup ------------------------------------------------------------------- */

/* Of a damaged log the reason may be the damage. */
static enum rc no_backup(const struct chain *log, uint64_t sequence, struct err *e)
{
    TRY(repo_log_check(log, e));
    if (sequence == 0)
        return err_set(e, RC_NOTFOUND,
                       "there is no backup of '%s' in the repository" HINT
                       "is that the cluster's name? 'holdfast backup' makes one",
                       log->cluster);
    return err_set(e, RC_NOTFOUND,
                   "there is no backup %" PRIu64 " of '%s' in the repository" HINT
                   "see 'holdfast list'",
                   sequence, log->cluster);
}

enum rc repo_find(const struct chain *log, uint64_t sequence,
                  const struct chain_item **out, struct err *e)
{
    const struct chain_item *newest = chain_newest(log, false), *i = newest;

    if (sequence == 0 && newest != NULL && chain_newest(log, true) != NULL) {
        i = chain_newest(log, true);
        if (i != newest)
            log_warn("backup %" PRIu64 " is newer than %" PRIu64
                     ", but it is not proved; it is taken when it is named",
                     newest->at.sequence, i->at.sequence);
    }
    if (sequence != 0)
        i = chain_find(log, sequence);
    if (i == NULL || !chain_is_backup(i))
        return no_backup(log, sequence, e);
    *out = i;
    return RC_OK;
}

const struct chain_item *repo_before(const struct chain *log,
                                     const struct chain_item *item)
{
    const struct chain_item *best = NULL;

    for (size_t i = 0; i < log->count; i++) {
        const struct chain_item *x = &log->items[i];

        if (x->at.sequence >= item->at.sequence)
            break;
        if (chain_is_backup(x) &&
            (best == NULL || x->record->backup->proved || !best->record->backup->proved))
            best = x;
    }
    return best;
}

/* The samples go back five weeks; the log for ever. */
int64_t repo_high_water(const struct repo *r, const struct chain *log)
{
    const struct chain_item *newest = chain_newest(log, false);
    int64_t revision = 0, seen = 0;
    struct err none = { 0 };

    if (newest == NULL || r->options.state == NULL ||
        care_samples_revision(r->options.state, newest->record->backup->etcd_cluster_id,
                              INT64_MAX, &revision, &seen, &none) != RC_OK)
        return log->high_water;
    return revision > log->high_water ? revision : log->high_water;
}

void repo_note_run(struct repo *r, const char *kind, int64_t begun, uint64_t sequence,
                   enum rc rc, const struct err *e)
{
    const struct index_run run = {
        .kind = kind,
        .begun = begun,
        .ended = clock_unix_ms() / 1000,
        .code = rc == RC_OK ? 0 : rc_exit_status(rc),
        .outcome = rc == RC_OK ? NULL : e->why,
        .sequence = sequence,
    };
    struct err why = { 0 };

    if (r->index != NULL &&
        index_add_run(r->index, r->identity.id, r->options.cluster, &run, &why) != RC_OK)
        log_warn("this host's history of jobs does not know this one: %s", why.why);
}

/* ---- who we are ------------------------------------------------------------------- */

static bool believed(const struct repo *r, const struct minisign_secret *s)
{
    for (size_t i = 0; i < r->trust.count; i++)
        if (r->trust.keys[i].id == s->id && r->trust.bound[i] == 0 &&
            memcmp(r->trust.keys[i].key, s->key, sizeof s->key) == 0)
            return true;
    return false;
}

static enum rc key_path(const struct repo *r, const char *path, char **out, struct err *e)
{
    if (path != NULL)
        return str_format(out, e, "%s", path);
    if (r->options.state == NULL)
        return err_set(e, RC_NOKEY,
                       "without a state directory there is no key to sign with" HINT
                       "give one with --signing-key");
    return repo_memory_key(r->options.state, r->identity.id, out, e);
}

enum rc repo_signer(const struct repo *r, const char *path, struct minisign_secret *out,
                    struct err *e)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };
    AT_END(mem_end) char *file = NULL;
    enum rc rc;

    TRY(key_path(r, path, &file, e));
    rc = minisign_secret_read_file(file, NULL, &s, e);
    if (rc == RC_NOTFOUND)
        return err_set(e, RC_NOKEY,
                       "this host has no key to sign for the repository ('%s')" HINT
                       "copy it from the host that made the repository, or give it with "
                       "--signing-key",
                       file);
    TRY(rc);
    if (!believed(r, &s))
        return err_set(e, RC_REFUSED,
                       "the repository does not believe the key '%s'" HINT
                       "use the key that the repository was made with, or the one that "
                       "took its place; 'holdfast help repo rekey' says more",
                       file);
    *out = s;
    return RC_OK;
}

void repo_host(char out[static RECORD_NAME_SIZE])
{
    char name[256] = "";

    if (gethostname(name, sizeof name - 1) != 0)
        name[0] = '\0';
    for (char *c = name; *c != '\0'; c++)
        if (strspn(c, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-"
                      "_") == 0)
            *c = '-';
    snprintf(out, RECORD_NAME_SIZE, "%.64s", name);
    if (!record_name_valid(out))
        snprintf(out, RECORD_NAME_SIZE, "host");
}

void repo_owner(char out[static 128])
{
    char host[RECORD_NAME_SIZE];

    repo_host(host);
    snprintf(out, 128, "%s, process %ld", host, (long)getpid());
}

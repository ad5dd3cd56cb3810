#include "repo/rekey.h"

#include <inttypes.h>
#include <string.h>

#include "repo/seal.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- whose records count ---------------------------------------------------------- */

static bool same_key(const struct minisign_public *a, const struct minisign_public *b)
{
    return a->id == b->id && memcmp(a->key, b->key, sizeof a->key) == 0;
}

/* Of several entries of a key that of the cluster counts; without one it signs nothing.
 */
enum rc repo_bound(struct minisign_trust *t, const char *cluster,
                   const struct repo_retired *x, struct err *e)
{
    TRY(minisign_trust_add(t, &x->key, e));
    for (size_t i = 0; i < t->count; i++) {
        if (!same_key(&t->keys[i], &x->key))
            continue;
        if (strcmp(x->cluster, cluster) == 0)
            t->bound[i] = x->last + 1;
        else if (t->bound[i] == 0)
            t->bound[i] = 1;
    }
    return RC_OK;
}

enum rc repo_active_keys(const struct minisign_trust *from, struct minisign_trust *out,
                         struct err *e)
{
    *out = (struct minisign_trust){ 0 };
    for (size_t i = 0; i < from->count; i++)
        if (from->bound[i] == 0)
            TRY(minisign_trust_add(out, &from->keys[i], e));
    return RC_OK;
}

/* ---- how far each log is ---------------------------------------------------------- */

struct rekeying {
    const struct repo_rekey_options *o;
    struct repo *repo;
    struct repo_identity *identity; /* as it is to be */
    struct str_list clusters;
    struct repo_retired *heads; /* without a key; one a cluster */
};

static void rekeying_end(struct rekeying *k)
{
    repo_free(k->repo);
    str_list_clear(&k->clusters);
    mem_free(k->heads);
}

static enum rc note_cluster(void *arg, const struct store_info *info, struct err *e)
{
    struct rekeying *k = arg;
    char name[RECORD_NAME_SIZE] = "";
    size_t n = strcspn(info->key, "/");
    uint64_t sequence;

    if (n >= sizeof name)
        return RC_OK;
    memcpy(name, info->key, n);
    if (!record_name_valid(name) ||
        record_key_parse(name, info->key, &sequence) != RECORD_FILE_RECORD ||
        str_list_has(&k->clusters, name))
        return RC_OK;
    return str_list_add(&k->clusters, name, e);
}

static enum rc note_head(struct rekeying *k, size_t n, struct err *e)
{
    struct repo_options o = k->o->repo;
    OWNED(repo) r = NULL;
    OWNED(chain) log = NULL;

    o.cluster = k->clusters.items[n];
    TRY(repo_open(&o, &r, e));
    TRY(repo_log_whole(r, &log, e));
    TRY(repo_log_check(log, e));
    memcpy(k->heads[n].cluster, o.cluster, strlen(o.cluster) + 1);
    k->heads[n].last = log->head.sequence;
    return RC_OK;
}

static enum rc note_heads(struct rekeying *k, struct err *e)
{
    TRY(store_list(k->repo->store, "", note_cluster, k, e));
    TRY(mem_new(&k->heads, (k->clusters.count + 1) * sizeof *k->heads, "heads", e));
    for (size_t i = 0; i < k->clusters.count; i++)
        TRY(note_head(k, i, e));
    return RC_OK;
}

/* ---- what changes ----------------------------------------------------------------- */

static enum rc take_out(struct minisign_trust *t, const char *id,
                        struct minisign_public *out, struct err *e)
{
    char text[MINISIGN_ID_SIZE];

    for (size_t i = 0; i < t->count; i++) {
        minisign_id_text(t->keys[i].id, text);
        if (strcasecmp(text, id) != 0)
            continue;
        *out = t->keys[i];
        t->count--;
        memmove(&t->keys[i], &t->keys[i + 1], (t->count - i) * sizeof t->keys[0]);
        return RC_OK;
    }
    return err_set(e, RC_NOTFOUND,
                   "the repository believes no key '%s'" HINT
                   "give the id that 'holdfast info' names, 16 digits",
                   id);
}

/* An entry for each log there is; for the sake of the list also when there is none. */
static enum rc retire(struct rekeying *k, const char *id, struct err *e)
{
    struct repo_retired x = { .last = 0 };

    TRY(take_out(&k->identity->keys, id, &x.key, e));
    if (k->clusters.count == 0)
        return repo_identity_retire(k->identity, &x, e);
    for (size_t i = 0; i < k->clusters.count; i++) {
        struct repo_retired one = k->heads[i];

        one.key = x.key;
        TRY(repo_identity_retire(k->identity, &one, e));
    }
    return RC_OK;
}

static bool is_retired(const struct repo_identity *i, const struct minisign_public *k)
{
    for (size_t n = 0; n < i->retired_count; n++)
        if (same_key(&i->retired[n].key, k))
            return true;
    return false;
}

static enum rc believe(struct rekeying *k, const struct minisign_public *key,
                       struct err *e)
{
    if (is_retired(k->identity, key))
        return err_set(e, RC_REFUSED,
                       "that key was retired, and is not believed again" HINT
                       "make a new one with 'holdfast keygen --signing'");
    return minisign_trust_add(&k->identity->keys, key, e);
}

static enum rc change_recipients(struct rekeying *k, struct err *e)
{
    const struct age_recipients *to = k->o->recipients;

    if (to == NULL || to->count == 0)
        return RC_OK;
    if (to->count == 1 && !k->o->one_key)
        return err_set(e, RC_REFUSED,
                       "there is a single recipient: when its key is lost, so is every "
                       "backup" HINT "name a second one, whose key lies elsewhere, or "
                       "say --i-have-one-key");
    str_list_clear(&k->identity->recipients);
    return repo_fingerprints(to, &k->identity->recipients, e);
}

static enum rc change(struct rekeying *k, struct err *e)
{
    const struct repo_rekey_options *o = k->o;

    for (size_t i = 0; i < o->believe->count; i++)
        TRY(believe(k, &o->believe->keys[i], e));
    if (o->retire->count > 0)
        TRY(note_heads(k, e));
    for (size_t i = 0; i < o->retire->count; i++)
        TRY(retire(k, o->retire->items[i], e));
    k->identity->changes++;
    return change_recipients(k, e);
}

/* ---- together --------------------------------------------------------------------- */

static enum rc check_signer(const struct rekeying *k, const struct minisign_secret *s,
                            struct err *e)
{
    const struct minisign_public key = minisign_public_of(s);

    for (size_t i = 0; i < k->identity->keys.count; i++)
        if (same_key(&k->identity->keys.keys[i], &key))
            return RC_OK;
    return err_set(e, RC_REFUSED,
                   "the key that signs this would be retired by it" HINT
                   "sign with one that stays: --signing-key FILE");
}

static enum rc carry_out(struct rekeying *k, struct err *e)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };
    OWNED(repo) again = NULL;

    TRY(repo_open(&k->o->repo, &k->repo, e));
    k->identity = &k->repo->identity;
    TRY(repo_signer(k->repo, k->o->signing_key, &s, e));
    TRY(change(k, e));
    TRY(check_signer(k, &s, e));
    TRY(repo_identity_replace(k->repo->store, k->identity, &s, e));
    /* This host remembers it at once. */
    return repo_open(&k->o->repo, &again, e);
}

enum rc repo_rekey(const struct repo_rekey_options *o, struct repo_rekeyed *out,
                   struct err *e)
{
    AT_END(rekeying_end) struct rekeying k = { .o = o };

    if (o->believe->count == 0 && o->retire->count == 0 &&
        (o->recipients == NULL || o->recipients->count == 0))
        return err_set(e, RC_USAGE,
                       "nothing is to change" HINT
                       "name a key with --believe or --retire, or new recipients");
    if (carry_out(&k, e) != RC_OK)
        return err_wrap(e, "changing the keys of '%s'", o->repo.store.url);
    *out = (struct repo_rekeyed){ k.identity->keys.count, o->retire->count,
                                  k.identity->recipients.count };
    return RC_OK;
}

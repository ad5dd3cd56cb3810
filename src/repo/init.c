#include "repo/init.h"

#include <string.h>

#include "catalog/manifest.h"
#include "repo/memory.h"
#include "repo/seal.h"
#include "storage/posix.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

void repo_made_clear(struct repo_made *m)
{
    repo_identity_clear(&m->identity);
    mem_free(m->signing_key);
    *m = (struct repo_made){ 0 };
}

/* ---- for whom --------------------------------------------------------------------- */

static enum rc check_recipients(const struct repo_init_options *o, struct err *e)
{
    const struct age_recipients *to = o->recipients;

    if (to == NULL || to->count == 0)
        return err_set(
            e, RC_USAGE,
            "backups are encrypted: for whom?" HINT
            "make two key pairs with 'holdfast keygen', keep them apart, and name both "
            "with --recipient age1... or --recipients-file FILE");
    if (to->count > 1 || o->one_key)
        return RC_OK;
    return err_set(e, RC_REFUSED,
                   "there is a single recipient: when its key is lost, so is every "
                   "backup" HINT "name a second one, whose key lies elsewhere, or say "
                   "--i-have-one-key");
}

/* ---- where ------------------------------------------------------------------------ */

struct place {
    struct store *store;
    struct str_list left; /* by an init that broke off while it tried the place */
};

static void place_end(struct place *p)
{
    str_list_clear(&p->left);
}

static enum rc not_empty(void *arg, const struct store_info *info, struct err *e)
{
    struct place *p = arg;
    const char *place = store_name(p->store);

    if (strcmp(info->key, REPO_SIGNATURE_KEY) == 0) /* of an init that broke off */
        return RC_OK;
    if (store_is_scratch(info))
        return str_list_add(&p->left, info->key, e);
    if (strcmp(info->key, REPO_IDENTITY_KEY) == 0)
        return err_set(
            e, RC_REFUSED,
            "'%s' is a repository already" HINT "use it, or choose another place", place);
    return err_set(e, RC_REFUSED,
                   "'%s' is not empty: it holds '%.100s'" HINT
                   "a repository needs a place of its own",
                   place, info->key);
}

/* What the store has locked goes when the lock ends, and nothing looks at it. */
static enum rc check_place(struct store *s, struct err *e)
{
    AT_END(place_end) struct place p = { .store = s };

    TRY(store_list(s, "", not_empty, &p, e));
    for (size_t i = 0; i < p.left.count; i++) {
        struct err why = { 0 };
        enum rc rc = store_remove(s, p.left.items[i], &why);

        if (rc != RC_OK && rc != RC_REFUSED) {
            *e = why;
            return rc;
        }
    }
    return RC_OK;
}

static void tell_traits(const char *place, const struct store_traits *t)
{
    if (!t->exclusive)
        log_warn("'%s' may take a key twice: two backups of one cluster at a time cannot "
                 "be told apart there, so only one host may write",
                 place);
    if (!t->lockable)
        log_info("'%s' has no object lock: whoever may write there may also delete",
                 place);
}

/* ---- who signs -------------------------------------------------------------------- */

static enum rc mint_key(const struct repo_init_options *o, struct repo_made *m,
                        struct minisign_secret *key, struct err *e)
{
    char text[MINISIGN_SECRET_SIZE];
    enum rc rc;

    if (o->state == NULL)
        return err_set(e, RC_USAGE,
                       "without a state directory there is no place for a new signing "
                       "key" HINT "give one with --signing-key, or name --state-dir");
    TRY(repo_memory_key(o->state, m->identity.id, &m->signing_key, e));
    TRY(minisign_generate(key, e));
    TRY(minisign_secret_text(key, text, e));
    rc = posix_put_text(m->signing_key, text, e);
    mem_wipe(text, sizeof text);
    m->minted = rc == RC_OK;
    return rc;
}

static enum rc take_key(const struct repo_init_options *o, struct repo_made *m,
                        struct minisign_secret *key, struct err *e)
{
    struct minisign_public public;

    if (o->signing_key != NULL) {
        TRY(str_format(&m->signing_key, e, "%s", o->signing_key));
        TRY(minisign_secret_read_file(o->signing_key, NULL, key, e));
    } else {
        TRY(mint_key(o, m, key, e));
    }
    public = minisign_public_of(key);
    minisign_id_text(public.id, m->key_id);
    repo_key_line(&public, m->public_key);
    return minisign_trust_add(&m->identity.keys, &public, e);
}

/* ---- together --------------------------------------------------------------------- */

static enum rc fill(const struct repo_init_options *o, struct store *s,
                    struct repo_made *m, struct err *e)
{
    uint8_t id[(RECORD_REPO_ID_SIZE - 1) / 2];

    TRY(store_probe(s, "", &m->identity.traits, e));
    tell_traits(store_name(s), &m->identity.traits);
    TRY(os_random(id, sizeof id, e));
    str_hex(m->identity.id, id, sizeof id);
    clock_utc(m->identity.created);
    return repo_fingerprints(o->recipients, &m->identity.recipients, e);
}

static enum rc pin(const struct repo_init_options *o, const struct store *s,
                   const struct repo_made *made, struct err *e)
{
    struct repo_memory m = { .known = true, .keys = made->identity.keys };

    memcpy(m.id, made->identity.id, sizeof m.id);
    return o->state == NULL ? RC_OK : repo_memory_put(o->state, store_name(s), &m, e);
}

/* Key and memory come before the repository: a crash between leaves a key too many and
 * never a repository that nobody can sign for. */
static enum rc make(const struct repo_init_options *o, struct store *s,
                    struct repo_made *m, struct err *e)
{
    AT_END(minisign_secret_wipe) struct minisign_secret key = { 0 };

    TRY(check_place(s, e));
    TRY(fill(o, s, m, e));
    TRY(take_key(o, m, &key, e));
    TRY(pin(o, s, m, e));
    return repo_identity_put(s, &m->identity, &key, e);
}

enum rc repo_init(const struct repo_init_options *o, struct repo_made *out, struct err *e)
{
    AT_END(repo_made_clear) struct repo_made m = { 0 };
    OWNED(store) s = NULL;

    TRY(check_recipients(o, e));
    TRY(store_open(&o->store, &s, e));
    if (make(o, s, &m, e) != RC_OK)
        return err_wrap(e, "making a repository in '%s'", store_name(s));
    *out = m;
    m = (struct repo_made){ 0 };
    return RC_OK;
}

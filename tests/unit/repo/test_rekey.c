#include "repo/rekey.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "repo/copy.h"
#include "storage/posix.h"
#include "tests/unit/repo/den.h"

/* A signing key in a file, with its public half and its id. */
struct signer {
    struct minisign_trust public;
    char file[512], id[MINISIGN_ID_SIZE];
};

static struct signer signer_new(const struct den *d, const char *name)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };
    struct minisign_public key;
    char text[MINISIGN_SECRET_SIZE];
    struct signer out = { 0 };
    struct err e = { 0 };

    snprintf(out.file, sizeof out.file, "%s", path_in(d->home, name));
    OK(minisign_generate(&s, &e), &e);
    OK(minisign_secret_text(&s, text, &e), &e);
    OK(posix_put_text(out.file, text, &e), &e);
    key = minisign_public_of(&s);
    OK(minisign_trust_add(&out.public, &key, &e), &e);
    minisign_id_text(key.id, out.id);
    return out;
}

/* The key that the repository was made with. */
static void first_id(const struct den *d, char out[static MINISIGN_ID_SIZE])
{
    minisign_id_text(d->repo->identity.keys.keys[0].id, out);
}

static enum rc rekey(const struct den *d, const char *signing_key,
                     const struct minisign_trust *believe, const char *retire,
                     struct err *e)
{
    AT_END(str_list_clear) struct str_list ids = { 0 };
    const struct minisign_trust nobody = { 0 };
    const struct repo_rekey_options o = {
        .repo = { .store = { .url = d->place, .allow_same_filesystem = true },
                  .cluster = "any",
                  .state = d->state,
                  .tool = "test 1" },
        .signing_key = signing_key,
        .believe = believe == NULL ? &nobody : believe,
        .retire = &ids,
    };
    struct repo_rekeyed done;

    if (retire != NULL)
        OK(str_list_add(&ids, retire, e), e);
    return repo_rekey(&o, &done, e);
}

/* The den's own look at it, again. */
static void look_again(struct den *d)
{
    struct err e = { 0 };

    repo_free(d->repo);
    d->repo = NULL;
    OK(den_open(d, d->state, NULL, &d->repo, &e), &e);
}

static enum rc job_with(struct den *d, const char *signing_key, struct err *e)
{
    AT_END(repo_job_end) struct repo_job j = { 0 };
    const struct repo_job_options o = { .signing_key = signing_key };

    return repo_job_begin(&j, d->repo, &o, e);
}

static void assert_whole(struct den *d, size_t backups)
{
    OWNED(chain) log = NULL;
    struct err e = { 0 };
    size_t n = 0;

    OK(repo_log_whole(d->repo, &log, &e), &e);
    cr_assert_eq(log->findings.errors, 0, "%s", log->findings.items[0].message);
    for (size_t i = 0; i < log->count; i++)
        n += chain_is_backup(&log->items[i]);
    cr_assert_eq(n, backups);
}

/* Two backups by the first key, two by the next, which takes its place. */
static struct signer change_keys(struct den *d)
{
    struct signer next = signer_new(d, "next.key");
    char first[MINISIGN_ID_SIZE];
    struct err e = { 0 };

    first_id(d, first);
    den_back_up(d, "one", 10, true);
    den_back_up(d, "two", 20, true);
    OK(rekey(d, NULL, &next.public, NULL, &e), &e);
    look_again(d);
    OK(job_with(d, NULL, &e), &e);
    OK(job_with(d, next.file, &e), &e);
    den_back_up_as(d, next.file, "three", 30);
    OK(rekey(d, next.file, NULL, first, &e), &e);
    look_again(d);
    den_back_up_as(d, next.file, "four", 40);
    return next;
}

CASE(repo_rekey, the_log_goes_on_under_another_key)
{
    DEN(d);
    struct signer next = change_keys(&d);
    OWNED(repo) stranger = NULL;
    OWNED(chain) log = NULL;
    struct err e = { 0 };

    assert_whole(&d, 4);
    cr_assert_eq(job_with(&d, NULL, &e), RC_REFUSED, "the old one signs no more");
    /* By somebody who knows only the new key. */
    OK(den_open(&d, NULL, &next.public, &stranger, &e), &e);
    OK(repo_log(stranger, &log, &e), &e);
    cr_assert_eq(log->findings.errors, 0);
    cr_assert_eq(log->head.sequence, 4);
}

/* A thief has the old key, and writes a record and an older holdfast.json with it. */
CASE(repo_rekey, a_retired_key_can_do_no_more)
{
    DEN(d);
    OWNED(repo) early = NULL;
    AT_END(repo_job_end) struct repo_job j = { 0 };
    struct repo_job_options o = { 0 };
    struct err e = { 0 };

    OK(den_open(&d, NULL, NULL, &early, &e), &e);
    change_keys(&d);
    o.signing_key = path_in(d.home, den_key_name(&d));
    OK(repo_job_begin(&j, early, &o, &e), &e);
    den_append(&j, "five", 50);
    assert_whole(&d, 4);

    OWNED(chain) log = den_log(&d);

    cr_assert_str_eq(chain_find(log, 5)->why, "retired");
}

CASE(repo_rekey, an_older_identity_is_not_believed)
{
    DEN(d);
    OWNED(repo) r = NULL;
    AT_END(buf_clear) struct buf json = { 0 };
    AT_END(buf_clear) struct buf signature = { 0 };
    const struct store_put again = { .replace = true };
    struct err e = { 0 };

    OK(store_get_bytes(d.repo->store, REPO_IDENTITY_KEY, 1 << 16, &json, &e), &e);
    OK(store_get_bytes(d.repo->store, REPO_SIGNATURE_KEY, 1 << 16, &signature, &e), &e);
    change_keys(&d);
    OK(store_put_bytes(d.repo->store, REPO_SIGNATURE_KEY, &again,
                       (struct bytes){ signature.p, signature.n }, &e),
       &e);
    OK(store_put_bytes(d.repo->store, REPO_IDENTITY_KEY, &again,
                       (struct bytes){ json.p, json.n }, &e),
       &e);
    cr_assert_eq(den_open(&d, d.state, NULL, &r, &e), RC_CORRUPT);
}

/* It learns of the new key while the old one still counts; or is told. */
CASE(repo_rekey, another_host_follows_or_has_to_be_told)
{
    DEN(d);
    struct signer next = signer_new(&d, "next.key");
    OWNED(care_store) follows = NULL;
    OWNED(care_store) away = NULL;
    char first[MINISIGN_ID_SIZE];
    OWNED(repo) a = NULL;
    OWNED(repo) b = NULL;
    OWNED(repo) c = NULL;
    OWNED(repo) f = NULL;
    OWNED(repo) g = NULL;
    struct err e = { 0 };

    first_id(&d, first);
    OK(care_store_open(tmpdir_new(), &follows, &e), &e);
    OK(care_store_open(tmpdir_new(), &away, &e), &e);
    OK(den_open(&d, follows, NULL, &a, &e), &e);
    OK(den_open(&d, away, NULL, &b, &e), &e);
    OK(rekey(&d, NULL, &next.public, NULL, &e), &e);
    OK(den_open(&d, follows, NULL, &c, &e), &e);
    OK(rekey(&d, next.file, NULL, first, &e), &e);
    OK(den_open(&d, follows, NULL, &f, &e), &e);
    cr_assert_eq(den_open(&d, away, NULL, &g, &e), RC_CORRUPT);
    cr_assert_not_null(strstr(e.hint, "--public-key"), "%s", e.hint);
    OK(den_open(&d, away, &next.public, &g, &e), &e);
    repo_free(g);
    g = NULL;
    OK(den_open(&d, away, NULL, &g, &e), &e);
}

CASE(repo_rekey, refusals)
{
    DEN(d);
    struct signer next = signer_new(&d, "next.key");
    char first[MINISIGN_ID_SIZE];
    struct err e = { 0 };

    first_id(&d, first);
    cr_assert_eq(rekey(&d, NULL, NULL, NULL, &e), RC_USAGE, "nothing is to change");
    cr_assert_eq(rekey(&d, NULL, NULL, next.id, &e), RC_NOTFOUND);
    cr_assert_eq(rekey(&d, NULL, NULL, first, &e), RC_REFUSED, "nobody would be left");
    cr_assert_eq(rekey(&d, next.file, &next.public, NULL, &e), RC_REFUSED,
                 "it believes in itself");
    OK(rekey(&d, NULL, &next.public, NULL, &e), &e);
    cr_assert_eq(rekey(&d, NULL, NULL, first, &e), RC_REFUSED, "it retires itself");
    OK(rekey(&d, next.file, NULL, first, &e), &e);
    cr_assert_eq(rekey(&d, next.file, &d.repo->identity.keys, NULL, &e), RC_REFUSED,
                 "once retired");
}

CASE(repo_rekey, a_copy_follows)
{
    DEN(d);
    const char *place = tmpdir_new();
    const struct repo_copy_options to = { .to = { .url = place,
                                                  .allow_same_filesystem = true } };
    struct repo_copied done;
    struct err e = { 0 };

    OK(repo_copy(d.repo, &to, &done, &e), &e);

    struct signer next = change_keys(&d);

    OK(repo_copy(d.repo, &to, &done, &e), &e);
    cr_assert_eq(done.records, 4);
    d.place = place;

    OWNED(repo) r = NULL;

    OK(den_open(&d, NULL, &next.public, &r, &e), &e);
    cr_assert_eq(r->identity.changes, 2);
}

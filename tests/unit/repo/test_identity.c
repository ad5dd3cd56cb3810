#include "repo/identity.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "repo/init.h"
#include "repo/memory.h"
#include "tests/unit/repo/den.h"
#include "util/mem.h"
#include "util/os.h"

static struct buf text_of(struct den *d, const char *key)
{
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(store_get_bytes(d->repo->store, key, 1 << 16, &b, &e), &e);
    return b;
}

CASE(repo_identity, comes_back_as_it_was)
{
    DEN(d);
    OWNED(repo) again = NULL;
    struct err e = { 0 };

    OK(den_open(&d, d.state, NULL, &again, &e), &e);
    cr_assert_str_eq(again->identity.id, d.repo->identity.id);
    cr_assert_eq(again->identity.recipients.count, 2);
    cr_assert_eq(again->identity.keys.count, 1);
    cr_assert(again->identity.traits.exclusive);
    cr_assert(again->pinned);
    cr_assert_str_eq(repo_directory(again), d.place);
}

CASE(repo_identity, no_changed_byte_of_it_is_believed)
{
    DEN(d);
    AT_END(buf_clear) struct buf text = text_of(&d, REPO_IDENTITY_KEY);

    for (size_t i = 0; i < text.n; i++) {
        const struct store_put again = { .replace = true };
        OWNED(repo) r = NULL;
        struct err e = { 0 };

        text.p[i] ^= 1;
        OK(store_put_bytes(d.repo->store, REPO_IDENTITY_KEY, &again,
                           (struct bytes){ text.p, text.n }, &e),
           &e);
        text.p[i] ^= 1;

        enum rc rc = den_open(&d, d.state, NULL, &r, &e);

        cr_assert(rc == RC_CORRUPT || rc == RC_REFUSED, "byte %zu: %s", i, rc_name(rc));
    }
}

CASE(repo_identity, a_host_that_never_saw_it_believes_its_own_key_and_remembers)
{
    DEN(d);
    OWNED(care_store) state = NULL;
    OWNED(repo) first = NULL;
    OWNED(repo) second = NULL;
    struct err e = { 0 };

    OK(care_store_open(tmpdir_new(), &state, &e), &e);
    OK(den_open(&d, state, NULL, &first, &e), &e);
    cr_assert_not(first->pinned);
    OK(den_open(&d, state, NULL, &second, &e), &e);
    cr_assert(second->pinned);
}

CASE(repo_identity, a_key_that_the_user_gives_must_have_signed_it)
{
    DEN(d);
    AT_END(minisign_secret_wipe) struct minisign_secret other = { 0 };
    struct minisign_trust trust = { 0 };
    struct minisign_public key;
    OWNED(repo) r = NULL;
    struct err e = { 0 };

    OK(minisign_generate(&other, &e), &e);
    key = minisign_public_of(&other);
    OK(minisign_trust_add(&trust, &key, &e), &e);
    cr_assert_eq(den_open(&d, NULL, &trust, &r, &e), RC_CORRUPT);
    OK(den_open(&d, NULL, &d.repo->identity.keys, &r, &e), &e);
    cr_assert(r->pinned);
}

CASE(repo_identity, what_this_host_remembers_must_be_whole)
{
    DEN(d);
    struct repo_memory m = { 0 };
    struct err e = { 0 };
    char path[700];
    OWNED(repo) r = NULL;

    OK(repo_memory_get(d.state, d.place, &m, &e), &e);
    cr_assert(m.known);
    cr_assert_str_eq(m.id, d.repo->identity.id);
    OK(repo_memory_get(d.state, "/elsewhere", &m, &e), &e);
    cr_assert_not(m.known);
    strcpy(m.id, "another");
    m.keys = d.repo->identity.keys;
    OK(repo_memory_put(d.state, d.place, &m, &e), &e);
    cr_assert_eq(den_open(&d, d.state, NULL, &r, &e), RC_CORRUPT);

    const char *name = strstr(dir_listing(d.home), "repo-");

    while (name != NULL && strncmp(name + strcspn(name, ".") + 1, "json", 4) != 0)
        name = strstr(name + 1, "repo-");
    cr_assert_not_null(name);
    snprintf(path, sizeof path, "%s/%.*s", d.home, (int)strcspn(name, " "), name);
    cr_assert_eq(truncate(path, 20), 0);
    cr_assert_eq(den_open(&d, d.state, NULL, &r, &e), RC_CORRUPT);
}

/* ---- making one ------------------------------------------------------------------- */

static enum rc init_in(const char *place, unsigned recipients, bool one_key,
                       struct care_store *state, struct err *e)
{
    AT_END(repo_made_clear) struct repo_made made = { 0 };
    char file[AGE_KEYGEN_SIZE], recipient[AGE_RECIPIENT_SIZE];
    OWNED(age_recipients) to = NULL;
    struct repo_init_options o = {
        .store = { .url = place, .allow_same_filesystem = true },
        .one_key = one_key,
        .state = state,
    };

    OK(age_recipients_new(&to, e), e);
    for (unsigned i = 0; i < recipients; i++) {
        OK(age_keygen(file, recipient, e), e);
        OK(age_recipients_add(to, recipient, e), e);
    }
    o.recipients = to;
    return repo_init(&o, &made, e);
}

CASE(repo_init, wants_two_recipients_and_an_empty_place)
{
    DEN(d);
    const char *place = tmpdir_new();
    struct err e = { 0 };
    OWNED_FD int fd = -1;

    cr_assert_eq(init_in(place, 0, false, d.state, &e), RC_USAGE);
    cr_assert_eq(init_in(place, 1, false, d.state, &e), RC_REFUSED);
    cr_assert_eq(init_in("/nowhere/at/all", 2, false, d.state, &e), RC_NOTFOUND);
    cr_assert_eq(init_in(place, 2, false, NULL, &e), RC_USAGE, "no place for the key");
    cr_assert_str_eq(dir_listing(place), "");
    OK(init_in(place, 1, true, d.state, &e), &e);
    cr_assert_eq(init_in(place, 2, false, d.state, &e), RC_REFUSED, "twice");
    cr_assert_not_null(strstr(e.why, "a repository already"), "%s", e.why);
    OK(os_open(AT_FDCWD, path_in((place = tmpdir_new()), "photo.jpg"), O_CREAT | O_WRONLY,
               0600, &fd, &e),
       &e);
    cr_assert_eq(init_in(place, 2, false, d.state, &e), RC_REFUSED, "not empty");
    cr_assert_not_null(strstr(e.why, "photo.jpg"), "%s", e.why);
}

/* Killed after its first object. */
CASE(repo_init, goes_on_where_another_one_broke_off)
{
    DEN(d);
    const char *place = tmpdir_new();
    struct err e = { 0 };

    OK(init_in(place, 2, false, d.state, &e), &e);
    cr_assert_eq(unlink(path_in(place, REPO_IDENTITY_KEY)), 0);
    OK(init_in(place, 2, false, d.state, &e), &e);
}

static void write_file(const char *path, const char *content)
{
    OWNED_FD int fd = -1;
    struct err e = { 0 };

    OK(os_open(AT_FDCWD, path, O_CREAT | O_WRONLY, 0600, &fd, &e), &e);
    OK(os_write_full(fd, content, strlen(content), path, &e), &e);
}

/* Or while it tried what the place can do. */
CASE(repo_init, takes_away_what_a_try_left_and_nothing_else)
{
    DEN(d);
    const char *place = tmpdir_new();
    struct err e = { 0 };

    write_file(path_in(place, "probe-0123456789abcdef"), "first");
    OK(init_in(place, 2, false, d.state, &e), &e);
    cr_assert_str_eq(dir_listing(place), "holdfast.json holdfast.minisig");
    place = tmpdir_new();
    write_file(path_in(place, "probe-0123456789abcdef"), "readings of the probe");
    cr_assert_eq(init_in(place, 2, false, d.state, &e), RC_REFUSED);
    cr_assert_str_eq(dir_listing(place), "probe-0123456789abcdef");
}

#include "repo/repo.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "repo/object.h"
#include "repo/seal.h"
#include "repo/upload.h"
#include "storage/posix.h"
#include "tests/lib/fault.h"
#include "tests/unit/repo/den.h"
#include "util/mem.h"

/* ---- which backup ----------------------------------------------------------------- */

CASE(repo_find, latest_is_the_newest_that_is_proved)
{
    DEN(d);
    const struct chain_item *i = NULL;
    struct err e = { 0 };

    den_back_up(&d, "one", 10, false);
    OWNED(chain) unproved = den_log(&d);

    OK(repo_find(unproved, 0, &i, &e), &e);
    cr_assert_eq(i->at.sequence, 1, "better an unproved one than none");
    den_back_up(&d, "two", 20, true);
    den_back_up(&d, "three", 30, true);
    den_back_up(&d, "four", 40, false);

    OWNED(chain) log = den_log(&d);

    OK(repo_find(log, 0, &i, &e), &e);
    cr_assert_eq(i->at.sequence, 3);
    i = repo_before(log, i);
    cr_assert_eq(i->at.sequence, 2);
    i = repo_before(log, i);
    cr_assert_eq(i->at.sequence, 1, "unproved, and the last resort");
    cr_assert_null(repo_before(log, i));
    OK(repo_find(log, 4, &i, &e), &e);
    cr_assert_eq(i->at.sequence, 4, "when it is named");
    cr_assert_eq(repo_find(log, 5, &i, &e), RC_NOTFOUND);
    cr_assert_eq(repo_high_water(d.repo, log), 40);
}

CASE(repo_find, an_empty_log_has_none)
{
    DEN(d);
    const struct chain_item *i = NULL;
    struct err e = { 0 };
    OWNED(chain) log = den_log(&d);

    cr_assert_eq(repo_find(log, 0, &i, &e), RC_NOTFOUND);
    cr_assert_eq(repo_high_water(d.repo, log), 0);
}

CASE(repo_find, in_an_altered_log_blames_the_log)
{
    DEN(d);
    const struct chain_item *i = NULL;
    OWNED(chain) log = NULL;
    struct err e = { 0 };

    den_back_up(&d, "one", 10, true);
    den_put(&d, "prod/records/000000000001.json", "{}");
    OK(repo_log_whole(d.repo, &log, &e), &e);
    cr_assert_eq(repo_find(log, 0, &i, &e), RC_CORRUPT);
    cr_assert_not_null(strstr(e.what, "does not hang together"), "%s", e.what);
}

CASE(repo_log, is_remembered_as_it_is)
{
    DEN(d);
    struct err e = { 0 };
    OWNED(chain) known = NULL;

    den_back_up(&d, "one", 10, true);
    den_back_up(&d, "two", 20, true);
    OK(repo_log_remembered(d.repo, &known, &e), &e);

    OWNED(chain) log = den_log(&d);

    cr_assert_eq(known->count, 2);
    cr_assert(record_link_equal(&known->head, &log->head));
    cr_assert_eq(known->findings.errors, 0);
}

CASE(repo_open, wants_the_name_of_a_cluster)
{
    DEN(d);
    static const char *const bad[] = { "", ".", "-x", "a/b", "a b", "\xc3\xa9" };

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct repo_options o = { .store = { .url = d.place }, .cluster = bad[i] };
        OWNED(repo) r = NULL;
        struct err e = { 0 };

        cr_assert_eq(repo_open(&o, &r, &e), RC_USAGE, "'%s'", bad[i]);
    }
}

CASE(repo_open, survives_every_allocation_that_fails)
{
    DEN(d);

    den_back_up(&d, "one", 10, true);
    FAULT_SWEEP(FAULT_ALLOC, nth, ENOMEM) {
        OWNED(repo) r = NULL;
        OWNED(chain) log = NULL;
        struct err e = { 0 };
        enum rc rc = den_open(&d, d.state, NULL, &r, &e);

        if (rc == RC_OK)
            rc = repo_log(r, &log, &e);
        cr_assert(rc == RC_OK || rc == RC_NOMEM, "allocation %u: %s: %s", nth,
                  rc_name(rc), e.why);
    }
}

/* ---- what a crash left, and what somebody put there -------------------------------- */

static uint64_t sweep(struct den *d)
{
    OWNED(chain) log = den_log(d);
    uint64_t swept = 0;
    struct err e = { 0 };

    OK(repo_uploads_sweep(d->repo, log, &swept, &e), &e);
    return swept;
}

CASE(repo_upload, what_no_record_names_is_removed_when_it_was_announced)
{
    DEN(d);
    struct repo_upload u = { 0 };
    struct err e = { 0 };

    OK(repo_upload_begin(d.repo, "snapshot.db.zst.age", &u, &e), &e);
    cr_assert_eq(sweep(&d), 0, "an entry without an object");
    cr_assert_not(den_has(&d, u.entry));
    OK(repo_upload_begin(d.repo, "snapshot.db.zst.age", &u, &e), &e);
    den_put(&d, u.object, "x");
    cr_assert_eq(sweep(&d), 1);
    cr_assert_not(den_has(&d, u.object) || den_has(&d, u.entry));
    den_put(&d, "prod/backups/00112233445566ff/snapshot.db.zst.age", "not announced");
    cr_assert_eq(sweep(&d), 0);
    cr_assert(den_has(&d, "prod/backups/00112233445566ff/snapshot.db.zst.age"));
}

CASE(repo_upload, no_entry_makes_us_delete_a_backup)
{
    DEN(d);
    char entry[RECORD_KEY_SIZE], id[20];

    den_back_up(&d, "one", 10, true);

    OWNED(chain) log = den_log(&d);
    const char *object = log->items[0].record->backup->object_key;

    snprintf(id, sizeof id, "%.16s", object + strlen("prod/backups/"));
    snprintf(entry, sizeof entry, "prod/uploads/%s.json", id);
    den_put(&d, entry, object);
    cr_assert_eq(sweep(&d), 0);
    cr_assert(den_has(&d, object), "it is recorded");
    cr_assert_not(den_has(&d, entry), "killed between its record and the end");

    static const char *const lies[] = {
        "",
        "holdfast.json",
        "prod/records/000000000001.json",
        "../../etc/passwd",
        "other/backups/0011223344556677/snapshot.db",
        "prod/backups/x",
    };

    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        den_put(&d, "prod/uploads/0011223344556677.json", lies[i]);
        cr_assert_eq(sweep(&d), 0, "'%s'", lies[i]);
    }
    cr_assert(den_has(&d, object) && den_has(&d, "holdfast.json"));
    cr_assert(den_has(&d, "prod/records/000000000001.json"));
}

/* ---- objects ---------------------------------------------------------------------- */

CASE(repo_object, is_what_its_record_says_or_nothing)
{
    DEN(d);
    struct err e = { 0 };

    den_back_up(&d, "some bytes", 10, true);

    OWNED(chain) log = den_log(&d);
    const struct manifest *m = log->items[0].record->backup;
    static const char *const others[] = { "", "some byteS", "some byte", "some bytes!" };

    OK(repo_object_check(d.repo->store, m, &e), &e);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        den_put(&d, m->object_key, others[i]);
        cr_assert_eq(repo_object_check(d.repo->store, m, &e), RC_CORRUPT, "'%s'",
                     others[i]);
    }
    OK(store_remove(d.repo->store, m->object_key, &e), &e);
    cr_assert_eq(repo_object_check(d.repo->store, m, &e), RC_CORRUPT);
}

/* ---- recipients ------------------------------------------------------------------- */

CASE(repo_seal, the_same_recipients_in_any_order)
{
    AT_END(str_list_clear) struct str_list a = { 0 };
    AT_END(str_list_clear) struct str_list b = { 0 };
    struct err e = { 0 };

    OK(str_list_add(&a, "one", &e), &e);
    OK(str_list_add(&a, "two", &e), &e);
    OK(str_list_add(&b, "two", &e), &e);
    cr_assert_eq(repo_check_recipients(&a, &b, &e), RC_REFUSED, "one less");
    OK(str_list_add(&b, "three", &e), &e);
    cr_assert_eq(repo_check_recipients(&a, &b, &e), RC_REFUSED, "another");
    str_list_clear(&b);
    OK(str_list_add(&b, "two", &e), &e);
    OK(str_list_add(&b, "one", &e), &e);
    OK(repo_check_recipients(&a, &b, &e), &e);
}

/* ---- jobs ------------------------------------------------------------------------- */

CASE(repo_job, is_alone)
{
    DEN(d);
    AT_END(repo_job_end) struct repo_job first = { 0 };
    AT_END(repo_job_end) struct repo_job second = { 0 };
    const struct repo_job_options none = { 0 };
    OWNED(repo) r = NULL;
    struct err e = { 0 };

    OK(den_open(&d, d.state, NULL, &r, &e), &e);
    OK(repo_job_begin(&first, d.repo, &none, &e), &e);
    cr_assert_eq(repo_job_begin(&second, r, &none, &e), RC_LOCKED);
}

CASE(repo_job, needs_a_key_that_the_repository_believes)
{
    DEN(d);
    AT_END(repo_job_end) struct repo_job j = { 0 };
    AT_END(minisign_secret_wipe) struct minisign_secret other = { 0 };
    const char *file = path_in(tmpdir_new(), "other.key");
    char text[MINISIGN_SECRET_SIZE];
    const struct repo_job_options with = { .signing_key = file };
    struct err e = { 0 };

    OK(minisign_generate(&other, &e), &e);
    OK(minisign_secret_text(&other, text, &e), &e);
    OK(posix_put_text(file, text, &e), &e);
    cr_assert_eq(repo_job_begin(&j, d.repo, &with, &e), RC_REFUSED);

    const struct repo_job_options absent = { .signing_key = "/nowhere" };

    cr_assert_eq(repo_job_begin(&j, d.repo, &absent, &e), RC_NOKEY);
}

/* The power goes at any call that a job makes of the repository's disk, and what was not
 * synced is lost, torn, or there without its bytes: what was reported as done is done, no
 * half of anything is believed, and the next run takes away what is left. */
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "catalog/retain.h"
#include "repo/audit.h"
#include "repo/copy.h"
#include "repo/init.h"
#include "repo/rebuild.h"
#include "repo/rekey.h"
#include "repo/tag.h"
#include "storage/temp.h"
#include "tests/flow/scene.h"
#include "tests/lib/powercut.h"

#define POWER(name) SCENE(repo_power, name)

/* A job that is cut off, and what has to be true of each disk that it may leave. */
struct job {
    const char *name;
    enum rc (*run)(struct err *e);
    void (*check)(bool done, const char *note);    /* `done`: it was reported */
    void (*converge)(bool done, const char *note); /* the next runs */
    const char *beside; /* another directory that it writes to; NULL: none */
    size_t least;       /* calls, else nothing was recorded */
};

/* ---- what is left ----------------------------------------------------------------- */

static char leftover[512];

static int look_for_temp(const char *path, const struct stat *st, int kind,
                         struct FTW *at)
{
    (void)st;
    if (kind == FTW_F && temp_is_name(path + at->base))
        snprintf(leftover, sizeof leftover, "%s", path);
    return 0;
}

static void assert_no_temp(const char *dir, const char *note)
{
    leftover[0] = '\0';
    cr_assert_eq(nftw(dir, look_for_temp, 16, FTW_PHYS), 0);
    cr_assert_str_empty(leftover, "%s: '%s' is left", note, leftover);
}

static void assert_tidy(const char *note)
{
    AT_END(repo_audit_clear) struct repo_audit a = { 0 };
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    struct err e = { 0 };

    OK(scene_open(&r, &e), &e);
    OK(repo_audit(r.repo, NULL, 0, &a, &e), &e);
    for (size_t i = 0; i < a.findings.kept; i++)
        cr_assert(strcmp(a.findings.items[i].code, "object-unnamed") != 0 &&
                      strcmp(a.findings.items[i].code, "log-unfinished") != 0,
                  "%s: %s", note, a.findings.items[i].message);
    cr_assert_str_empty(dir_listing(path_in(scene.v.url, "prod/uploads")), "%s", note);
    assert_no_temp(scene.v.url, note);
}

static void back_up(const char *note)
{
    struct err e = { 0 };

    cr_assert_eq(scene_back_up_here(&e), RC_OK, "%s, a backup: %s: %s", note, e.what,
                 e.why);
}

static void prune(const char *note)
{
    struct err e = { 0 };

    cr_assert_eq(scene_prune_here(&e), RC_OK, "%s, a prune: %s: %s", note, e.what, e.why);
}

/* The index is a copy: without it everything is as before, and made again it is the
 * same. */
static void rebuild_index(const char *note)
{
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    OWNED(chain) log = NULL;
    OWNED(chain) known = NULL;
    struct err e = { 0 };
    size_t records = 0;

    unlink(path_in(scene.v.state, "catalog.sqlite"));
    OK(scene_open(&r, &e), &e);
    cr_assert_eq(repo_rebuild(r.repo, &records, &e), RC_OK, "%s: %s", note, e.why);
    OK(repo_log_whole(r.repo, &log, &e), &e);
    OK(repo_log_remembered(r.repo, &known, &e), &e);
    cr_assert_eq(records, log->count, "%s", note);
    cr_assert_eq(known->count, log->count, "%s", note);
    cr_assert_eq(known->findings.errors, 0, "%s", note);
}

/* One backup more, and all others pruned. */
static void work_on(bool done, const char *note)
{
    (void)done;
    back_up(note);
    prune(note);
    cr_assert_eq(scene_consistent(note), 1, "%s", note);
    assert_tidy(note);
}

/* ---- every disk ------------------------------------------------------------------- */

/* How often the next runs are tried: they take most of the time. */
enum { CONVERGE_EACH = 6, REBUILD_EACH = 3 };

struct tried {
    size_t disks, worked;
};

static void try_disk(const struct job *j, struct powercut *p, size_t calls, unsigned how,
                     struct tried *t)
{
    const bool done = calls == powercut_calls(p);
    const enum powercut_luck luck = how < POWERCUT_ANY ? how : POWERCUT_ANY;
    char note[420];

    if (!powercut_disk(p, calls, luck, calls * 1000 + how))
        return;
    t->disks++;
    snprintf(note, sizeof note, "%s cut at call %zu of %zu (%s), luck %u", j->name, calls,
             powercut_calls(p), powercut_call(p, calls), how);
    j->check(done, note);
    if (t->disks % REBUILD_EACH == 0) {
        rebuild_index(note);
        j->check(done, note);
    }
    if (t->disks % golden_effort(CONVERGE_EACH, 3) != 0 && !done)
        return;
    t->worked++;
    j->converge(done, note);
}

/* From the end: what was reported binds most there, and no disk is made twice. */
static void cut_everywhere(const struct job *j)
{
    const char *const roots[] = { scene.v.url, scene.v.state, j->beside, NULL };
    const unsigned hows = POWERCUT_ANY + golden_effort(4, 100);
    POWERCUT p = powercut_begin(roots);
    struct tried t = { 0 };
    struct err e = { 0 };

    OK(j->run(&e), &e);
    powercut_stop(p);
    cr_assert_geq(powercut_calls(p), j->least, "%s: only %zu calls", j->name,
                  powercut_calls(p));
    for (size_t calls = powercut_calls(p) + 1; calls-- > 0;)
        for (unsigned how = 0; how < hows; how++)
            try_disk(j, p, calls, how, &t);
    cr_log_info("%s: %d calls, %d disks, %d worked on", j->name, (int)powercut_calls(p),
                (int)t.disks, (int)t.worked);
    cr_assert_gt(t.disks, powercut_calls(p) / 2, "%s: only %zu disks", j->name, t.disks);
}

static void have(size_t backups)
{
    for (size_t i = 0; i < backups; i++)
        back_up("before");
}

/* ---- backup ----------------------------------------------------------------------- */

static void check_backup(bool done, const char *note)
{
    const size_t now = scene_consistent(note);

    cr_assert(now == 3 || (!done && now == 2), "%s: %zu", note, now);
}

POWER(of_a_backup_there_is_none_or_a_whole_one)
{
    const struct job j = {
        "backup", scene_back_up_here, check_backup, work_on, NULL, 30
    };

    have(2);
    cut_everywhere(&j);
}

/* Where there are no unnamed files everything is renamed into its place. */
static int no_unnamed(int dir, const char *path, int flags, mode_t mode)
{
    if ((flags & O_TMPFILE) == O_TMPFILE) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return openat(dir, path, flags, mode);
}

POWER(nor_where_everything_is_renamed_into_its_place)
{
    const struct job j = {
        "backup by rename", scene_back_up_here, check_backup, work_on, NULL, 30
    };

    have(2);
    os.openat = no_unnamed;
    cut_everywhere(&j);
}

/* ---- the first one: every directory is new ---------------------------------------- */

static void check_first(bool done, const char *note)
{
    const size_t now = scene_consistent(note);

    cr_assert(now == 1 || (!done && now == 0), "%s: %zu", note, now);
}

POWER(of_the_first_backup_there_is_none_or_a_whole_one)
{
    const struct job j = {
        "the first backup", scene_back_up_here, check_first, work_on, NULL, 30
    };

    cut_everywhere(&j);
}

/* ---- prune ------------------------------------------------------------------------ */

static void check_prune(bool done, const char *note)
{
    const size_t now = scene_consistent(note);

    cr_assert(now == 1 || (!done && now == 3), "%s: %zu", note, now);
}

static void prune_again(bool done, const char *note)
{
    (void)done;
    prune(note);
    cr_assert_eq(scene_consistent(note), 1, "%s", note);
    assert_tidy(note);
    work_on(done, note);
}

POWER(a_prune_takes_what_it_says_or_nothing)
{
    const struct job j = {
        "prune", scene_prune_here, check_prune, prune_again, NULL, 20
    };

    have(3);
    cut_everywhere(&j);
}

/* ---- tag -------------------------------------------------------------------------- */

static enum rc tag(struct err *e)
{
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    AT_END(str_list_clear) struct str_list words = { 0 };
    const struct repo_job_options none = { 0 };
    uint64_t sequence = 0;

    TRY(scene_open(&r, e));
    TRY(str_list_add(&words, "before-upgrade", e));
    return repo_tag(r.repo, &none, &sequence, &words, e);
}

static bool is_tagged(void)
{
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    OWNED(chain) log = NULL;
    struct err e = { 0 };

    OK(scene_open(&r, &e), &e);
    OK(repo_log(r.repo, &log, &e), &e);
    return str_list_has(&chain_newest(log, false)->tags, "before-upgrade");
}

static void check_tag(bool done, const char *note)
{
    cr_assert_eq(scene_consistent(note), 2, "%s", note);
    cr_assert(!done || is_tagged(), "%s: the tag is lost", note);
}

static void tag_again(bool done, const char *note)
{
    struct err e = { 0 };

    OK(tag(&e), &e);
    cr_assert(is_tagged(), "%s", note);
    work_on(done, note);
}

POWER(a_tag_is_there_or_not)
{
    const struct job j = { "tag", tag, check_tag, tag_again, NULL, 10 };

    have(2);
    cut_everywhere(&j);
}

/* ---- copy ------------------------------------------------------------------------- */

static const char *copy_place, *copy_state;

static enum rc copy(struct err *e)
{
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    const struct repo_copy_options o = {
        .to = { .url = copy_place, .allow_same_filesystem = true }, .remove = true
    };
    struct repo_copied done;

    TRY(scene_open(&r, e));
    return repo_copy(r.repo, &o, &done, e);
}

/* By a host that knows nothing of the original: it would miss what is not copied yet. */
static size_t consistent_there(const char *note)
{
    const struct scene here = scene;
    size_t n;

    snprintf(scene.v.url, sizeof scene.v.url, "%s", copy_place);
    snprintf(scene.v.state, sizeof scene.v.state, "%s", path_in(copy_state, "state"));
    n = scene_consistent(note);
    OK(os_remove_tree(AT_FDCWD, scene.v.state, &(struct err){ 0 }), &(struct err){ 0 });
    scene = here;
    return n;
}

static void check_copy(bool done, const char *note)
{
    size_t there;

    cr_assert_eq(scene_consistent(note), 2, "%s", note);
    if (!done && access(path_in(copy_place, "holdfast.json"), F_OK) != 0)
        return;
    there = consistent_there(note);
    cr_assert(there == 2 || (!done && there < 2), "%s: %zu copied", note, there);
}

static void copy_again(bool done, const char *note)
{
    struct err e = { 0 };

    (void)done;
    cr_assert_eq(copy(&e), RC_OK, "%s, again: %s: %s", note, e.what, e.why);
    cr_assert_eq(consistent_there(note), 2, "%s", note);
    work_on(done, note);
    OK(copy(&e), &e);
    cr_assert_eq(consistent_there(note), 1, "%s", note);
    assert_no_temp(copy_place, note);
}

POWER(a_copy_is_a_part_of_the_original_or_all_of_it)
{
    const char *to = vault_directory();
    const struct job j = { "copy", copy, check_copy, copy_again, to, 40 };

    copy_place = to;
    copy_state = tmpdir_new();
    have(2);
    cut_everywhere(&j);
}

/* ---- repo rekey ------------------------------------------------------------------- */

static char next_key[512];

static enum rc rekey(struct err *e)
{
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    AT_END(mem_end) char *public = NULL;
    struct minisign_trust believe = { 0 };
    const struct str_list nobody = { 0 };
    struct repo_rekey_options o = { .believe = &believe, .retire = &nobody };
    struct repo_rekeyed done;

    TRY(scene_open(&r, e));
    TRY(str_format(&public, e, "%s.pub", next_key));
    TRY(minisign_trust_add_file(&believe, public, e));
    o.repo = r.repo->options;
    o.repo.store.url = scene.v.url;
    return repo_rekey(&o, &done, e);
}

static bool next_signs(void)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    struct err e = { 0 };

    OK(scene_open(&r, &e), &e);
    return repo_signer(r.repo, next_key, &s, &e) == RC_OK;
}

static void check_rekey(bool done, const char *note)
{
    cr_assert_eq(scene_consistent(note), 1, "%s", note);
    cr_assert(!done || next_signs(), "%s: the new key is not believed", note);
}

static void rekey_again(bool done, const char *note)
{
    struct err e = { 0 };

    cr_assert_eq(rekey(&e), RC_OK, "%s, again: %s: %s", note, e.what, e.why);
    cr_assert(next_signs(), "%s", note);
    work_on(done, note);
}

POWER(a_change_of_keys_is_made_or_not)
{
    const struct job j = { "repo rekey", rekey, check_rekey, rekey_again, NULL, 8 };

    snprintf(next_key, sizeof next_key, "%s", path_in(scene.v.dir, "next.key"));
    VAULT(p, &scene.v, 0, "keygen", "--signing", "-o", next_key);
    have(1);
    cut_everywhere(&j);
}

/* ---- repo init -------------------------------------------------------------------- */

static enum rc init(struct err *e)
{
    OWNED(care_store) state = NULL;
    OWNED(age_recipients) to = NULL;
    AT_END(repo_made_clear) struct repo_made made = { 0 };
    struct repo_init_options o = { .store = { .url = scene.v.url,
                                              .allow_same_filesystem = true } };

    TRY(care_store_open(scene.v.state, &state, e));
    TRY(age_recipients_new(&to, e));
    TRY(age_recipients_add_file(to, path_in(scene.v.dir, "recipients"), e));
    o.recipients = to;
    o.state = state;
    return repo_init(&o, &made, e);
}

static void check_init(bool done, const char *note)
{
    struct err e = { 0 };

    if (access(path_in(scene.v.url, "holdfast.json"), F_OK) != 0) {
        cr_assert_not(done, "%s: the repository is lost", note);
        cr_assert_eq(init(&e), RC_OK, "%s, again: %s: %s", note, e.what, e.why);
    }
    cr_assert_eq(scene_consistent(note), 0, "%s", note);
}

POWER(a_new_repository_can_be_signed_for_or_is_made_again)
{
    const struct job j = { "repo init", init, check_init, work_on, NULL, 10 };

    snprintf(scene.v.url, sizeof scene.v.url, "%s", vault_directory());
    snprintf(scene.v.state, sizeof scene.v.state, "%s", tmpdir_new());
    cut_everywhere(&j);
}

/* ---- would it be noticed? --------------------------------------------------------- */

static bool whole_after(struct powercut *p, size_t calls, enum powercut_luck luck)
{
    AT_END(repo_audit_clear) struct repo_audit a = { 0 };
    AT_END(scene_repo_end) struct scene_repo r = { 0 };
    struct err e = { 0 };

    return !powercut_disk(p, calls, luck, 0) ||
           (scene_open(&r, &e) == RC_OK && repo_audit(r.repo, NULL, 0, &a, &e) == RC_OK &&
            a.findings.errors == 0 && a.backups == 2);
}

POWER(a_disk_that_lies_about_syncing_is_found_out)
{
    const char *const roots[] = { scene.v.url, scene.v.state, NULL };
    struct err e = { 0 };

    have(1);

    POWERCUT p = powercut_begin(roots);

    powercut_lies(p, true);
    OK(scene_back_up_here(&e), &e);
    powercut_stop(p);
    cr_assert(whole_after(p, powercut_calls(p), POWERCUT_ALL));
    cr_assert_not(whole_after(p, powercut_calls(p), POWERCUT_NOTHING));
    cr_assert_not(whole_after(p, powercut_calls(p), POWERCUT_NAMES));
    cr_assert_not(whole_after(p, powercut_calls(p), POWERCUT_ZEROS));
}

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "restore/planfile.h"
#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"

CASE(restore_plan, defaults_are_etcds_but_for_the_token)
{
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    AT_END(restore_plan_clear) struct restore_plan again = { 0 };
    const struct restore_request q = { 0 };
    struct err e = { 0 };

    OK(restore_plan_make(&q, &p, &e), &e);
    OK(restore_plan_make(&q, &again, &e), &e);
    cr_assert_str_eq(p.name, "default");
    cr_assert_str_eq(p.data_dir, "default.etcd");
    cr_assert_str_eq(p.members.items[0].peer_urls.items[0], "http://localhost:2380");
    cr_assert(p.token_minted);
    cr_assert_str_neq(p.token, again.token);
    cr_assert_neq(p.cluster_id, again.cluster_id, "no two restores share an id");
}

CASE(restore_plan, own_urls_come_from_the_cluster_or_must_agree_with_it)
{
    struct restore_request q = { .name = "b",
                                 .initial_cluster = "a=http://h:1,b=http://h:2",
                                 .token = "t" };
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    struct err e = { 0 };

    OK(restore_plan_make(&q, &p, &e), &e);
    cr_assert_eq(p.member_id, restore_members_find(&p.members, "b")->id);
    q.peer_urls = "http://h:1";
    cr_assert_eq(restore_plan_make(&q, &p, &e), RC_USAGE);
    q.peer_urls = "http://h:2,http://h:3";
    cr_assert_eq(restore_plan_make(&q, &p, &e), RC_USAGE);
    q.name = "c";
    cr_assert_eq(restore_plan_make(&q, &p, &e), RC_USAGE);
    cr_assert_str_eq(e.why, "the member 'c' is not in --initial-cluster");
}

CASE(restore_plan, several_members_need_one_token)
{
    struct restore_request q = { .name = "a",
                                 .initial_cluster = "a=http://h:1,b=http://h:2" };
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    struct err e = { 0 };

    cr_assert_eq(restore_plan_make(&q, &p, &e), RC_USAGE);
    cr_assert_not_null(strstr(e.hint, "--write-plan"), "%s", e.hint);
    q.shared = true;
    OK(restore_plan_make(&q, &p, &e), &e);
    cr_assert(p.token_minted);
}

/* Who writes it need not be one of the hosts. */
CASE(restore_plan, a_plan_for_all_needs_no_name)
{
    struct restore_request q = { .initial_cluster = "a=http://h:1,b=http://h:2",
                                 .token = "t" };
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    struct err e = { 0 };

    cr_assert_eq(restore_plan_make(&q, &p, &e), RC_USAGE);
    q.shared = true;
    OK(restore_plan_make(&q, &p, &e), &e);
    cr_assert_eq(p.members.count, 2);
    cr_assert(p.member_id == p.members.items[0].id);
}

/* ---- the plan as a file
 * ---------------------------------------------------------------- */

static void write_plan(const char *path, const char *from, const char *to)
{
    const struct restore_request q = { .name = "a",
                                       .initial_cluster = "a=http://h:1,b=http://h:2",
                                       .shared = true };
    const struct restore_plan_source source = {
        .file = "x.db",
        .database_sha256 = { 7 },
        .revision = 9,
        .bump = { .by = 5, .revision = 14, .mark_compacted = true, .reason = "r" }
    };
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    AT_END(mem_end) char *text = NULL;
    OWNED(json) o = NULL;
    struct err e = { 0 };
    FILE *f = fopen(path, "w");
    char *at;

    OK(restore_plan_make(&q, &p, &e), &e);
    OK(restore_planfile_render(&p, &source, &o, &e), &e);
    OK(json_render(o, true, &text, &e), &e);
    at = from == NULL ? NULL : strstr(text, from);
    cr_assert(from == NULL || at != NULL, "no %s in %s", from, text);
    if (at == NULL)
        fputs(text, f);
    else
        fprintf(f, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from));
    fclose(f);
}

CASE(restore_plan, a_file_gives_every_member_the_same_cluster)
{
    const char *path = path_in(tmpdir_new(), "plan.json");
    AT_END(restore_plan_clear) struct restore_plan a = { 0 };
    AT_END(restore_plan_clear) struct restore_plan b = { 0 };
    AT_END(mem_end) char *file = NULL;
    AT_END(mem_end) char *same = NULL;
    struct err e = { 0 };

    write_plan(path, NULL, NULL);
    OK(restore_planfile_load(path, "a", "da", NULL, &a, &file, &e), &e);
    OK(restore_planfile_load(path, "b", "db", "wb", &b, &same, &e), &e);
    cr_assert_eq(a.cluster_id, b.cluster_id);
    cr_assert_neq(a.member_id, b.member_id);
    cr_assert_str_eq(a.token, b.token);
    cr_assert(a.bump == RESTORE_BUMP_BY && a.bump_by == 5 && a.mark_compacted);
    cr_assert(a.pinned && a.database_sha256[0] == 7);
    cr_assert_str_eq(file, "x.db");
    cr_assert_str_eq(b.wal_dir, "wb");
}

CASE(restore_plan, an_edited_file_is_refused)
{
    static const struct {
        const char *from, *to;
        enum rc rc;
        const char *why;
    } cases[] = {
        { "\"token\": \"holdfast-", "\"token\": \"elsewhere-", RC_CORRUPT, "cluster id" },
        { "http://h:2", "http://h:3", RC_CORRUPT, "cluster id" },
        { "\"kind\": \"restore\"", "\"kind\": \"other\"", RC_USAGE, "no restore plan" },
        { "\"token\"", "\"tocken\"", RC_CORRUPT, "'token'" },
        { "\"by\"", "\"bye\"", RC_CORRUPT, "'bump'" },
        { "\"mark_compacted\": true", "\"mark_compacted\": 1", RC_CORRUPT, "'bump'" },
        { "\"database_sha256\": \"07", "\"database_sha256\": \"x7", RC_CORRUPT,
          "'database_sha256'" },
        { "\"by\": 5", "\"by\": 6", RC_CORRUPT, "snapshot, bump and token" },
        { "\"mark_compacted\": true", "\"mark_compacted\": false", RC_CORRUPT, "bump" },
        { "\"target_minor\": 0", "\"target_minor\": 5", RC_CORRUPT, "an id that" },
        { "\"skip_hash_check\": false", "\"skip_hash_check\": true", RC_CORRUPT,
          "an id that" },
        { "\"database_sha256\": \"07", "\"database_sha256\": \"08", RC_CORRUPT,
          "an id that" },
        { "\"plan_id\"", "\"plan_it\"", RC_CORRUPT, "an id that" },
        { "\"members\"", "\"numbers\"", RC_CORRUPT, "'members'" },
        { "{", "[", RC_CORRUPT, "not valid JSON" },
    };
    const char *path = path_in(tmpdir_new(), "plan.json");

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        AT_END(restore_plan_clear) struct restore_plan p = { 0 };
        AT_END(mem_end) char *file = NULL;
        struct err e = { 0 };

        write_plan(path, cases[i].from, cases[i].to);
        cr_assert_eq(restore_planfile_load(path, "a", "d", NULL, &p, &file, &e),
                     cases[i].rc, "case %zu: %s", i, e.why);
        cr_assert_not_null(strstr(e.why, cases[i].why), "case %zu: %s", i, e.why);
    }
    unlink(path);
}

static enum rc load_plan(const char *path, const char *name, struct err *e)
{
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    AT_END(mem_end) char *file = NULL;

    return restore_planfile_load(path, name, "d", NULL, &p, &file, e);
}

CASE(restore_plan, a_member_that_it_has_not_is_told_who_is_there)
{
    const char *path = path_in(tmpdir_new(), "plan.json");
    struct err e = { 0 };

    write_plan(path, NULL, NULL);
    cr_assert_eq(load_plan(path, "c", &e), RC_USAGE);
    cr_assert_not_null(strstr(e.why, "has no member 'c'"), "%s", e.why);
    cr_assert_str_eq(e.hint, "its members are: a, b");
}

/* What is wrong with a plan is no snapshot's business. */
CASE(restore_plan, a_file_that_was_cut_is_told_about_plans)
{
    const char *path = path_in(tmpdir_new(), "plan.json");
    struct err e = { 0 };
    struct stat st;

    write_plan(path, NULL, NULL);
    cr_assert_eq(stat(path, &st), 0);
    cr_assert_eq(truncate(path, st.st_size / 2), 0);
    cr_assert_eq(load_plan(path, "a", &e), RC_CORRUPT);
    cr_assert_str_eq(e.hint, "the plan is incomplete or was edited; `holdfast restore "
                             "FILE --write-plan PLAN` writes one");
    cr_assert_eq(truncate(path, 0), 0);
    cr_assert_eq(load_plan(path, "a", &e), RC_CORRUPT);
    cr_assert_not_null(strstr(e.why, "is empty"), "%s", e.why);
    cr_assert_str_eq(e.hint, "`holdfast restore FILE --write-plan PLAN` writes one");
}

/* recover --plan: assess, choose, take the source, write one plan for all hosts. */
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/bump.h"
#include "cli/recovery.h"
#include "datadir/save.h"
#include "recover/planfile.h"
#include "snapshot/verify.h"
#include "storage/posix.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* ---- the source ---------------------------------------------------------------------
 */

/* FILE.json makes FILE.db. */
static enum rc export_name(const struct recovery_args *a, char **out, struct err *e)
{
    size_t n = strlen(a->plan);

    if (a->export != NULL)
        return str_format(out, e, "%s", a->export);
    if (str_ends(a->plan, ".json"))
        n -= strlen(".json");
    return str_format(out, e, "%.*s.db", (int)n, a->plan);
}

static enum rc take_file(const struct recovery_args *a, const char *file, bool proved,
                         struct recover_source *s, struct err *e)
{
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    OWNED(age_identities) ids = NULL;

    TRY(cli_identities(&a->from.open, &ids, e));
    TRY(snap_verify(&(struct snap_verify_options){ .file = file,
                                                   .ids = ids,
                                                   .level = proved ? SNAP_LEVEL_TRAILER
                                                                   : SNAP_LEVEL_FULL },
                    &v, e));
    TRY(findings_verdict(&v.findings, e));
    memcpy(s->database, v.trailer.database, SHA256_SIZE);
    memcpy(s->sha256, v.stored.size > 0 ? v.stored.sha256 : v.trailer.whole, SHA256_SIZE);
    if (proved)
        return RC_OK;
    s->revision = v.facts.revision;
    s->hashkv_known = v.facts.hashkv_known;
    s->hashkv = v.facts.hashkv.hash;
    s->kubernetes = v.facts.kubernetes;
    return RC_OK;
}

/* All that the stopped member holds, in one file for all hosts. */
static enum rc export(const struct recovery_args *a, const struct recover_copy *c,
                      struct recover_source *s, struct err *e)
{
    AT_END(datadir_saved_clear) struct datadir_saved saved = { 0 };
    struct datadir_save_options o = {
        .from = { .dir = c->path, .wal_dir = c->wal_dir },
        .store = { .allow_same_filesystem = true },
    };

    TRY(export_name(a, &s->file, e));
    o.store.file = s->file;
    TRY(datadir_save(&o, &saved, e));
    s->revision = saved.facts.revision;
    s->hashkv_known = saved.facts.hashkv_known;
    s->hashkv = saved.facts.hashkv.hash;
    s->kubernetes = saved.facts.kubernetes;
    log_info("what '%s' holds, its log applied, is in '%s'", c->path, s->file);
    return take_file(a, s->file, true, s, e);
}

static enum rc take_source(const struct recovery_args *a, const struct recover_copy *c,
                           struct recover_source *s, struct err *e)
{
    s->kind = c->kind;
    s->member_id = c->member_id;
    s->term_known = c->term_known;
    s->term = c->term;
    s->index = c->index;
    s->revision = recover_revision(c);
    s->kubernetes = c->kubernetes;
    TRY(str_format(&s->path, e, "%s", c->path));
    TRY(str_format(&s->member_name, e, "%s", c->name));
    if (c->kind == RECOVER_SNAPSHOT) {
        TRY(str_format(&s->file, e, "%s", c->path));
        return take_file(a, s->file, false, s, e);
    }
    s->live = c->in_use;
    return s->live ? str_format(&s->file, e, "%s", "") : export(a, c, s, e);
}

/* ---- who still answers --------------------------------------------------------------
 */

/* Borrowed from the copies. */
static enum rc members_of(const struct recover_verdict *v, struct mvcc_member **out,
                          size_t *count, struct err *e)
{
    TRY(mem_new(out, (v->seat_count + 1) * sizeof **out, "members", e));
    for (size_t i = 0; i < v->seat_count; i++) {
        const struct mvcc_member *m = recover_verdict_member(v, v->seats[i].id);

        if (m != NULL)
            (*out)[(*count)++] = *m;
    }
    return RC_OK;
}

static enum rc probe(struct cli *c, const struct recovery_args *a,
                     const struct recover_verdict *v, const struct recover_copy *chosen,
                     struct err *e)
{
    AT_END(recover_sightings_clear) struct recover_sightings s = { 0 };
    AT_END(cli_cluster_clear) struct cli_cluster any = { 0 };
    const struct recover_expected x = {
        .old_cluster = v->cluster_id,
        .self = chosen->kind == RECOVER_DIRECTORY && chosen->in_use ? chosen->name : NULL,
        .assumed = &a->from.assumed,
    };
    AT_END(mem_end) struct mvcc_member *members = NULL;
    struct recover_scout scout;
    size_t count = 0;

    TRY(recover_check_running(v, chosen, e));
    TRY(members_of(v, &members, &count, e));
    TRY(cli_cluster_init(&any, c, e));
    scout = recovery_scout(&any);
    TRY(recover_probe(&scout, members, count, false, &s, e));
    return recover_sightings_judge(&s, &x, e);
}

/* ---- the plan -----------------------------------------------------------------------
 */

static enum rc mint(char id[static 17], char token[static 48], struct err *e)
{
    uint8_t random[24];
    char hex[33];

    TRY(os_random(random, sizeof random, e));
    str_hex(id, random, 8);
    str_hex(hex, random + 8, 16);
    snprintf(token, 48, "holdfast-%s", hex);
    return RC_OK;
}

/* The plan goes to other hosts, and is applied from other places. */
static enum rc absolute(const char *path, char **out, struct err *e)
{
    char real[PATH_MAX];

    return str_format(out, e, "%s", realpath(path, real) == NULL ? path : real);
}

/* How etcd runs here, and where its data is, unless the options say. */
static enum rc look_at_host(const struct recovery_args *a, const struct recover_copy *c,
                            enum host_layout *layout, char **data_dir, struct err *e)
{
    AT_END(host_list_clear) struct host_list list = { 0 };
    const struct host_member *m = NULL;
    const char *dir = a->data_dir != NULL            ? a->data_dir
                      : c->kind == RECOVER_DIRECTORY ? c->path
                                                     : NULL;

    TRY(recovery_find(a, dir, NULL, &list, &m, e));
    *layout = m != NULL ? m->layout : HOST_PLAIN;
    if (m == NULL && a->layout != NULL)
        TRY(host_layout_parse(a->layout, layout, e));
    if (m != NULL && m->data_dir != NULL)
        dir = m->data_dir;
    return dir == NULL ? str_format(data_dir, e, "/var/lib/etcd")
                       : absolute(dir, data_dir, e);
}

/* Whose host this is, when one etcd is set up here; one that runs is another cluster's.
 */
static enum rc find_here(const struct recovery_args *a, char **out, struct err *e)
{
    AT_END(host_list_clear) struct host_list list = { 0 };
    const struct host_member *m = NULL;

    TRY(recovery_find(a, a->data_dir, NULL, &list, &m, e));
    if (m == NULL || m->pid != 0 || m->name == NULL)
        return RC_OK;
    return str_format(out, e, "%s", m->name);
}

static enum rc make(const struct recovery_args *a, const struct recover_verdict *v,
                    const struct recover_copy *chosen, struct recover_source *source,
                    struct recover_plan *out, struct err *e)
{
    AT_END(mem_end) char *data_dir = NULL;
    AT_END(mem_end) char *here = NULL;
    char id[17], token[48];
    struct recover_wish w = {
        .verdict = v,
        .chosen = chosen,
        .source = source,
        .shape = a->shape == 0 ? RECOVER_ALL_AT_ONCE : RECOVER_RE_BOOTSTRAP,
        .members = a->members,
        .first = a->first,
        .high_water = a->high_water > INT64_MAX ? INT64_MAX : (int64_t)a->high_water,
        .mark_compacted = a->mark_compacted,
        .wal_dir = a->from.wal_dir,
        .assumed = &a->from.assumed,
        .id = id,
        .token = token,
        .now_ms = clock_unix_ms(),
    };

    TRY(cli_bump(a->bump, &w.bump, &w.bump_by, e));
    TRY(cli_target(a->target, &w.target_minor, e));
    TRY(mint(id, token, e));
    TRY(look_at_host(a, chosen, &w.layout, &data_dir, e));
    w.data_dir = data_dir;
    TRY(find_here(a, &here, e));
    w.here = here;
    return recover_plan_make(&w, out, e);
}

/* The file is for people, too. */
static enum rc write_down(const struct recovery_args *a, const struct json *plan,
                          struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    AT_END(mem_end) char *line = NULL;

    TRY(json_render(plan, true, &text, e));
    TRY(str_format(&line, e, "%s\n", text));
    return posix_put_text(a->plan, line, e);
}

static enum rc show(struct cli *c, const struct recovery_args *a,
                    const struct recover_plan *p, const struct json *plan, struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    OWNED(result) r = result_new();

    if (c->format == RENDER_JSON) {
        TRY(json_render(plan, false, &text, e));
        printer_printf(c->out, "%s\n", text);
        return RC_OK;
    }
    TRY(recovery_draw(p, a->plan, r, e));
    return cli_show(c, r, e);
}

/* What was exported for a plan that did not come about is in the way of the next one. */
static void take_back(const struct recover_copy *c, const char *file)
{
    struct err ignored = { 0 };

    if (c->kind == RECOVER_DIRECTORY && file[0] != '\0' &&
        os_remove_tree(AT_FDCWD, file, &ignored) != RC_OK)
        log_warn("'%s' is left behind: %s", file, ignored.why);
}

static enum rc make_and_write(struct cli *c, const struct recovery_args *a,
                              const struct recover_verdict *v,
                              const struct recover_copy *chosen,
                              struct recover_source *source, struct err *e)
{
    AT_END(recover_plan_clear) struct recover_plan p = { 0 };
    AT_END(mem_end) char *file = NULL;
    OWNED(json) plan = NULL;
    enum rc rc;

    TRY(str_format(&file, e, "%s", source->file));
    rc = make(a, v, chosen, source, &p, e);
    if (rc == RC_OK)
        rc = recover_planfile_json(&p, a->plan, &plan, e);
    if (rc == RC_OK)
        rc = write_down(a, plan, e);
    if (rc != RC_OK) {
        take_back(chosen, file);
        return rc;
    }
    return show(c, a, &p, plan, e);
}

enum rc recovery_plan(struct cli *c, const struct recovery_args *a, struct err *e)
{
    AT_END(recover_source_clear) struct recover_source source = { 0 };
    AT_END(assessment_clear) struct assessment v = { .view = { 0 } };
    const struct recover_copy *chosen;

    TRY(posix_put_check(a->plan, e));
    TRY(assessment_make(c, &a->from, false, &v, e));
    TRY(recover_choose(&v.verdict, a->source, &chosen, e));
    TRY(probe(c, a, &v.verdict, chosen, e));
    TRY(take_source(a, chosen, &source, e));
    return make_and_write(c, a, &v.verdict, chosen, &source, e);
}

#include "cli/assessment.h"

#include <sys/stat.h>

#include "cli/cluster.h"
#include "recover/statement.h"
#include "recover/survey.h"

void assessment_clear(struct assessment *a)
{
    recover_verdict_clear(&a->verdict);
    recover_copies_clear(&a->copies);
    care_view_clear(&a->view);
}

static bool is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

enum rc assessment_survey(const struct assessment_args *args, struct assessment *out,
                          struct err *e)
{
    const struct str_list *l = &args->copies;

    if (args->wal_dir != NULL && (l->count != 1 || is_file(l->items[0])))
        return err_set(e, RC_USAGE,
                       "--wal-dir is the log of one directory, to be given alone" HINT
                       "on each host: `holdfast assess DIR --wal-dir DIR --export FILE`");
    for (size_t i = 0; i < l->count; i++)
        if (is_file(l->items[i]))
            TRY(recover_statement_read(&out->copies, l->items[i], e));
        else
            TRY(recover_survey_directory(&out->copies, l->items[i], args->wal_dir, e));
    return RC_OK;
}

static enum rc survey_backups(const struct assessment_args *args, struct assessment *out,
                              struct err *e)
{
    OWNED(age_identities) ids = NULL;

    if (args->backups.count > 0)
        TRY(cli_identities(&args->open, &ids, e));
    for (size_t i = 0; i < args->backups.count; i++)
        TRY(recover_survey_snapshot(&out->copies, args->backups.items[i], ids, e));
    return RC_OK;
}

static enum rc add_members(const struct recover_copies *l, struct str_list *to,
                           struct err *e)
{
    for (size_t i = 0; i < l->count; i++)
        for (size_t k = 0; k < l->items[i].member_count; k++) {
            const struct str_list *urls = &l->items[i].members[k].client_urls;

            for (size_t u = 0; u < urls->count; u++)
                if (!str_list_has(to, urls->items[u]))
                    TRY(str_list_add(to, urls->items[u], e));
        }
    return RC_OK;
}

static enum rc look(struct cli *c, struct assessment *out, struct err *e)
{
    AT_END(cli_cluster_clear) struct cli_cluster k = { 0 };
    AT_END(str_list_clear) struct str_list all = { 0 };

    TRY(cli_cluster_init(&k, c, e));
    for (size_t i = 0; i < k.access.endpoints->count; i++)
        TRY(str_list_add(&all, k.access.endpoints->items[i], e));
    TRY(add_members(&out->copies, &all, e));
    k.access.endpoints = &all;
    return care_look_settled(&k.access, CARE_ASK_READ, &out->view, e);
}

enum rc assessment_make(struct cli *c, const struct assessment_args *args,
                        bool strangers_count, struct assessment *out, struct err *e)
{
    const struct recover_scene scene = { .copies = &out->copies,
                                         .view = &out->view,
                                         .strangers_count = strangers_count,
                                         .assumed = &args->assumed };

    TRY(assessment_survey(args, out, e));
    TRY(survey_backups(args, out, e));
    TRY(look(c, out, e));
    return recover_judge(&scene, &out->verdict, e);
}

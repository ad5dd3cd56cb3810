#include "cli/fetched.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

#include "care/doctor.h"
#include "repo/fetch.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/os.h"

void fetched_end(struct fetched *f)
{
    struct err e = { 0 };

    if (f->file != NULL && os_remove_tree(AT_FDCWD, f->file, &e) != RC_OK)
        log_warn("'%s' is left behind: %s", f->file, e.why);
    chain_free(f->log);
    cli_repo_clear(&f->from);
    mem_free(f->file);
    mem_free(f->called);
    mem_free(f->words);
}

static enum rc describe(const struct repo_args *a, const struct chain_item *item,
                        struct fetched *f, struct err *e)
{
    char repo[600];

    care_shell_word(repo, sizeof repo, a->repo);
    TRY(str_format(&f->called, e, "backup %" PRIu64 " of '%s'", item->at.sequence,
                   a->cluster));
    return str_format(&f->words, e, "--repo %s --cluster %s --sequence %" PRIu64, repo,
                      a->cluster, item->at.sequence);
}

/* "DIR/data" and "DIR/data/" both: "DIR/data.fetched.db.zst.age". */
static enum rc fetch(struct fetched *f, uint64_t sequence, const char *beside,
                     const struct age_identities *ids, const struct chain_item **item,
                     struct err *e)
{
    AT_END(mem_end) char *stem = NULL;
    size_t n = strlen(beside);

    while (n > 1 && beside[n - 1] == '/')
        n--;
    TRY(str_format(&stem, e, "%.*s.fetched", (int)n, beside));
    return repo_fetch_database(f->from.repo, f->log, sequence, stem, ids, item, &f->file,
                               e);
}

enum rc fetched_begin(struct cli *c, const struct repo_args *a, const char *sequence,
                      const char *beside, const struct age_identities *ids,
                      struct fetched *out, struct err *e)
{
    const struct chain_item *item = NULL;
    uint64_t number;

    TRY(cli_sequence(sequence, &number, e));
    TRY(cli_repo_open(c, a, &out->from, e));
    TRY(repo_log(out->from.repo, &out->log, e));
    if (out->log->findings.errors > 0)
        log_warn("the log of '%s' does not hang together: run 'holdfast audit'; the "
                 "backup itself is compared with its signed record",
                 a->cluster);
    TRY(fetch(out, number, beside, ids, &item, e));
    out->high_water = repo_high_water(out->from.repo, out->log);
    return describe(a, item, out, e);
}

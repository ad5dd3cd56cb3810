#include "cli/rebuilt.h"

#include "cli/facts.h"
#include "util/log.h"

enum rc rebuilt_check(const struct defrag_place_request *q, const char *command,
                      struct err *e)
{
    if ((q->data_dir == NULL) == (q->snapshot == NULL))
        return err_set(e, RC_USAGE,
                       "give either --data-dir or --snapshot" HINT
                       "`holdfast help %s` has examples",
                       command);
    if (q->output != NULL && q->snapshot == NULL)
        return err_set(e, RC_USAGE, "--output goes with --snapshot");
    if (q->keep_backup && q->output != NULL)
        return err_set(e, RC_USAGE,
                       "--keep-backup makes no sense with --output: FILE stays as it is");
    return RC_OK;
}

static void show_hash(struct result *r, const struct defrag_done *d)
{
    if (d->hash_known)
        result_u64(r, "HashKV", "hashkv", d->hashkv);
    else
        result_str(r, NULL, "hashkv", NULL);
}

static struct result *describe(const struct defrag_request *q,
                               const struct defrag_done *d, const struct findings *f)
{
    struct result *r = result_new();

    if (q->place.data_dir != NULL)
        result_str(r, "Data dir", "data_dir", q->place.data_dir);
    else
        result_str(r, "Snapshot", "file", q->place.snapshot);
    if (q->place.output != NULL)
        result_str(r, "Output", "output", q->place.output);
    result_size(r, "Size before", "size_before", d->size_before);
    result_size(r, "Size after", "size_after", d->size_after);
    result_i64(r, "Pages freed", "pages_freed", d->pages_freed);
    result_u64(r, "Pairs", "pairs", d->pairs);
    result_i64(r, "Revision", "revision", d->revision);
    result_i64(r, "Compact revision", "compact_revision", d->compact_revision);
    show_hash(r, d);
    result_u64(r, "Records dropped", "records_dropped", d->records_dropped);
    result_size(r, "Bytes dropped", "bytes_dropped", d->bytes_dropped);
    result_took(r, "Took", "took_seconds", d->took_ms);
    result_bool(r, "Proved", "proved", d->proved);
    result_bool(r, "Dry run", "dry_run", q->place.look_only);
    show_findings(r, f);
    return r;
}

static enum rc verdict(const struct defrag_request *q, const struct findings *f,
                       struct err *e)
{
    struct err first;

    if (findings_verdict(f, &first) == RC_OK)
        return RC_OK;
    return err_set(e, RC_DEGRADED,
                   "%s as it is, but its history has errors: %s" HINT
                   "compare this member's HashKV with the others'",
                   q->place.look_only ? "the database would be copied"
                                      : "the database was copied",
                   first.why);
}

enum rc rebuilt_run(struct cli *c, const struct defrag_request *q, struct err *e)
{
    AT_END(findings_clear) struct findings f = { 0 };
    struct defrag_request asked = *q;
    struct defrag_done done;

    asked.place.look_only = c->dry_run;
    TRY(defrag_run(&asked, &f, &done, e));
    if (done.trailer_added)
        log_info(
            "'%s' had no SHA-256 at its end, as a copied db file has none; the result "
            "has one",
            q->place.snapshot);

    OWNED(result) r = describe(&asked, &done, &f);

    TRY(cli_show(c, r, e));
    return verdict(&asked, &f, e);
}

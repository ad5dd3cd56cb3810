#include "repo/audit.h"

#include <inttypes.h>
#include <string.h>

#include "repo/upload.h"
#include "util/mem.h"

void repo_audit_clear(struct repo_audit *a)
{
    chain_free(a->log);
    findings_clear(&a->findings);
    *a = (struct repo_audit){ 0 };
}

/* ---- objects ---------------------------------------------------------------------- */

struct seen {
    const char *cluster;
    const struct chain *log;
    struct repo_audit *a;
    struct str_list unnamed; /* objects that no record of the log names */
    bool *found;             /* one an item of the log */
};

static enum rc note_object(void *arg, const struct store_info *info, struct err *e)
{
    struct seen *s = arg;

    s->a->objects++;
    s->a->bytes += info->size;
    for (size_t i = 0; i < s->log->count; i++) {
        const struct chain_item *x = &s->log->items[i];

        if (x->record == NULL || x->record->kind != RECORD_BACKUP ||
            strcmp(x->record->backup->object_key, info->key) != 0)
            continue;
        s->found[i] = true;
        if (x->state == CHAIN_GOOD && x->record->backup->object_size != info->size)
            return findings_add(
                &s->a->findings, FINDING_ERROR, "object-size", FINDING_NO_PAGE, e,
                "backup %" PRIu64 ": '%.80s' has %" PRIu64 " bytes, and %" PRIu64
                " were stored",
                x->at.sequence, info->key, info->size, x->record->backup->object_size);
        return RC_OK;
    }
    return str_list_add(&s->unnamed, info->key, e);
}

static enum rc is_there(struct repo *r, const char *key, bool *out, struct err *e)
{
    struct store_info info;
    struct err why = { 0 };
    const enum rc rc = store_stat(r->store, key, &info, &why);

    *out = rc == RC_OK;
    if (rc == RC_OK || rc == RC_NOTFOUND)
        return RC_OK;
    *e = why;
    return rc;
}

/* Of a backup that is under way, or that came to its end while we looked? */
static enum rc is_explained(struct repo *r, const struct seen *s, const char *object,
                            bool *out, struct err *e)
{
    char entry[RECORD_KEY_SIZE], next[RECORD_KEY_SIZE];

    repo_upload_entry(s->cluster, object, entry);
    TRY(is_there(r, entry, out, e));
    if (*out)
        return RC_OK;
    record_key(s->cluster, s->log->head.sequence + 1, next);
    return is_there(r, next, out, e);
}

static enum rc note_unnamed(struct repo *r, const struct seen *s, struct err *e)
{
    for (size_t i = 0; i < s->unnamed.count; i++) {
        const char *key = s->unnamed.items[i];
        bool explained = false;

        TRY(is_explained(r, s, key, &explained, e));
        TRY(findings_add(&s->a->findings, explained ? FINDING_NOTE : FINDING_WARN,
                         explained ? "object-announced" : "object-unnamed",
                         FINDING_NO_PAGE, e, "'%.120s' %s", key,
                         explained ? "is of a backup that is under way, or that did not "
                                     "come to its end"
                                   : "belongs to no backup"));
    }
    return RC_OK;
}

static enum rc note_record(void *arg, const struct store_info *info, struct err *e)
{
    struct seen *s = arg;
    uint64_t sequence;

    if (record_key_parse(s->cluster, info->key, &sequence) != RECORD_FILE_OTHER)
        return RC_OK;
    return findings_add(&s->a->findings, FINDING_WARN, "record-name", FINDING_NO_PAGE, e,
                        "'%.120s' is no record (%" PRIu64 " bytes)", info->key,
                        info->size);
}

static enum rc note_missing(const struct seen *s, struct err *e)
{
    for (size_t i = 0; i < s->log->count; i++) {
        if (!chain_is_backup(&s->log->items[i]))
            continue;
        s->a->backups++;
        if (!s->found[i])
            TRY(findings_add(&s->a->findings, FINDING_ERROR, "object-missing",
                             FINDING_NO_PAGE, e,
                             "backup %" PRIu64 ": its object '%.120s' is gone",
                             s->log->items[i].at.sequence,
                             s->log->items[i].record->backup->object_key));
    }
    return RC_OK;
}

static enum rc look_around(struct repo *r, struct seen *s, struct err *e)
{
    char prefix[RECORD_KEY_SIZE];

    record_objects(s->cluster, prefix);
    TRY(store_list(r->store, prefix, note_object, s, e));
    record_prefix(s->cluster, prefix);
    TRY(store_list(r->store, prefix, note_record, s, e));
    TRY(note_unnamed(r, s, e));
    return note_missing(s, e);
}

static enum rc look_at_objects(struct repo *r, struct repo_audit *a, struct err *e)
{
    struct seen s = { .cluster = r->options.cluster, .log = a->log, .a = a };
    AT_END(mem_end) void *held = NULL;
    enum rc rc;

    TRY(mem_new(&s.found, (a->log->count + 1) * sizeof *s.found, "an audit", e));
    held = s.found;
    rc = look_around(r, &s, e);
    str_list_clear(&s.unnamed);
    return rc;
}

/* ---- the log ---------------------------------------------------------------------- */

static enum rc read_log(struct repo *r, const struct chain_mark *marks, size_t count,
                        struct repo_audit *a, struct err *e)
{
    struct chain_mark *all = NULL;
    AT_END(mem_end) void *held = NULL;
    bool found = false;

    TRY(mem_new(&all, (count + 1) * sizeof *all, "marks", e));
    held = all;
    if (count > 0)
        memcpy(all, marks, count * sizeof *all);
    if (r->index != NULL)
        TRY(index_mark(r->index, r->identity.id, r->options.cluster, &all[count], &found,
                       e));
    TRY(log_read(r->store, r->identity.id, r->options.cluster, &r->trust, &a->log, e));
    return chain_close(a->log, all, count + (found ? 1 : 0), e);
}

static enum rc take_findings(const struct findings *from, struct findings *to,
                             struct err *e)
{
    for (size_t i = 0; i < from->kept; i++)
        TRY(findings_add(to, from->items[i].severity, from->items[i].code,
                         from->items[i].page, e, "%s", from->items[i].message));
    return RC_OK;
}

static enum rc note_pin(const struct repo *r, struct findings *f, struct err *e)
{
    if (r->pinned)
        return RC_OK;
    return findings_add(f, FINDING_NOTE, "key-unproved", FINDING_NO_PAGE, e,
                        "this host saw the repository for the first time and took its "
                        "word for whose signatures count: compare the key with where it "
                        "was made, or give --public-key");
}

enum rc repo_audit(struct repo *r, const struct chain_mark *marks, size_t count,
                   struct repo_audit *out, struct err *e)
{
    AT_END(repo_audit_clear) struct repo_audit a = { 0 };

    TRY(read_log(r, marks, count, &a, e));
    TRY(take_findings(&a.log->findings, &a.findings, e));
    TRY(note_pin(r, &a.findings, e));
    TRY(look_at_objects(r, &a, e));
    *out = a;
    a = (struct repo_audit){ 0 };
    return RC_OK;
}

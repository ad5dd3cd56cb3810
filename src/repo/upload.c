#include "repo/upload.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/log.h"
#include "util/mem.h"

enum { ENTRY_MAX = 4096 };

void repo_upload_entry(const char *cluster, const char *object,
                       char out[static RECORD_KEY_SIZE])
{
    char prefix[RECORD_KEY_SIZE];
    const char *id;

    record_objects(cluster, prefix);
    id = object + strlen(prefix);
    snprintf(out, RECORD_KEY_SIZE, "%s/uploads/%.*s.json", cluster, (int)strcspn(id, "/"),
             id);
}

enum rc repo_upload_begin(struct repo *r, const char *file, struct repo_upload *out,
                          struct err *e)
{
    TRY(record_object_new(r->options.cluster, file, out->object, e));
    repo_upload_entry(r->options.cluster, out->object, out->entry);
    return store_put_bytes(r->store, out->entry, NULL, bytes_str(out->object), e);
}

enum rc repo_upload_end(struct repo *r, const struct repo_upload *u, struct err *e)
{
    return store_remove(r->store, u->entry, e);
}

/* ---- what a crash left ------------------------------------------------------------ */

static bool is_named(const struct chain *log, const char *object)
{
    for (size_t i = 0; i < log->count; i++) {
        const struct record *x = log->items[i].record;

        if (x != NULL && x->kind == RECORD_BACKUP &&
            strcmp(x->backup->object_key, object) == 0)
            return true;
    }
    return false;
}

static enum rc read_entry(struct repo *r, const char *entry, char **object, bool *valid,
                          struct err *e)
{
    AT_END(buf_clear) struct buf text = { 0 };
    char belongs[RECORD_KEY_SIZE];
    enum rc rc = store_get_bytes(r->store, entry, ENTRY_MAX, &text, e);

    *valid = false;
    if (rc == RC_NOTFOUND || rc == RC_CORRUPT)
        return RC_OK;
    TRY(rc);
    if (text.n == 0 || memchr(text.p, '\0', text.n) != NULL)
        return RC_OK;
    *object = mem_str_n((const char *)text.p, text.n);
    if (*object == NULL)
        return err_set(e, RC_NOMEM, "no memory for a key");
    if (!record_object_key_valid(r->options.cluster, *object))
        return RC_OK;
    repo_upload_entry(r->options.cluster, *object, belongs);
    *valid = strcmp(belongs, entry) == 0;
    return RC_OK;
}

static enum rc sweep_one(struct repo *r, const struct chain *log, const char *entry,
                         uint64_t *swept, struct err *e)
{
    AT_END(mem_end) char *object = NULL;
    struct store_info info;
    bool valid = false;
    enum rc rc;

    TRY(read_entry(r, entry, &object, &valid, e));
    if (!valid) {
        log_warn("'%s' announces nothing that could be an upload; it is left alone",
                 entry);
        return RC_OK;
    }
    rc = store_stat(r->store, object, &info, e);
    if (rc == RC_OK && !is_named(log, object)) {
        log_info("removing '%s', which a backup left that did not come to its end",
                 object);
        TRY(store_remove(r->store, object, e));
        ++*swept;
    } else if (rc != RC_OK && rc != RC_NOTFOUND) {
        return rc;
    }
    return store_remove(r->store, entry, e);
}

static enum rc add_key(void *arg, const struct store_info *info, struct err *e)
{
    return str_list_add(arg, info->key, e);
}

enum rc repo_uploads_sweep(struct repo *r, const struct chain *log, uint64_t *swept,
                           struct err *e)
{
    AT_END(str_list_clear) struct str_list entries = { 0 };
    char prefix[RECORD_KEY_SIZE];

    *swept = 0;
    snprintf(prefix, sizeof prefix, "%s/", r->options.cluster);
    TRY(store_sweep(r->store, prefix, swept, e));
    snprintf(prefix, sizeof prefix, "%s/uploads/", r->options.cluster);
    TRY(store_list(r->store, prefix, add_key, &entries, e));
    for (size_t i = 0; i < entries.count; i++)
        TRY(sweep_one(r, log, entries.items[i], swept, e));
    return RC_OK;
}

#include "restore/planfile.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/sha256.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/str.h"

enum { PLAN_MAX = 1 << 20, PLAN_ID_SIZE = 8 };

/* What cluster and member ids do not cover, and what all hosts must agree on: members
 * with another bump hold other data under the same revisions. */
struct covered {
    const char *token;
    const uint8_t *database_sha256;
    int64_t bump_by;
    bool mark_compacted, skip_hash_check;
    unsigned target_minor;
};

static enum rc plan_id(const struct covered *c, char out[static 2 * PLAN_ID_SIZE + 1],
                       struct err *e)
{
    char hex[2 * SHA256_SIZE + 1];
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) hash = NULL;
    AT_END(mem_end) char *text = NULL;

    str_hex(hex, c->database_sha256, SHA256_SIZE);
    TRY(str_format(&text, e, "%s %lld %d %d %u %s", hex, (long long)c->bump_by,
                   c->mark_compacted, c->skip_hash_check, c->target_minor, c->token));
    TRY(sha256_new(&hash, e));
    TRY(sha256_add(hash, text, strlen(text), e));
    TRY(sha256_end(hash, digest, e));
    str_hex(out, digest, PLAN_ID_SIZE);
    return RC_OK;
}

static void set_id(struct json *o, const char *key, const char *key_hex, uint64_t id)
{
    char hex[17];

    snprintf(hex, sizeof hex, "%llx", (unsigned long long)id);
    json_set_u64(o, key, id);
    json_set_str(o, key_hex, hex);
}

static struct json *render_member(const struct restore_member *m)
{
    struct json *o = json_new_object(), *urls = json_new_array();

    json_set_str(o, "name", m->name);
    set_id(o, "id", "id_hex", m->id);
    for (size_t i = 0; i < m->peer_urls.count; i++)
        json_add_str(urls, m->peer_urls.items[i]);
    json_set(o, "peer_urls", urls);
    return o;
}

static struct json *render_step(size_t n, const struct restore_member *m,
                                const char *file)
{
    struct json *o = json_new_object();
    char command[1024], undo[256];

    snprintf(command, sizeof command,
             "holdfast restore %s --plan PLAN.json --member %s --data-dir DIR", file,
             m->name);
    snprintf(undo, sizeof undo, "move DIR aside on the host of %s", m->name);
    json_set_u64(o, "n", n);
    json_set_str(o, "host", m->name);
    json_set_str(o, "action", "restore the snapshot into a new data directory");
    json_set_str(o, "command", command);
    json_set_str(o, "check", "the command ends with exit status 0; etcd is not running");
    json_set_str(o, "undo", undo);
    return o;
}

static struct json *render_source(const struct restore_plan_source *s)
{
    struct json *o = json_new_object();
    char hex[2 * SHA256_SIZE + 1];

    str_hex(hex, s->database_sha256, SHA256_SIZE);
    json_set_str(o, "file", s->file);
    json_set_str(o, "database_sha256", hex);
    json_set_i64(o, "revision", s->revision);
    return o;
}

static struct json *render_bump(const struct restore_bump *b)
{
    struct json *o = json_new_object();

    json_set_i64(o, "by", b->by);
    json_set_bool(o, "mark_compacted", b->mark_compacted);
    json_set_str(o, "reason", b->reason);
    return o;
}

enum rc restore_planfile_render(const struct restore_plan *p,
                                const struct restore_plan_source *source,
                                struct json **out, struct err *e)
{
    OWNED(json) o = json_new_object();
    struct json *members = json_new_array(), *steps = json_new_array();
    const struct covered covered = {
        p->token,           source->database_sha256,
        source->bump.by,    source->bump.mark_compacted,
        p->skip_hash_check, p->target_minor,
    };
    char id[2 * PLAN_ID_SIZE + 1];

    TRY(plan_id(&covered, id, e));
    json_set_str(o, "plan_id", id);
    json_set_str(o, "kind", "restore");
    set_id(o, "cluster_id", "cluster_id_hex", p->cluster_id);
    json_set_str(o, "token", p->token);
    json_set(o, "source", render_source(source));
    json_set(o, "bump", render_bump(&source->bump));
    json_set_u64(o, "target_minor", p->target_minor);
    json_set_bool(o, "skip_hash_check", p->skip_hash_check);
    for (size_t i = 0; i < p->members.count; i++) {
        json_add(members, render_member(&p->members.items[i]));
        json_add(steps, render_step(i + 1, &p->members.items[i], source->file));
    }
    json_set(o, "members", members);
    json_set(o, "steps", steps);
    *out = GIVE(o);
    return RC_OK;
}

#define WRITE_ONE "`holdfast restore FILE --write-plan PLAN` writes one"

static enum rc field_missing(const char *path, const char *field, struct err *e)
{
    return err_set(e, RC_CORRUPT, "the plan '%s' has no usable field '%s'", path, field);
}

/* Back to --initial-cluster's form, so that the same rules are applied again. */
static enum rc cluster_text(const struct json *members, const char *path, char **out,
                            struct err *e)
{
    AT_END(buf_clear) struct buf text = { .cap_max = PLAN_MAX };

    for (size_t i = 0; i < json_count(members); i++) {
        const struct json *m = json_at(members, i);
        const char *name = json_get_str(m, "name");
        const struct json *urls = json_get(m, "peer_urls");

        if (name == NULL || strpbrk(name, "=,") != NULL || json_count(urls) == 0)
            return field_missing(path, "members", e);
        for (size_t k = 0; k < json_count(urls); k++) {
            const char *url = json_str(json_at(urls, k));

            if (url == NULL || strchr(url, ',') != NULL)
                return field_missing(path, "peer_urls", e);
            TRY(buf_add(&text, name, strlen(name), e));
            TRY(buf_add(&text, "=", 1, e));
            TRY(buf_add(&text, url, strlen(url), e));
            TRY(buf_add(&text, ",", 1, e));
        }
    }
    TRY(buf_add(&text, "", 1, e));
    *out = (char *)GIVE(text.p);
    return RC_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Their names have been read already. They lie in the order of their ids, which depend on
 * the cluster's token and tell a person nothing. */
static enum rc check_member(const struct json *members, const char *path,
                            const char *name, struct err *e)
{
    AT_END(str_list_clear) struct str_list known = { 0 };
    AT_END(buf_clear) struct buf names = { 0 };

    for (size_t i = 0; i < json_count(members); i++)
        TRY(str_list_add(&known, json_get_str(json_at(members, i), "name"), e));
    if (known.count == 0)
        return field_missing(path, "members", e);
    if (str_list_has(&known, name))
        return RC_OK;
    qsort(known.items, known.count, sizeof *known.items, by_name);
    for (size_t i = 0; i < known.count; i++) {
        TRY(buf_add(&names, ", ", i == 0 ? 0 : 2, e));
        TRY(buf_add(&names, known.items[i], strlen(known.items[i]), e));
    }
    return err_set(e, RC_USAGE,
                   "the plan '%s' has no member '%s'" HINT "its members are: %.*s", path,
                   name, (int)names.n, (const char *)names.p);
}

static enum rc check_plan_id(const struct json *o, const struct restore_plan *p,
                             const char *path, struct err *e)
{
    const struct covered covered = {
        p->token,          p->database_sha256, p->bump_by,
        p->mark_compacted, p->skip_hash_check, p->target_minor,
    };
    const char *recorded = json_get_str(o, "plan_id");
    char id[2 * PLAN_ID_SIZE + 1];

    TRY(plan_id(&covered, id, e));
    if (recorded == NULL || strcmp(recorded, id) != 0)
        return err_set(e, RC_CORRUPT,
                       "the plan '%s' has an id that does not follow from its snapshot, "
                       "bump and token" HINT "write the plan again; do not edit it",
                       path);
    return RC_OK;
}

/* The ids in the file are for people; they must be the ones that follow from the rest. */
static enum rc check_ids(const struct json *o, const struct restore_plan *p,
                         const char *path, struct err *e)
{
    const struct json *members = json_get(o, "members");
    uint64_t id;

    if (!json_get_u64(o, "cluster_id", &id) || id != p->cluster_id)
        return err_set(e, RC_CORRUPT,
                       "the plan '%s' names a cluster id that does not follow from its "
                       "members and token" HINT "write the plan again; do not edit it",
                       path);
    for (size_t i = 0; i < json_count(members); i++) {
        const char *name = json_get_str(json_at(members, i), "name");

        if (!json_get_u64(json_at(members, i), "id", &id) ||
            id != restore_members_find(&p->members, name)->id)
            return err_set(e, RC_CORRUPT,
                           "the plan '%s' gives the member '%s' an id that does not "
                           "follow from its URLs and token",
                           path, name);
    }
    return RC_OK;
}

static enum rc read_bump(const struct json *o, const char *path,
                         struct restore_request *q, struct err *e)
{
    const struct json *bump = json_get(o, "bump");
    uint64_t minor = 0;

    q->bump = RESTORE_BUMP_BY;
    if (!json_get_i64(bump, "by", &q->bump_by) ||
        !json_get_bool(bump, "mark_compacted", &q->mark_compacted))
        return field_missing(path, "bump", e);
    if (!json_get_u64(o, "target_minor", &minor) || minor > 100)
        return field_missing(path, "target_minor", e);
    if (!json_get_bool(o, "skip_hash_check", &q->skip_hash_check))
        return field_missing(path, "skip_hash_check", e);
    q->target_minor = (unsigned)minor;
    return RC_OK;
}

static enum rc read_source(const struct json *o, const char *path, struct restore_plan *p,
                           char **file, struct err *e)
{
    const struct json *source = json_get(o, "source");
    const char *name = json_get_str(source, "file");
    const char *hex = json_get_str(source, "database_sha256");

    if (name == NULL)
        return field_missing(path, "file", e);
    if (hex == NULL || !str_unhex(hex, p->database_sha256, SHA256_SIZE))
        return field_missing(path, "database_sha256", e);
    p->pinned = true;
    return str_format(file, e, "%s", name);
}

static enum rc load(const struct json *o, const char *path, struct restore_request *q,
                    struct restore_plan *out, char **file, struct err *e)
{
    AT_END(restore_plan_clear) struct restore_plan p = { 0 };
    AT_END(mem_end) char *cluster = NULL;
    AT_END(mem_end) char *source = NULL;
    const char *kind = json_get_str(o, "kind");

    if (kind == NULL || strcmp(kind, "restore") != 0)
        return err_set(e, RC_USAGE, "'%s' is no restore plan" HINT WRITE_ONE, path);
    q->token = json_get_str(o, "token");
    if (q->token == NULL)
        return field_missing(path, "token", e);
    TRY(cluster_text(json_get(o, "members"), path, &cluster, e));
    TRY(check_member(json_get(o, "members"), path, q->name, e));
    q->initial_cluster = cluster;
    TRY(read_bump(o, path, q, e));
    TRY(restore_plan_make(q, &p, e));
    TRY(check_ids(o, &p, path, e));
    TRY(read_source(o, path, &p, &source, e));
    TRY(check_plan_id(o, &p, path, e));
    *file = GIVE(source);
    *out = p;
    p = (struct restore_plan){ 0 };
    return RC_OK;
}

/* A file that was cut, or is something else. Its text is no snapshot's. */
static enum rc parse(struct bytes text, const char *path, struct json **out,
                     struct err *e)
{
    if (text.n == 0)
        return err_set(e, RC_CORRUPT, "the plan '%s' is empty" HINT WRITE_ONE, path);
    if (json_parse(text, path, out, e) == RC_OK)
        return RC_OK;
    if (e->code == RC_CORRUPT)
        err_hint(e, "the plan is incomplete or was edited; " WRITE_ONE);
    return e->code;
}

enum rc restore_planfile_load(const char *path, const char *name, const char *data_dir,
                              const char *wal_dir, struct restore_plan *out, char **file,
                              struct err *e)
{
    struct restore_request q = { .name = name, .data_dir = data_dir, .wal_dir = wal_dir };
    AT_END(mem_end) uint8_t *text = NULL;
    OWNED(json) o = NULL;
    size_t n = 0;

    TRY(os_read_file(path, PLAN_MAX, &text, &n, e));
    TRY(parse((struct bytes){ text, n }, path, &o, e));
    return load(o, path, &q, out, file, e);
}

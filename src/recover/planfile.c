#include "recover/planfile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "util/mem.h"
#include "util/os.h"

#define FORMAT "holdfast-recovery-1"
#define WRITE_ONE "`holdfast recover --plan FILE` writes one"

enum { PLAN_MAX = 1 << 20, URLS_MAX = 64, OLD_MAX = 1024 };

/* ---- the digest ---------------------------------------------------------------------
 */

/* Of the whole text, with an empty digest in the digest's place. */
static enum rc digest_of(struct json *o, char out[static 2 * SHA256_SIZE + 1],
                         struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) hash = NULL;

    json_set_str(o, "sha256", "");
    TRY(json_render(o, false, &text, e));
    TRY(sha256_new(&hash, e));
    TRY(sha256_add(hash, text, strlen(text), e));
    TRY(sha256_end(hash, digest, e));
    str_hex(out, digest, SHA256_SIZE);
    return RC_OK;
}

/* ---- writing ------------------------------------------------------------------------
 */

static void set_id(struct json *o, const char *key, const char *key_hex, uint64_t id)
{
    char hex[17];

    snprintf(hex, sizeof hex, "%" PRIx64, id);
    json_set_u64(o, key, id);
    json_set_str(o, key_hex, hex);
}

static void set_hash(struct json *o, const char *key, const uint8_t *digest)
{
    char hex[2 * SHA256_SIZE + 1];

    str_hex(hex, digest, SHA256_SIZE);
    json_set_str(o, key, hex);
}

static struct json *texts(const struct str_list *l)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < l->count; i++)
        json_add_str(a, l->items[i]);
    return a;
}

static struct json *known_json(const struct recover_plan *p)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < p->known_count; i++) {
        struct json *o = json_new_object();

        set_id(o, "member", "member_hex", p->known[i].member_id);
        json_set_u64(o, "term", p->known[i].term);
        json_set_u64(o, "index", p->known[i].index);
        json_add(a, o);
    }
    return a;
}

static struct json *old_json(const struct recover_plan *p)
{
    struct json *o = json_new_object(), *members = json_new_array();

    set_id(o, "cluster_id", "cluster_id_hex", p->old_cluster);
    for (size_t i = 0; i < p->old_count; i++) {
        struct json *m = json_new_object();

        json_set_str(m, "name", p->old[i].name);
        set_id(m, "id", "id_hex", p->old[i].id);
        json_set_bool(m, "learner", p->old[i].learner);
        json_set(m, "peer_urls", texts(&p->old[i].peer_urls));
        json_set(m, "client_urls", texts(&p->old[i].client_urls));
        json_add(members, m);
    }
    json_set(o, "members", members);
    json_set(o, "copies", known_json(p));
    return o;
}

static struct json *members_json(const struct recover_plan *p)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < p->members.count; i++) {
        const struct restore_member *m = &p->members.items[p->order[i]];
        struct json *o = json_new_object();

        json_set_str(o, "name", m->name);
        set_id(o, "id", "id_hex", m->id);
        json_set(o, "peer_urls", texts(&m->peer_urls));
        json_add(a, o);
    }
    return a;
}

static struct json *source_json(const struct recover_source *s)
{
    struct json *o = json_new_object();

    json_set_bool(o, "live", s->live);
    json_set_str(o, "file", s->file);
    set_hash(o, "sha256", s->sha256);
    set_hash(o, "database_sha256", s->database);
    json_set_bool(o, "skip_hash_check", s->skip_hash_check);
    json_set_str(o, "from", recover_kind_name(s->kind));
    json_set_str(o, "path", s->path);
    json_set_str(o, "member_name", s->member_name);
    set_id(o, "member", "member_hex", s->member_id);
    json_set_bool(o, "term_known", s->term_known);
    json_set_u64(o, "term", s->term);
    json_set_u64(o, "index", s->index);
    json_set_i64(o, "revision", s->revision);
    json_set_bool(o, "hashkv_known", s->hashkv_known);
    json_set_u64(o, "hashkv", s->hashkv);
    json_set_bool(o, "kubernetes", s->kubernetes);
    return o;
}

static struct json *point_json(const struct recover_plan *p)
{
    struct json *o = json_new_object();

    json_set_i64(o, "revision", p->source.revision);
    json_set(o, "lost", texts(&p->lost));
    return o;
}

static struct json *bump_json(const struct restore_bump *b)
{
    struct json *o = json_new_object();

    json_set_i64(o, "by", b->by);
    json_set_i64(o, "revision", b->revision);
    json_set_bool(o, "mark_compacted", b->mark_compacted);
    json_set_str(o, "reason", b->reason);
    return o;
}

static enum rc steps_json(const struct recover_plan *p, const char *plan,
                          struct json **out, struct err *e)
{
    AT_END(recover_steps_clear) struct recover_steps steps = { 0 };
    OWNED(json) a = json_new_array();

    TRY(recover_steps_make(p, plan, &steps, e));
    for (size_t i = 0; i < steps.count; i++) {
        const struct recover_step *s = &steps.items[i];
        struct json *o = json_new_object();

        json_set_u64(o, "n", i + 1);
        json_set_str(o, "host", s->host);
        json_set_str(o, "kind", recover_step_name(s->kind));
        json_set_str(o, "action", s->action);
        json_set_str(o, "command", s->command);
        json_set_str(o, "check", s->check);
        json_set_str(o, "undo", s->undo);
        json_add(a, o);
    }
    *out = GIVE(a);
    return RC_OK;
}

static void set_facts(struct json *o, const struct recover_plan *p)
{
    json_set_str(o, "plan_id", p->id);
    json_set_str(o, "kind", "recovery");
    json_set_str(o, "shape", recover_shape_name(p->shape));
    json_set_str(o, "layout", host_layout_name(p->layout));
    json_set_i64(o, "made_ms", p->made_ms);
    json_set(o, "old", old_json(p));
    set_id(o, "cluster_id", "cluster_id_hex", p->cluster_id);
    json_set_str(o, "token", p->token);
    json_set(o, "members", members_json(p));
    json_set(o, "source", source_json(&p->source));
    json_set(o, "recovery_point", point_json(p));
    json_set_i64(o, "high_water", p->high_water);
    json_set(o, "bump", bump_json(&p->bump));
    json_set_u64(o, "target_minor", p->target_minor);
    json_set(o, "assumed_off", texts(&p->assumed));
    json_set_str(o, "data_dir", p->data_dir);
    json_set_str(o, "wal_dir", p->wal_dir);
}

enum rc recover_planfile_json(const struct recover_plan *p, const char *plan,
                              struct json **out, struct err *e)
{
    char digest[2 * SHA256_SIZE + 1];
    OWNED(json) o = json_new_object();
    struct json *steps = NULL;

    json_set_str(o, "format", FORMAT);
    json_set_str(o, "sha256", "");
    set_facts(o, p);
    TRY(steps_json(p, plan, &steps, e));
    json_set(o, "steps", steps);
    TRY(digest_of(o, digest, e));
    json_set_str(o, "sha256", digest);
    *out = GIVE(o);
    return RC_OK;
}

/* ---- reading ------------------------------------------------------------------------
 */

static enum rc missing(const char *path, const char *field, struct err *e)
{
    return err_set(e, RC_CORRUPT, "the plan '%s' has no usable field '%s'" HINT WRITE_ONE,
                   path, field);
}

static enum rc read_text(const struct json *o, const char *path, const char *key,
                         char **out, struct err *e)
{
    const char *text = json_get_str(o, key);

    return text == NULL ? missing(path, key, e) : str_format(out, e, "%s", text);
}

static enum rc read_texts(const struct json *a, const char *path, const char *key,
                          struct str_list *out, struct err *e)
{
    if (json_count(a) > URLS_MAX)
        return missing(path, key, e);
    for (size_t i = 0; i < json_count(a); i++) {
        const char *text = json_str(json_at(a, i));

        if (text == NULL)
            return missing(path, key, e);
        TRY(str_list_add(out, text, e));
    }
    return RC_OK;
}

static enum rc read_old(const struct json *o, const char *path, struct recover_plan *p,
                        struct err *e)
{
    const struct json *members = json_get(o, "members");
    size_t count = json_count(members);

    if (!json_get_u64(o, "cluster_id", &p->old_cluster) || count > OLD_MAX)
        return missing(path, "old", e);
    TRY(mem_new(&p->old, (count + 1) * sizeof *p->old, "members", e));
    for (size_t i = 0; i < count; i++) {
        const struct json *m = json_at(members, i);
        struct mvcc_member *to = &p->old[p->old_count++];

        TRY(read_text(m, path, "name", &to->name, e));
        if (!json_get_u64(m, "id", &to->id) || !json_get_bool(m, "learner", &to->learner))
            return missing(path, "old", e);
        TRY(read_texts(json_get(m, "peer_urls"), path, "peer_urls", &to->peer_urls, e));
        TRY(read_texts(json_get(m, "client_urls"), path, "client_urls", &to->client_urls,
                       e));
    }
    return RC_OK;
}

static enum rc read_known(const struct json *a, const char *path, struct recover_plan *p,
                          struct err *e)
{
    size_t count = json_count(a);

    if (count > OLD_MAX)
        return missing(path, "copies", e);
    TRY(mem_new(&p->known, (count + 1) * sizeof *p->known, "copies", e));
    for (size_t i = 0; i < count; i++) {
        const struct json *o = json_at(a, i);
        struct recover_known *to = &p->known[p->known_count++];

        if (!json_get_u64(o, "member", &to->member_id) ||
            !json_get_u64(o, "term", &to->term) || !json_get_u64(o, "index", &to->index))
            return missing(path, "copies", e);
    }
    return RC_OK;
}

/* Back to --initial-cluster's form, so that the same rules hold. */
static enum rc members_text(const struct json *members, const char *path, char **out,
                            struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = PLAN_MAX };

    for (size_t i = 0; i < json_count(members); i++) {
        const struct json *m = json_at(members, i), *urls = json_get(m, "peer_urls");
        const char *name = json_get_str(m, "name");

        if (name == NULL || strpbrk(name, "=,") != NULL || json_count(urls) == 0)
            return missing(path, "members", e);
        for (size_t k = 0; k < json_count(urls); k++) {
            const char *url = json_str(json_at(urls, k));

            if (url == NULL || strchr(url, ',') != NULL)
                return missing(path, "peer_urls", e);
            TRY(buf_add(&b, name, strlen(name), e));
            TRY(buf_add(&b, "=", 1, e));
            TRY(buf_add(&b, url, strlen(url), e));
            TRY(buf_add(&b, ",", 1, e));
        }
    }
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)GIVE(b.p);
    return RC_OK;
}

/* The hosts come in the order of the file. */
static enum rc read_members(const struct json *members, const char *path,
                            struct recover_plan *p, struct err *e)
{
    AT_END(mem_end) char *text = NULL;

    TRY(members_text(members, path, &text, e));
    TRY(restore_members_parse(text, &p->members, e));
    if (p->members.count != json_count(members) || p->members.count > RESTORE_MEMBERS_MAX)
        return missing(path, "members", e);
    for (size_t i = 0; i < p->members.count; i++)
        for (size_t k = 0; k < p->members.count; k++)
            if (strcmp(json_get_str(json_at(members, i), "name"),
                       p->members.items[k].name) == 0)
                p->order[i] = k;
    return RC_OK;
}

/* The ids in the file are for people; they must be the ones that follow from the rest. */
static enum rc check_ids(const struct json *o, const char *path, struct recover_plan *p,
                         struct err *e)
{
    const struct json *members = json_get(o, "members");
    uint64_t cluster, id;

    if (!json_get_u64(o, "cluster_id", &cluster))
        return missing(path, "cluster_id", e);
    TRY(recover_plan_identify(p, e));
    for (size_t i = 0; i < p->members.count; i++)
        if (!json_get_u64(json_at(members, i), "id", &id) ||
            id != p->members.items[p->order[i]].id)
            cluster = ~p->cluster_id;
    if (cluster == p->cluster_id)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "the plan '%s' names ids that do not follow from its members and "
                   "token" HINT "make the plan again; do not edit it",
                   path);
}

static bool read_hash(const struct json *o, const char *key, uint8_t *out)
{
    const char *hex = json_get_str(o, key);

    return hex != NULL && str_unhex(hex, out, SHA256_SIZE);
}

static enum rc read_source(const struct json *o, const char *path,
                           struct recover_source *s, struct err *e)
{
    const char *from = json_get_str(o, "from");
    uint64_t hashkv;

    TRY(read_text(o, path, "file", &s->file, e));
    TRY(read_text(o, path, "path", &s->path, e));
    TRY(read_text(o, path, "member_name", &s->member_name, e));
    if (from == NULL || !json_get_bool(o, "live", &s->live) ||
        !read_hash(o, "sha256", s->sha256) ||
        !read_hash(o, "database_sha256", s->database) ||
        !json_get_bool(o, "skip_hash_check", &s->skip_hash_check) ||
        !json_get_u64(o, "member", &s->member_id) ||
        !json_get_bool(o, "term_known", &s->term_known) ||
        !json_get_u64(o, "term", &s->term) || !json_get_u64(o, "index", &s->index) ||
        !json_get_i64(o, "revision", &s->revision) ||
        !json_get_bool(o, "hashkv_known", &s->hashkv_known) ||
        !json_get_u64(o, "hashkv", &hashkv) || hashkv > UINT32_MAX ||
        !json_get_bool(o, "kubernetes", &s->kubernetes))
        return missing(path, "source", e);
    s->hashkv = (uint32_t)hashkv;
    s->kind = strcmp(from, recover_kind_name(RECOVER_DIRECTORY)) == 0 ? RECOVER_DIRECTORY
                                                                      : RECOVER_SNAPSHOT;
    return RC_OK;
}

static enum rc read_bump(const struct json *o, const char *path, struct recover_plan *p,
                         struct err *e)
{
    if (!json_get_i64(o, "by", &p->bump.by) ||
        !json_get_i64(o, "revision", &p->bump.revision) ||
        !json_get_bool(o, "mark_compacted", &p->bump.mark_compacted))
        return missing(path, "bump", e);
    TRY(read_text(o, path, "reason", &p->bump_reason, e));
    p->bump.reason = p->bump_reason;
    return RC_OK;
}

static enum rc read_way(const struct json *o, const char *path, struct recover_plan *p,
                        struct err *e)
{
    const char *shape = json_get_str(o, "shape"), *layout = json_get_str(o, "layout");
    const char *id = json_get_str(o, "plan_id"), *wal = json_get_str(o, "wal_dir");
    uint8_t ignored[8];
    uint64_t minor;

    if (id == NULL || !str_unhex(id, ignored, sizeof ignored))
        return missing(path, "plan_id", e);
    snprintf(p->id, sizeof p->id, "%s", id);
    if (shape == NULL || layout == NULL || !json_get_i64(o, "made_ms", &p->made_ms) ||
        !json_get_u64(o, "target_minor", &minor) || minor > 100 ||
        !json_get_i64(o, "high_water", &p->high_water))
        return missing(path, "shape", e);
    p->target_minor = (unsigned)minor;
    p->shape = strcmp(shape, recover_shape_name(RECOVER_RE_BOOTSTRAP)) == 0
                   ? RECOVER_RE_BOOTSTRAP
                   : RECOVER_ALL_AT_ONCE;
    TRY(read_text(o, path, "data_dir", &p->data_dir, e));
    if (wal != NULL)
        TRY(str_format(&p->wal_dir, e, "%s", wal));
    return host_layout_parse(layout, &p->layout, e);
}

static enum rc read_plan(const struct json *o, const char *path, struct recover_plan *p,
                         struct err *e)
{
    TRY(read_way(o, path, p, e));
    TRY(read_old(json_get(o, "old"), path, p, e));
    TRY(read_known(json_get(json_get(o, "old"), "copies"), path, p, e));
    TRY(read_text(o, path, "token", &p->token, e));
    TRY(read_members(json_get(o, "members"), path, p, e));
    TRY(check_ids(o, path, p, e));
    TRY(read_source(json_get(o, "source"), path, &p->source, e));
    TRY(read_bump(json_get(o, "bump"), path, p, e));
    TRY(read_texts(json_get(json_get(o, "recovery_point"), "lost"), path, "lost",
                   &p->lost, e));
    return read_texts(json_get(o, "assumed_off"), path, "assumed_off", &p->assumed, e);
}

static enum rc check_digest(struct json *o, const char *path, struct err *e)
{
    char recorded[2 * SHA256_SIZE + 1], digest[2 * SHA256_SIZE + 1];
    const char *format = json_get_str(o, "format"), *hex = json_get_str(o, "sha256");

    if (format == NULL || strcmp(format, FORMAT) != 0)
        return err_set(e, RC_USAGE, "'%s' is no recovery plan" HINT WRITE_ONE, path);
    if (hex == NULL || strlen(hex) >= sizeof recorded)
        return missing(path, "sha256", e);
    snprintf(recorded, sizeof recorded, "%s", hex);
    TRY(digest_of(o, digest, e));
    if (strcmp(recorded, digest) == 0)
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "the plan '%s' was changed after it was written" HINT
                   "take the plan as it was, or make another; do not edit it",
                   path);
}

enum rc recover_planfile_load(const char *path, struct recover_plan *out, struct err *e)
{
    AT_END(recover_plan_clear) struct recover_plan p = { 0 };
    AT_END(mem_end) uint8_t *text = NULL;
    OWNED(json) o = NULL;
    size_t n = 0;

    TRY(os_read_file(path, PLAN_MAX, &text, &n, e));
    if (n == 0)
        return err_set(e, RC_CORRUPT, "the plan '%s' is empty" HINT WRITE_ONE, path);
    if (json_parse((struct bytes){ text, n }, path, &o, e) != RC_OK) {
        if (e->code == RC_CORRUPT)
            err_hint(e, "the plan is incomplete or was edited; " WRITE_ONE);
        return e->code;
    }
    TRY(check_digest(o, path, e));
    TRY(read_plan(o, path, &p, e));
    *out = p;
    out->bump.reason = out->bump_reason;
    p = (struct recover_plan){ 0 };
    return RC_OK;
}

#include "catalog/record.h"

#include <string.h>

#include "catalog/inside.h"
#include "util/mem.h"

#define TYPE "holdfast.record"
#define REVISION_LIMIT (INT64_C(1) << 62)
#define YEAR_10000 INT64_C(253402300800)

static const char *const kinds[] = { "backup", "prune", "tag" };
enum { KINDS = 3 };

const char *record_kind_name(enum record_kind k)
{
    return kinds[k];
}

bool record_link_equal(const struct record_link *a, const struct record_link *b)
{
    return a->sequence == b->sequence && memcmp(a->sha256, b->sha256, SHA256_SIZE) == 0;
}

enum rc record_new(enum record_kind kind, struct record **out, struct err *e)
{
    struct record *r = NULL;

    TRY(mem_new(&r, sizeof *r, "a record", e));
    r->kind = kind;
    *out = r;
    return RC_OK;
}

void record_free(struct record *r)
{
    if (r == NULL)
        return;
    manifest_free(r->backup);
    mem_free(r->removed);
    str_list_clear(&r->tags);
    mem_free(r);
}

enum rc record_add_removed(struct record *r, const struct record_removed *x,
                           struct err *e)
{
    struct record_removed *more;

    if (r->removed_count == RECORD_REMOVED_MAX)
        return err_set(e, RC_REFUSED, "more than %d records to remove at once",
                       RECORD_REMOVED_MAX);
    more = mem_resize(r->removed, r->removed_count + 1, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for a record");
    r->removed = more;
    r->removed[r->removed_count++] = *x;
    return RC_OK;
}

/* ---- bounds ---------------------------------------------------------------------------
 */

/* The place before the first record has no hash. */
static bool link_valid(const struct record_link *l)
{
    static const uint8_t none[SHA256_SIZE];

    return l->sequence <= RECORD_SEQUENCE_MAX &&
           (l->sequence > 0 || memcmp(l->sha256, none, sizeof none) == 0);
}

static bool removed_valid(const struct record *r)
{
    uint64_t last = 0;

    for (size_t i = 0; i < r->removed_count; i++) {
        const struct record_removed *x = &r->removed[i];

        if (!link_valid(&x->previous) || x->was.sequence <= last ||
            x->was.sequence >= r->sequence || x->previous.sequence >= x->was.sequence)
            return false;
        last = x->was.sequence;
    }
    return r->removed_count <= RECORD_REMOVED_MAX;
}

static bool body_fits_kind(const struct record *r)
{
    return (r->backup != NULL) == (r->kind == RECORD_BACKUP) &&
           (r->removed_count > 0) == (r->kind == RECORD_PRUNE) &&
           (r->target > 0) == (r->kind == RECORD_TAG) &&
           (r->tags.count > 0) == (r->kind == RECORD_TAG);
}

static bool repo_valid(const char *id)
{
    uint8_t b[(RECORD_REPO_ID_SIZE - 1) / 2];

    return strnlen(id, RECORD_REPO_ID_SIZE) < RECORD_REPO_ID_SIZE &&
           str_unhex(id, b, sizeof b);
}

static enum rc record_check(const struct record *r, struct err *e)
{
    struct {
        bool good;
        const char *field;
    } checks[] = {
        { repo_valid(r->repo), "repo" },
        { record_name_valid(r->cluster), "cluster" },
        { r->sequence >= 1 && r->sequence <= RECORD_SEQUENCE_MAX, "sequence" },
        { link_valid(&r->previous) && r->previous.sequence < r->sequence, "previous" },
        { r->high_water >= 0 && r->high_water < REVISION_LIMIT, "high_water" },
        { r->created >= 0 && r->created < YEAR_10000, "created" },
        { record_name_valid(r->host), "host" },
        { field_plain(r->tool, sizeof r->tool, " ._+~/-"), "tool" },
        { body_fits_kind(r), "kind" },
        { removed_valid(r), "removed" },
        { r->target < r->sequence, "target" },
        { field_tags_valid(&r->tags), "tags" },
        { r->backup == NULL || r->backup->revision <= r->high_water, "high_water" },
    };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!checks[i].good)
            return field_bad(checks[i].field, e);
    return r->backup == NULL ? RC_OK : manifest_check(r->backup, r->cluster, e);
}

/* ---- as bytes -------------------------------------------------------------------------
 */

static struct json *link_json(const struct record_link *l)
{
    struct json *o = json_new_object();

    json_set_u64(o, "sequence", l->sequence);
    field_set_sha256(o, "sha256", l->sha256);
    return o;
}

static struct json *removed_json(const struct record *r)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < r->removed_count; i++) {
        struct json *o = link_json(&r->removed[i].was);

        json_set(o, "previous", link_json(&r->removed[i].previous));
        json_add(a, o);
    }
    return a;
}

static void set_body(struct json *o, const struct record *r)
{
    switch (r->kind) {
    case RECORD_BACKUP:
        json_set(o, "backup", manifest_json(r->backup));
        break;
    case RECORD_PRUNE:
        json_set(o, "removed", removed_json(r));
        break;
    case RECORD_TAG:
        json_set_u64(o, "target", r->target);
        field_set_list(o, "tags", &r->tags);
        break;
    }
}

static struct json *record_json(const struct record *r)
{
    struct json *o = json_new_object();

    json_set_str(o, "type", TYPE);
    json_set_u64(o, "format", RECORD_FORMAT);
    json_set_str(o, "kind", kinds[r->kind]);
    json_set_str(o, "repo", r->repo);
    json_set_str(o, "cluster", r->cluster);
    json_set_u64(o, "sequence", r->sequence);
    json_set(o, "previous", link_json(&r->previous));
    json_set_i64(o, "high_water", r->high_water);
    json_set_i64(o, "created", r->created);
    json_set_str(o, "host", r->host);
    json_set_str(o, "tool", r->tool);
    set_body(o, r);
    return o;
}

enum rc record_encode(const struct record *r, struct buf *out, struct err *e)
{
    OWNED(json) o = NULL;
    AT_END(mem_end) char *text = NULL;

    TRY(record_check(r, e));
    o = record_json(r);
    TRY(json_render(o, false, &text, e));
    if (strlen(text) >= RECORD_MAX)
        return err_set(e, RC_USAGE, "a record of %zu bytes is too large", strlen(text));
    TRY(buf_add(out, text, strlen(text), e));
    return buf_add(out, "\n", 1, e);
}

static enum rc read_link(const struct json *o, struct record_link *out, struct err *e)
{
    TRY(field_u64(o, "sequence", &out->sequence, e));
    return field_sha256(o, "sha256", out->sha256, e);
}

static enum rc read_removed(const struct json *a, struct record *r, struct err *e)
{
    if (json_count(a) > RECORD_REMOVED_MAX)
        return field_missing("removed", e);
    for (size_t i = 0; i < json_count(a); i++) {
        const struct json *o = json_at(a, i);
        struct record_removed x;

        TRY(read_link(o, &x.was, e));
        TRY(read_link(json_get(o, "previous"), &x.previous, e));
        TRY(record_add_removed(r, &x, e));
    }
    return RC_OK;
}

static enum rc read_body(const struct json *o, struct record *r, struct err *e)
{
    switch (r->kind) {
    case RECORD_BACKUP:
        return manifest_read(json_get(o, "backup"), &r->backup, e);
    case RECORD_PRUNE:
        return read_removed(json_get(o, "removed"), r, e);
    case RECORD_TAG:
        TRY(field_u64(o, "target", &r->target, e));
        return field_list(o, "tags", MANIFEST_TAGS_MAX, &r->tags, e);
    }
    return field_missing("kind", e);
}

static enum rc read_kind(const struct json *o, enum record_kind *out, struct err *e)
{
    const char *text = json_get_str(o, "kind");

    for (unsigned i = 0; i < KINDS && text != NULL; i++)
        if (strcmp(text, kinds[i]) == 0) {
            *out = (enum record_kind)i;
            return RC_OK;
        }
    return field_missing("kind", e);
}

static enum rc read_format(const struct json *o, struct err *e)
{
    const char *type = json_get_str(o, "type");
    uint64_t format = 0;

    if (type == NULL || strcmp(type, TYPE) != 0)
        return err_set(e, RC_CORRUPT, "this is no record of a repository");
    TRY(field_u64(o, "format", &format, e));
    if (format > RECORD_FORMAT)
        return err_set(e, RC_REFUSED,
                       "it has format %llu, this program knows %d" HINT
                       "use the program that wrote it, or a newer one",
                       (unsigned long long)format, RECORD_FORMAT);
    return RC_OK;
}

static enum rc read_record(const struct json *o, struct record **out, struct err *e)
{
    OWNED(record) r = NULL;
    enum record_kind kind = RECORD_BACKUP;

    TRY(read_format(o, e));
    TRY(read_kind(o, &kind, e));
    TRY(record_new(kind, &r, e));
    TRY(field_text(o, "repo", r->repo, sizeof r->repo, e));
    TRY(field_text(o, "cluster", r->cluster, sizeof r->cluster, e));
    TRY(field_u64(o, "sequence", &r->sequence, e));
    TRY(read_link(json_get(o, "previous"), &r->previous, e));
    TRY(field_i64(o, "high_water", &r->high_water, e));
    TRY(field_i64(o, "created", &r->created, e));
    TRY(field_text(o, "host", r->host, sizeof r->host, e));
    TRY(field_text(o, "tool", r->tool, sizeof r->tool, e));
    TRY(read_body(o, r, e));
    *out = GIVE(r);
    return RC_OK;
}

static void buf_end(struct buf *b)
{
    buf_clear(b);
}

/* Everything that reading is lax about shows here. */
static enum rc check_canonical(const struct record *r, struct bytes text, struct err *e)
{
    AT_END(buf_end) struct buf again = { .cap_max = (size_t)2 * RECORD_MAX };
    enum rc rc = record_encode(r, &again, e);

    if (rc == RC_USAGE)
        return e->code = RC_CORRUPT;
    TRY(rc);
    if (bytes_equal(text, (struct bytes){ again.p, again.n }))
        return RC_OK;
    return err_set(e, RC_CORRUPT,
                   "it is not spelled as this program spells a record: a field twice or "
                   "an unknown one, another order, blanks, a number of another form");
}

static enum rc decode(struct bytes text, const char *name, struct record **out,
                      struct err *e)
{
    OWNED(json) o = NULL;
    OWNED(record) r = NULL;

    if (text.n > RECORD_MAX)
        return err_set(e, RC_CORRUPT, "%zu bytes are too many for a record", text.n);
    TRY(json_parse(text, name, &o, e));
    TRY(read_record(o, &r, e));
    TRY(check_canonical(r, text, e));
    *out = GIVE(r);
    return RC_OK;
}

enum rc record_decode(struct bytes text, const char *name, struct record **out,
                      struct err *e)
{
    return decode(text, name, out, e) == RC_OK ? RC_OK
                                               : err_wrap(e, "reading '%s'", name);
}

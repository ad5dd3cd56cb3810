#include "recover/statement.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "crypto/sha256.h"
#include "util/mem.h"
#include "util/os.h"

#define FORMAT "holdfast-statement-1"

enum {
    STATEMENT_MAX = 1 << 20,
    COPIES_MAX = 64,
    MEMBERS_MAX = 1024,
    URLS_MAX = 64,
    SAFE_SIZE = 4200
};

/* ---- writing ------------------------------------------------------------------------
 */

/* Names and URLs are whatever somebody wrote there, paths whatever the disk says; JSON
 * is UTF-8. */
static void set_safe(struct json *o, const char *key, const char *value)
{
    char text[SAFE_SIZE];

    str_printable(text, sizeof text, bytes_str(value));
    json_set_str(o, key, text);
}

static void set_id(struct json *o, const char *key, const char *key_hex, uint64_t id)
{
    char hex[17];

    snprintf(hex, sizeof hex, "%" PRIx64, id);
    json_set_u64(o, key, id);
    json_set_str(o, key_hex, hex);
}

static struct json *ids_json(const struct mvcc_ids *l)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < l->count; i++)
        json_add_u64(a, l->items[i]);
    return a;
}

static struct json *conf_json(const struct recover_conf *c)
{
    struct json *o = json_new_object();

    json_set(o, "voters", ids_json(&c->voters));
    json_set(o, "learners", ids_json(&c->learners));
    return o;
}

static struct json *urls_json(const struct str_list *l)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < l->count; i++) {
        char text[SAFE_SIZE];

        str_printable(text, sizeof text, bytes_str(l->items[i]));
        json_add_str(a, text);
    }
    return a;
}

static struct json *members_json(const struct recover_copy *c)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < c->member_count; i++) {
        const struct mvcc_member *m = &c->members[i];
        struct json *o = json_new_object();

        set_id(o, "id", "id_hex", m->id);
        set_safe(o, "name", m->name);
        json_set_bool(o, "learner", m->learner);
        json_set(o, "peer_urls", urls_json(&m->peer_urls));
        json_set(o, "client_urls", urls_json(&m->client_urls));
        json_add(a, o);
    }
    return a;
}

struct json *recover_notes_json(const struct recover_copy *c)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < c->note_count; i++) {
        struct json *o = json_new_object();

        json_set_str(o, "code", c->notes[i].code);
        json_set_str(o, "severity", finding_severity_name(c->notes[i].severity));
        set_safe(o, "message", c->notes[i].message);
        json_add(a, o);
    }
    return a;
}

static void set_end(struct json *o, const struct recover_copy *c)
{
    if (c->term_known)
        json_set_u64(o, "term", c->term);
    else
        json_set_null(o, "term");
    json_set_u64(o, "index", c->index);
    json_set_u64(o, "commit", c->commit);
    json_set_u64(o, "consistent_index", c->applied);
    json_set_i64(o, "revision", c->revision);
    if (c->tail_known)
        json_set_i64(o, "revision_with_tail", c->revision_with_tail);
    else
        json_set_null(o, "revision_with_tail");
}

struct json *recover_copy_json(const struct recover_copy *c)
{
    struct json *o = json_new_object();

    set_safe(o, "path", c->path);
    if (c->wal_dir != NULL)
        set_safe(o, "wal_dir", c->wal_dir);
    json_set_str(o, "kind", recover_kind_name(c->kind));
    set_safe(o, "host", c->host);
    json_set_i64(o, "taken_ms", c->taken_ms);
    json_set_bool(o, "readable", c->readable);
    json_set_bool(o, "ok", c->ok);
    json_set_bool(o, "startable", c->startable);
    json_set_bool(o, "in_use", c->in_use);
    json_set_str(o, "wal", c->verdict);
    set_id(o, "cluster_id", "cluster_id_hex", c->cluster_id);
    set_id(o, "member", "member_hex", c->member_id);
    set_safe(o, "member_name", c->name);
    set_end(o, c);
    json_set_bool(o, "kubernetes", c->kubernetes);
    json_set(o, "configuration", conf_json(&c->latest));
    json_set(o, "decided", conf_json(&c->decided));
    json_set(o, "members", members_json(c));
    json_set(o, "findings", recover_notes_json(c));
    return o;
}

static enum rc digest_of(const struct json *statement,
                         char out[static 2 * SHA256_SIZE + 1], struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) hash = NULL;

    TRY(json_render(statement, false, &text, e));
    TRY(sha256_new(&hash, e));
    TRY(sha256_add(hash, text, strlen(text), e));
    TRY(sha256_end(hash, digest, e));
    str_hex(out, digest, SHA256_SIZE);
    return RC_OK;
}

enum rc recover_statement_render(const struct recover_copies *l, const char *host,
                                 int64_t now_ms, char **out, struct err *e)
{
    OWNED(json) file = json_new_object();
    OWNED(json) statement = json_new_object();
    struct json *copies = json_new_array();
    char digest[2 * SHA256_SIZE + 1];

    set_safe(statement, "host", host);
    json_set_i64(statement, "time_ms", now_ms);
    for (size_t i = 0; i < l->count; i++)
        json_add(copies, recover_copy_json(&l->items[i]));
    json_set(statement, "copies", copies);
    TRY(digest_of(statement, digest, e));
    json_set_str(file, "format", FORMAT);
    json_set_str(file, "sha256", digest);
    json_set(file, "statement", GIVE(statement));
    TRY(json_render(file, true, out, e));
    if (strlen(*out) <= STATEMENT_MAX)
        return RC_OK;
    mem_free(*out);
    *out = NULL;
    return err_set(e, RC_REFUSED,
                   "the statement would pass %d KiB" HINT
                   "export fewer directories at a time",
                   STATEMENT_MAX / 1024);
}

/* ---- reading ------------------------------------------------------------------------
 */

static enum rc wrong(const char *path, const char *field, struct err *e)
{
    return err_set(e, RC_CORRUPT,
                   "the statement '%s' has no usable field '%s'" HINT
                   "write it again: `holdfast assess DIR --export FILE` on its host",
                   path, field);
}

static enum rc set_text(char **at, const struct json *o, const char *key,
                        const char *path, struct err *e)
{
    const char *text = json_get_str(o, key);

    if (text == NULL)
        return wrong(path, key, e);
    mem_free(*at);
    *at = mem_str(text);
    return *at == NULL ? err_set(e, RC_NOMEM, "no memory for a statement") : RC_OK;
}

static enum rc read_ids(const struct json *a, struct mvcc_ids *out, const char *path,
                        struct err *e)
{
    if (json_count(a) > MEMBERS_MAX)
        return wrong(path, "configuration", e);
    for (size_t i = 0; i < json_count(a); i++) {
        uint64_t id;

        if (!json_u64(json_at(a, i), &id))
            return wrong(path, "configuration", e);
        if (!mvcc_ids_has(out, id))
            TRY(mvcc_ids_add(out, id, e));
    }
    return RC_OK;
}

static enum rc read_conf(const struct json *o, const char *key, struct recover_conf *out,
                         const char *path, struct err *e)
{
    const struct json *conf = json_get(o, key);

    TRY(read_ids(json_get(conf, "voters"), &out->voters, path, e));
    return read_ids(json_get(conf, "learners"), &out->learners, path, e);
}

static enum rc read_urls(const struct json *a, struct str_list *out, const char *path,
                         struct err *e)
{
    if (json_count(a) > URLS_MAX)
        return wrong(path, "members", e);
    for (size_t i = 0; i < json_count(a); i++) {
        const char *url = json_str(json_at(a, i));

        if (url == NULL)
            return wrong(path, "members", e);
        TRY(str_list_add(out, url, e));
    }
    return RC_OK;
}

static enum rc read_member(const struct json *o, struct mvcc_member *m, const char *path,
                           struct err *e)
{
    if (!json_get_u64(o, "id", &m->id) || !json_get_bool(o, "learner", &m->learner))
        return wrong(path, "members", e);
    TRY(set_text(&m->name, o, "name", path, e));
    TRY(read_urls(json_get(o, "peer_urls"), &m->peer_urls, path, e));
    return read_urls(json_get(o, "client_urls"), &m->client_urls, path, e);
}

static enum rc read_members(const struct json *o, struct recover_copy *c,
                            const char *path, struct err *e)
{
    const struct json *a = json_get(o, "members");
    size_t count = json_count(a);

    if (a == NULL || count > MEMBERS_MAX)
        return wrong(path, "members", e);
    TRY(mem_new(&c->members, (count + 1) * sizeof *c->members, "members", e));
    for (size_t i = 0; i < count; i++)
        TRY(read_member(json_at(a, i), &c->members[c->member_count++], path, e));
    return RC_OK;
}

static bool severity_of(const char *name, enum finding_severity *out)
{
    for (enum finding_severity s = FINDING_NOTE; s <= FINDING_ERROR; s++)
        if (name != NULL && strcmp(name, finding_severity_name(s)) == 0) {
            *out = s;
            return true;
        }
    return false;
}

static enum rc read_notes(const struct json *o, struct recover_copy *c, const char *path,
                          struct err *e)
{
    const struct json *a = json_get(o, "findings");

    for (size_t i = 0; i < json_count(a); i++) {
        const struct json *n = json_at(a, i);
        const char *code = json_get_str(n, "code"), *text = json_get_str(n, "message");
        enum finding_severity severity;

        if (code == NULL || text == NULL ||
            !severity_of(json_get_str(n, "severity"), &severity))
            return wrong(path, "findings", e);
        TRY(recover_note_add(c, severity, code, e, "%s", text));
    }
    return RC_OK;
}

static enum rc read_flags(const struct json *o, struct recover_copy *c, const char *path,
                          struct err *e)
{
    const struct {
        const char *key;
        bool *at;
    } flags[] = {
        { "readable", &c->readable },     { "ok", &c->ok },
        { "startable", &c->startable },   { "in_use", &c->in_use },
        { "kubernetes", &c->kubernetes },
    };

    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        if (!json_get_bool(o, flags[i].key, flags[i].at))
            return wrong(path, flags[i].key, e);
    return RC_OK;
}

static enum rc read_numbers(const struct json *o, struct recover_copy *c,
                            const char *path, struct err *e)
{
    const struct {
        const char *key;
        uint64_t *at;
    } numbers[] = {
        { "cluster_id", &c->cluster_id },
        { "member", &c->member_id },
        { "index", &c->index },
        { "commit", &c->commit },
        { "consistent_index", &c->applied },
    };

    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (!json_get_u64(o, numbers[i].key, numbers[i].at))
            return wrong(path, numbers[i].key, e);
    if (!json_get_i64(o, "revision", &c->revision) || c->revision < 0)
        return wrong(path, "revision", e);
    if (!json_get_i64(o, "taken_ms", &c->taken_ms))
        return wrong(path, "taken_ms", e);
    c->term_known = json_get_u64(o, "term", &c->term);
    c->tail_known = json_get_i64(o, "revision_with_tail", &c->revision_with_tail);
    return c->tail_known && c->revision_with_tail < 0
               ? wrong(path, "revision_with_tail", e)
               : RC_OK;
}

static enum rc read_copy(struct recover_copies *l, const struct json *o, const char *path,
                         const char *host, struct err *e)
{
    const char *at = json_get_str(o, "path"), *kind = json_get_str(o, "kind");
    const char *wal = json_get_str(o, "wal");
    struct recover_copy *c;

    if (at == NULL || wal == NULL || kind == NULL ||
        strcmp(kind, recover_kind_name(RECOVER_DIRECTORY)) != 0)
        return wrong(path, at == NULL ? "path" : wal == NULL ? "wal" : "kind", e);
    TRY(recover_copies_add(l, RECOVER_DIRECTORY, at, &c, e));
    snprintf(c->verdict, sizeof c->verdict, "%s", wal);
    mem_free(c->host);
    c->host = mem_str(host);
    c->statement = mem_str(path);
    if (c->host == NULL || c->statement == NULL)
        return err_set(e, RC_NOMEM, "no memory for a statement");
    if (json_get(o, "wal_dir") != NULL)
        TRY(set_text(&c->wal_dir, o, "wal_dir", path, e));
    TRY(set_text(&c->name, o, "member_name", path, e));
    TRY(read_flags(o, c, path, e));
    TRY(read_numbers(o, c, path, e));
    TRY(read_conf(o, "configuration", &c->latest, path, e));
    TRY(read_conf(o, "decided", &c->decided, path, e));
    TRY(read_members(o, c, path, e));
    return read_notes(o, c, path, e);
}

static enum rc check(const struct json *file, const char *path, struct err *e)
{
    const char *format = json_get_str(file, "format");
    const char *said = json_get_str(file, "sha256");
    char digest[2 * SHA256_SIZE + 1];

    if (format == NULL || strcmp(format, FORMAT) != 0)
        return err_set(e, RC_USAGE, "'%s' is not a statement of `holdfast assess`", path);
    if (said == NULL || !json_is_object(json_get(file, "statement")))
        return wrong(path, said == NULL ? "sha256" : "statement", e);
    TRY(digest_of(json_get(file, "statement"), digest, e));
    if (strcmp(said, digest) != 0)
        return err_set(e, RC_CORRUPT,
                       "the statement '%s' was changed after it was written: its SHA-256 "
                       "is %s, and it says %s" HINT
                       "write it again: `holdfast assess DIR --export FILE` on its host",
                       path, digest, said);
    return RC_OK;
}

enum rc recover_statement_read(struct recover_copies *l, const char *path, struct err *e)
{
    AT_END(mem_end) uint8_t *text = NULL;
    const struct json *statement, *copies;
    OWNED(json) file = NULL;
    struct err why = { 0 };
    const char *host;
    enum rc rc;
    size_t n;

    TRY(os_read_file(path, STATEMENT_MAX, &text, &n, e));
    rc = json_parse((struct bytes){ text, n }, path, &file, &why);
    if (rc == RC_CORRUPT)
        return err_set(e, RC_USAGE,
                       "'%s' is neither a directory nor a statement of `holdfast assess`"
                       " (%s)" HINT "a snapshot is named by --backup",
                       path, why.why);
    if (rc != RC_OK) {
        *e = why;
        return rc;
    }
    TRY(check(file, path, e));
    statement = json_get(file, "statement");
    copies = json_get(statement, "copies");
    host = json_get_str(statement, "host");
    if (host == NULL || json_count(copies) > COPIES_MAX)
        return wrong(path, host == NULL ? "host" : "copies", e);
    for (size_t i = 0; i < json_count(copies); i++)
        TRY(read_copy(l, json_at(copies, i), path, host, e));
    return RC_OK;
}

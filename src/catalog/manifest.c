#include "catalog/manifest.h"

#include <string.h>

#include "catalog/inside.h"
#include "util/mem.h"

#define SIZE_LIMIT (UINT64_C(1) << 50)
#define REVISION_LIMIT (INT64_C(1) << 62)

static const char *const contents[] = { "snapshot", "bundle" };
static const char *const words[] = { "agrees", "differs", "unknown" };

enum rc manifest_new(struct manifest **out, struct err *e)
{
    struct manifest *m = NULL;

    TRY(mem_new(&m, sizeof *m, "a manifest", e));
    m->compact_revision = -1;
    *out = m;
    return RC_OK;
}

void manifest_free(struct manifest *m)
{
    if (m == NULL)
        return;
    mem_free(m->object_key);
    mem_free(m->proved_why);
    mem_free(m->degraded);
    mem_free(m->votes);
    str_list_clear(&m->recipients);
    str_list_clear(&m->tags);
    mem_free(m);
}

enum rc manifest_add_vote(struct manifest *m, struct manifest_vote vote, struct err *e)
{
    struct manifest_vote *more;

    if (m->vote_count == MANIFEST_VOTES_MAX)
        return field_bad("votes", e);
    more = mem_resize(m->votes, m->vote_count + 1, sizeof *more);
    if (more == NULL)
        return err_set(e, RC_NOMEM, "no memory for a vote");
    m->votes = more;
    m->votes[m->vote_count++] = vote;
    return RC_OK;
}

enum rc manifest_add_tag(struct str_list *tags, const char *tag, struct err *e)
{
    char held[MANIFEST_TAG_SIZE];

    if (!field_plain(tag, MANIFEST_TAG_SIZE, "._:=/+@-")) {
        str_printable(held, sizeof held, bytes_str(tag));
        return err_set(e, RC_USAGE,
                       "'%s' is no tag: 1 to %d letters, digits and any of ._:=/+@-",
                       held, MANIFEST_TAG_SIZE - 1);
    }
    if (str_list_has(tags, tag))
        return RC_OK;
    if (tags->count == MANIFEST_TAGS_MAX)
        return err_set(e, RC_USAGE, "more than %d tags", MANIFEST_TAGS_MAX);
    return str_list_add(tags, tag, e);
}

enum rc manifest_sentence(char **field, const char *text, struct err *e)
{
    char held[MANIFEST_WHY_MAX + 1];

    mem_free(GIVE(*field));
    if (text == NULL || text[0] == '\0')
        return RC_OK;
    str_printable(held, sizeof held, bytes_str(text));
    *field = mem_str(held);
    return *field != NULL ? RC_OK : err_set(e, RC_NOMEM, "no memory for a sentence");
}

enum rc manifest_fingerprint(const char *recipient,
                             char out[static MANIFEST_FINGERPRINT_DIGITS + 1],
                             struct err *e)
{
    OWNED(sha256) h = NULL;
    uint8_t digest[SHA256_SIZE];

    TRY(sha256_new(&h, e));
    TRY(sha256_add(h, recipient, strlen(recipient), e));
    TRY(sha256_end(h, digest, e));
    str_hex(out, digest, MANIFEST_FINGERPRINT_DIGITS / 2);
    return RC_OK;
}

/* ---- bounds ---------------------------------------------------------------------------
 */

/* What str_printable() made stays the same when it is made so again. */
static bool sentence_valid(const char *text)
{
    char again[MANIFEST_WHY_MAX + 16]; /* room enough that nothing is cut */

    if (text == NULL)
        return true;
    if (text[0] == '\0' || strlen(text) > MANIFEST_WHY_MAX)
        return false;
    str_printable(again, sizeof again, bytes_str(text));
    return strcmp(text, again) == 0;
}

static bool fingerprints_valid(const struct str_list *l)
{
    uint8_t b[MANIFEST_FINGERPRINT_DIGITS / 2];

    for (size_t i = 0; i < l->count; i++)
        if (!str_unhex(l->items[i], b, sizeof b))
            return false;
    return l->count <= MANIFEST_RECIPIENTS_MAX;
}

static bool version_valid(const char *text)
{
    return text[0] == '\0' || field_plain(text, MANIFEST_VERSION_SIZE, ".+~-");
}

static bool votes_valid(const struct manifest *m)
{
    for (size_t i = 0; i < m->vote_count; i++)
        if (m->votes[i].word > MANIFEST_UNKNOWN)
            return false;
    return m->vote_count <= MANIFEST_VOTES_MAX;
}

static bool revisions_valid(const struct manifest *m)
{
    return m->revision >= 1 && m->revision < REVISION_LIMIT &&
           m->compact_revision >= -1 && m->compact_revision <= m->revision;
}

static bool sizes_valid(const struct manifest *m)
{
    return m->db_size > 0 && m->db_size < SIZE_LIMIT && m->object_size > 0 &&
           m->object_size < SIZE_LIMIT && m->live_keys < SIZE_LIMIT;
}

enum rc manifest_check(const struct manifest *m, const char *cluster, struct err *e)
{
    struct {
        bool good;
        const char *field;
    } checks[] = {
        { m->content <= MANIFEST_BUNDLE, "content" },
        { m->object_key != NULL && record_object_key_valid(cluster, m->object_key),
          "object.key" },
        { sizes_valid(m), "size" },
        { fingerprints_valid(&m->recipients), "recipients" },
        { version_valid(m->etcd_version), "etcd.version" },
        { version_valid(m->storage_version), "etcd.storage_version" },
        { revisions_valid(m), "revision" },
        { m->hashkv_known || m->hashkv == 0, "hashkv" },
        { sentence_valid(m->proved_why), "proved_why" },
        { sentence_valid(m->degraded), "degraded" },
        { votes_valid(m), "votes" },
        { field_tags_valid(&m->tags), "tags" },
    };

    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++)
        if (!checks[i].good)
            return field_bad(checks[i].field, e);
    return RC_OK;
}

/* ---- as JSON --------------------------------------------------------------------------
 */

static struct json *object_json(const struct manifest *m)
{
    struct json *o = json_new_object();

    json_set_str(o, "key", m->object_key);
    json_set_u64(o, "size", m->object_size);
    field_set_sha256(o, "sha256", m->object_sha256);
    return o;
}

static struct json *database_json(const struct manifest *m)
{
    struct json *o = json_new_object();

    json_set_u64(o, "size", m->db_size);
    field_set_sha256(o, "sha256", m->db_sha256);
    json_set_i64(o, "revision", m->revision);
    json_set_i64(o, "compact_revision", m->compact_revision);
    if (m->hashkv_known)
        json_set_u64(o, "hashkv", m->hashkv);
    else
        json_set_null(o, "hashkv");
    json_set_u64(o, "live_keys", m->live_keys);
    json_set_bool(o, "kubernetes", m->kubernetes);
    return o;
}

static struct json *etcd_json(const struct manifest *m)
{
    struct json *o = json_new_object();

    field_set_id(o, "cluster_id", m->etcd_cluster_id);
    field_set_id(o, "member_id", m->member_id);
    json_set_str(o, "version", m->etcd_version);
    json_set_str(o, "storage_version", m->storage_version);
    json_set_str(o, "degraded", m->degraded);
    json_set_bool(o, "alarm_nospace", m->alarm_nospace);
    json_set_bool(o, "alarm_corrupt", m->alarm_corrupt);
    if (m->auth_revision != 0)
        json_set_u64(o, "auth_revision", m->auth_revision);
    return o;
}

static struct json *votes_json(const struct manifest *m)
{
    struct json *a = json_new_array();

    for (size_t i = 0; i < m->vote_count; i++) {
        struct json *o = json_new_object();

        field_set_id(o, "member_id", m->votes[i].member_id);
        json_set_str(o, "word", words[m->votes[i].word]);
        json_add(a, o);
    }
    return a;
}

struct json *manifest_json(const struct manifest *m)
{
    struct json *o = json_new_object();

    json_set_str(o, "content", contents[m->content]);
    json_set(o, "object", object_json(m));
    field_set_list(o, "recipients", &m->recipients);
    json_set(o, "database", database_json(m));
    json_set(o, "etcd", etcd_json(m));
    json_set_bool(o, "proved", m->proved);
    json_set_str(o, "proved_why", m->proved_why);
    json_set(o, "votes", votes_json(m));
    field_set_list(o, "tags", &m->tags);
    return o;
}

/* The index of a text in a table of n; n when it is not there. */
static unsigned lookup(const char *const *table, unsigned n, const char *text)
{
    unsigned i = 0;

    while (i < n && (text == NULL || strcmp(table[i], text) != 0))
        i++;
    return i;
}

static enum rc read_object(const struct json *o, struct manifest *m, struct err *e)
{
    TRY(field_heap(o, "key", &m->object_key, e));
    TRY(field_u64(o, "size", &m->object_size, e));
    return field_sha256(o, "sha256", m->object_sha256, e);
}

static enum rc read_hashkv(const struct json *o, struct manifest *m, struct err *e)
{
    uint64_t hash = 0;

    m->hashkv_known = json_get_u64(o, "hashkv", &hash);
    if (hash > UINT32_MAX)
        return field_missing("hashkv", e);
    m->hashkv = (uint32_t)hash;
    return RC_OK;
}

static enum rc read_database(const struct json *o, struct manifest *m, struct err *e)
{
    TRY(field_u64(o, "size", &m->db_size, e));
    TRY(field_sha256(o, "sha256", m->db_sha256, e));
    TRY(field_i64(o, "revision", &m->revision, e));
    TRY(field_i64(o, "compact_revision", &m->compact_revision, e));
    TRY(read_hashkv(o, m, e));
    TRY(field_u64(o, "live_keys", &m->live_keys, e));
    return field_bool(o, "kubernetes", &m->kubernetes, e);
}

static enum rc read_etcd(const struct json *o, struct manifest *m, struct err *e)
{
    TRY(field_id(o, "cluster_id", &m->etcd_cluster_id, e));
    TRY(field_id(o, "member_id", &m->member_id, e));
    TRY(field_text(o, "version", m->etcd_version, sizeof m->etcd_version, e));
    TRY(field_text(o, "storage_version", m->storage_version, sizeof m->storage_version,
                   e));
    TRY(field_heap(o, "degraded", &m->degraded, e));
    TRY(field_bool(o, "alarm_nospace", &m->alarm_nospace, e));
    (void)json_get_u64(o, "auth_revision", &m->auth_revision);
    return field_bool(o, "alarm_corrupt", &m->alarm_corrupt, e);
}

static enum rc read_votes(const struct json *a, struct manifest *m, struct err *e)
{
    for (size_t i = 0; i < json_count(a); i++) {
        const struct json *o = json_at(a, i);
        unsigned word = lookup(words, 3, json_get_str(o, "word"));
        struct manifest_vote vote = { .word = (enum manifest_word)word };

        if (word == 3)
            return field_missing("word", e);
        TRY(field_id(o, "member_id", &vote.member_id, e));
        TRY(manifest_add_vote(m, vote, e));
    }
    return RC_OK;
}

enum rc manifest_read(const struct json *o, struct manifest **out, struct err *e)
{
    OWNED(manifest) m = NULL;
    unsigned content = lookup(contents, 2, json_get_str(o, "content"));

    if (content == 2)
        return field_missing("content", e);
    TRY(manifest_new(&m, e));
    m->content = (enum manifest_content)content;
    TRY(read_object(json_get(o, "object"), m, e));
    TRY(field_list(o, "recipients", MANIFEST_RECIPIENTS_MAX, &m->recipients, e));
    TRY(read_database(json_get(o, "database"), m, e));
    TRY(read_etcd(json_get(o, "etcd"), m, e));
    TRY(field_bool(o, "proved", &m->proved, e));
    TRY(field_heap(o, "proved_why", &m->proved_why, e));
    TRY(read_votes(json_get(o, "votes"), m, e));
    TRY(field_list(o, "tags", MANIFEST_TAGS_MAX, &m->tags, e));
    *out = GIVE(m);
    return RC_OK;
}

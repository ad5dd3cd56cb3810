#include "mvcc/member.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "mvcc/schema.h"
#include "util/json.h"
#include "util/mem.h"

/* What is being built ends with its scope unless it is handed over. */
static void member_end(struct mvcc_member *m)
{
    mvcc_member_clear(m);
}

static void conf_state_end(struct mvcc_conf_state *c)
{
    mvcc_conf_state_clear(c);
}

enum { JSON_BYTES_MAX = 256 << 10 }; /* a member has a few hundred */

/* ---- reading ---------------------------------------------------------------------- */

static enum rc object_parse(struct bytes value, const char *name, struct json **out,
                            struct err *e)
{
    OWNED(json) j = NULL;

    if (value.n > JSON_BYTES_MAX)
        return err_set(e, RC_CORRUPT, "%s: %zu bytes of JSON are too many", name,
                       value.n);
    TRY(json_parse(value, name, &j, e));
    if (!json_is_object(j))
        return err_set(e, RC_CORRUPT, "%s: not a JSON object", name);
    *out = GIVE(j);
    return RC_OK;
}

/* Go leaves empty fields out, so an absent one (or null) is its zero value. One of
 * another type is refused, as Go does. */
static enum rc wrong_type(const char *field, struct err *e)
{
    return err_set(e, RC_CORRUPT, "the field '%s' has the wrong type", field);
}

/* json.h cannot tell an empty array from anything else that is not one; neither
 * holds an element, and only etcd's own readers would notice. */
static enum rc strings_read(const struct json *o, const char *field, struct str_list *out,
                            struct err *e)
{
    const struct json *a = json_get(o, field);

    if (json_str(a) != NULL || json_is_object(a))
        return wrong_type(field, e);
    for (size_t i = 0; i < json_count(a); i++) {
        const char *s = json_str(json_at(a, i));

        if (s == NULL)
            return wrong_type(field, e);
        TRY(str_list_add(out, s, e));
    }
    return RC_OK;
}

static enum rc ids_read(const struct json *o, const char *field, struct mvcc_ids *out,
                        struct err *e)
{
    const struct json *a = json_get(o, field);

    if (json_str(a) != NULL || json_is_object(a))
        return wrong_type(field, e);
    for (size_t i = 0; i < json_count(a); i++) {
        uint64_t id;

        if (!json_u64(json_at(a, i), &id))
            return wrong_type(field, e);
        TRY(mvcc_ids_add(out, id, e));
    }
    return RC_OK;
}

static enum rc bool_read(const struct json *o, const char *field, bool *out,
                         struct err *e)
{
    if (json_get(o, field) == NULL)
        return RC_OK;
    return json_get_bool(o, field, out) ? RC_OK : wrong_type(field, e);
}

static enum rc string_read(const struct json *o, const char *field, char **out,
                           struct err *e)
{
    const char *s = json_get_str(o, field);
    char *copy;

    if (s == NULL)
        return json_get(o, field) == NULL ? RC_OK : wrong_type(field, e);
    copy = mem_str(s);
    if (copy == NULL)
        return err_set(e, RC_NOMEM, "no memory for '%s'", field);
    *out = copy;
    return RC_OK;
}

/* membership.Member of etcd: the id as a JSON number of full 64 bits, and two embedded
 * structs whose fields lie beside it. Fields it does not know it skips, like Go. */
enum rc mvcc_member_read(struct bytes key, struct bytes value, struct mvcc_member *out,
                         struct err *e)
{
    AT_END(member_end) struct mvcc_member m = { 0 };
    OWNED(json) j = NULL;
    uint64_t id;

    TRY(mvcc_member_key_read(key, &id, e));
    TRY(object_parse(value, "member", &j, e));
    if (!json_get_u64(j, "id", &m.id))
        return err_set(e, RC_CORRUPT, "member %" PRIx64 " has no id in its JSON", id);
    if (m.id != id)
        return err_set(e, RC_CORRUPT, "member key %" PRIx64 " holds the member %" PRIx64,
                       id, m.id);
    TRY(strings_read(j, "peerURLs", &m.peer_urls, e));
    TRY(strings_read(j, "clientURLs", &m.client_urls, e));
    TRY(bool_read(j, "isLearner", &m.learner, e));
    TRY(string_read(j, "name", &m.name, e));
    *out = m;
    m = (struct mvcc_member){ 0 };
    return RC_OK;
}

void mvcc_member_clear(struct mvcc_member *m)
{
    mem_free(m->name);
    str_list_clear(&m->peer_urls);
    str_list_clear(&m->client_urls);
    *m = (struct mvcc_member){ 0 };
}

enum rc mvcc_conf_state_read(struct bytes value, struct mvcc_conf_state *out,
                             struct err *e)
{
    AT_END(conf_state_end) struct mvcc_conf_state c = { 0 };
    OWNED(json) j = NULL;

    TRY(object_parse(value, MVCC_CONF_STATE, &j, e));
    TRY(ids_read(j, "voters", &c.voters, e));
    TRY(ids_read(j, "learners", &c.learners, e));
    TRY(ids_read(j, "voters_outgoing", &c.voters_outgoing, e));
    TRY(ids_read(j, "learners_next", &c.learners_next, e));
    TRY(bool_read(j, "auto_leave", &c.auto_leave, e));
    *out = c;
    c = (struct mvcc_conf_state){ 0 };
    return RC_OK;
}

void mvcc_conf_state_clear(struct mvcc_conf_state *c)
{
    mvcc_ids_clear(&c->voters);
    mvcc_ids_clear(&c->learners);
    mvcc_ids_clear(&c->voters_outgoing);
    mvcc_ids_clear(&c->learners_next);
}

enum rc mvcc_downgrade_read(struct bytes value, struct mvcc_downgrade *out, struct err *e)
{
    struct mvcc_downgrade d = { 0 };
    OWNED(json) j = NULL;

    TRY(object_parse(value, MVCC_DOWNGRADE, &j, e));
    TRY(bool_read(j, "enabled", &d.enabled, e));
    TRY(string_read(j, "target-version", &d.target, e));
    *out = d;
    return RC_OK;
}

void mvcc_downgrade_clear(struct mvcc_downgrade *d)
{
    mem_free(d->target);
    *d = (struct mvcc_downgrade){ 0 };
}

enum rc mvcc_ids_add(struct mvcc_ids *l, uint64_t id, struct err *e)
{
    uint64_t *items = mem_resize(l->items, l->count + 1, sizeof *items);

    if (items == NULL)
        return err_set(e, RC_NOMEM, "no memory for a list of members");
    items[l->count++] = id;
    l->items = items;
    return RC_OK;
}

bool mvcc_ids_has(const struct mvcc_ids *l, uint64_t id)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i] == id)
            return true;
    return false;
}

void mvcc_ids_clear(struct mvcc_ids *l)
{
    mem_free(l->items);
    *l = (struct mvcc_ids){ 0 };
}

/* ---- writing ---------------------------------------------------------------------- */

static enum rc put(struct buf *out, const char *text, struct err *e)
{
    return buf_add(out, text, strlen(text), e);
}

static enum rc u64_put(struct buf *out, uint64_t v, struct err *e)
{
    char text[24];

    snprintf(text, sizeof text, "%" PRIu64, v);
    return put(out, text, e);
}

/* Bytes of the valid UTF-8 sequence at p, or 0. Neither overlong forms nor surrogates
 * nor code points past U+10FFFF are valid. */
static size_t utf8_length(const uint8_t *p, size_t n)
{
    /* clang-format off */
    static const struct { uint8_t first, last, size, low, high; } forms[] = {
        { 0x00, 0x7f, 1, 0x80, 0xbf }, { 0xc2, 0xdf, 2, 0x80, 0xbf },
        { 0xe0, 0xe0, 3, 0xa0, 0xbf }, { 0xe1, 0xec, 3, 0x80, 0xbf },
        { 0xed, 0xed, 3, 0x80, 0x9f }, { 0xee, 0xef, 3, 0x80, 0xbf },
        { 0xf0, 0xf0, 4, 0x90, 0xbf }, { 0xf1, 0xf3, 4, 0x80, 0xbf },
        { 0xf4, 0xf4, 4, 0x80, 0x8f },
    };
    /* clang-format on */

    for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
        if (p[0] < forms[f].first || p[0] > forms[f].last)
            continue;
        if (n < forms[f].size)
            return 0;
        for (size_t i = 1; i < forms[f].size; i++)
            if (p[i] < (i == 1 ? forms[f].low : 0x80) ||
                p[i] > (i == 1 ? forms[f].high : 0xbf))
                return 0;
        return forms[f].size;
    }
    return 0;
}

/* Go escapes what HTML could misread as well, and two line separators that JavaScript
 * could; what is not UTF-8 becomes the replacement character. \b and \f have short
 * forms only since Go 1.22, which built no etcd before 3.6; no name or URL has them. */
static enum rc character_put(struct buf *out, const uint8_t *p, size_t size,
                             struct err *e)
{
    static const char named[] = "\n\r\t\"\\", names[] = "nrt\"\\";
    char text[8];

    if (size == 0)
        return put(out, "\\ufffd", e);
    if (size == 1 && *p != 0 && strchr(named, *p) != NULL) {
        snprintf(text, sizeof text, "\\%c", names[strchr(named, *p) - named]);
        return put(out, text, e);
    }
    if (size == 1 && (*p < 0x20 || *p == '<' || *p == '>' || *p == '&')) {
        snprintf(text, sizeof text, "\\u%04x", *p);
        return put(out, text, e);
    }
    if (size == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] & 0xfe) == 0xa8)
        return put(out, p[2] == 0xa8 ? "\\u2028" : "\\u2029", e);
    return buf_add(out, p, size, e);
}

static enum rc string_put(struct buf *out, const char *s, struct err *e)
{
    const uint8_t *p = (const uint8_t *)s;

    TRY(put(out, "\"", e));
    for (size_t left = strlen(s); left > 0;) {
        size_t size = utf8_length(p, left), step = size == 0 ? 1 : size;

        TRY(character_put(out, p, size, e));
        p += step;
        left -= step;
    }
    return put(out, "\"", e);
}

/* A nil list would be null in Go; etcd writes no member without a peer URL. */
static enum rc strings_put(struct buf *out, const struct str_list *l, struct err *e)
{
    TRY(put(out, "[", e));
    for (size_t i = 0; i < l->count; i++) {
        TRY(put(out, i == 0 ? "" : ",", e));
        TRY(string_put(out, l->items[i], e));
    }
    return put(out, "]", e);
}

/* Field order and omissions: etcd's server/etcdserver/api/membership Member, whose
 * peerURLs alone has no omitempty. */
enum rc mvcc_member_write(const struct mvcc_member *m, struct buf *out, struct err *e)
{
    TRY(put(out, "{\"id\":", e));
    TRY(u64_put(out, m->id, e));
    TRY(put(out, ",\"peerURLs\":", e));
    TRY(strings_put(out, &m->peer_urls, e));
    if (m->learner)
        TRY(put(out, ",\"isLearner\":true", e));
    if (m->name != NULL && m->name[0] != '\0') {
        TRY(put(out, ",\"name\":", e));
        TRY(string_put(out, m->name, e));
    }
    if (m->client_urls.count > 0) {
        TRY(put(out, ",\"clientURLs\":", e));
        TRY(strings_put(out, &m->client_urls, e));
    }
    return put(out, "}", e);
}

/* `,` behind every list, as auto_leave always follows. */
static enum rc ids_put(struct buf *out, const char *field, const struct mvcc_ids *l,
                       struct err *e)
{
    if (l->count == 0)
        return RC_OK;
    TRY(string_put(out, field, e));
    for (size_t i = 0; i < l->count; i++) {
        TRY(put(out, i == 0 ? ":[" : ",", e));
        TRY(u64_put(out, l->items[i], e));
    }
    return put(out, "],", e);
}

/* raftpb.ConfState: auto_leave alone has no omitempty. */
enum rc mvcc_conf_state_write(const struct mvcc_conf_state *c, struct buf *out,
                              struct err *e)
{
    TRY(put(out, "{", e));
    TRY(ids_put(out, "voters", &c->voters, e));
    TRY(ids_put(out, "learners", &c->learners, e));
    TRY(ids_put(out, "voters_outgoing", &c->voters_outgoing, e));
    TRY(ids_put(out, "learners_next", &c->learners_next, e));
    TRY(put(out, c->auto_leave ? "\"auto_leave\":true}" : "\"auto_leave\":false}", e));
    return RC_OK;
}

#include "machine/kvstore.h"

#include "codec/pb.h"
#include "machine/kvstore_state.h"
#include "util/mem.h"

/* ---- life and facts --------------------------------------------------------------- */

enum rc kvstore_new(const struct kvstore_options *options, struct kvstore **out,
                    struct err *e)
{
    struct kvstore *s;

    TRY(mem_new(&s, sizeof *s, "a key space", e));
    s->options = *options;
    s->revision = 1;
    s->compacted = MVCC_NEVER_COMPACTED;
    *out = s;
    return RC_OK;
}

void kvstore_free(struct kvstore *s)
{
    if (s == NULL)
        return;
    kvload_clear(&s->load);
    kvkeys_clear(&s->keys);
    kvrecords_clear(&s->records);
    mem_free(s);
}

int64_t kvstore_revision(const struct kvstore *s)
{
    return s->revision;
}

int64_t kvstore_compacted(const struct kvstore *s)
{
    return s->compacted;
}

uint64_t kvstore_bytes(const struct kvstore *s)
{
    return s->bytes;
}

uint64_t kvstore_records(const struct kvstore *s)
{
    return s->records.count;
}

bool kvstore_changed(const struct kvstore *s)
{
    return s->changes > 0;
}

void kvstore_begin(struct kvstore *s)
{
    s->changes = 0;
}

int64_t kvstore_end(struct kvstore *s)
{
    s->revision = kvstore_newest(s);
    s->changes = 0;
    return s->revision;
}

/* ---- shared with the other files -------------------------------------------------- */

enum rc kvstore_append(struct kvstore *s, struct kvkey *k, const struct kvstore_pair *p,
                       struct err *e)
{
    uint32_t place = s->records.first + s->records.count;
    struct kvrecord *r;

    TRY(kvrecords_reserve(&s->records, e));
    if (k != NULL) {
        TRY(kvkey_reserve(k, e));
        kvkey_append(k, place);
        k->alive = !p->tombstone;
    }
    r = kvrecords_at(&s->records, place);
    *r = (struct kvrecord){
        .main = (uint64_t)p->main & INT64_MAX,
        .owned = p->owned,
        .stored = p->stored.p,
        .key = k,
        .sub = p->sub,
        .size = (uint32_t)p->stored.n & INT32_MAX,
        .tombstone = p->tombstone,
    };
    s->records.count++;
    s->bytes += kvrecord_bytes(r);
    return RC_OK;
}

struct bytes kvrecord_rev(const struct kvrecord *r, struct kvrev *room)
{
    mvcc_rev_write(room->bytes, (int64_t)r->main, r->sub);
    room->bytes[MVCC_REV_SIZE] = 't';
    return (struct bytes){ room->bytes,
                           r->tombstone ? MVCC_TOMBSTONE_SIZE : MVCC_REV_SIZE };
}

void kvstore_set_lease(struct kvstore *s, struct kvkey *k, int64_t lease)
{
    int64_t before = k->lease;

    k->lease = lease;
    if (lease != before && s->options.lease != NULL)
        s->options.lease(s->options.lease_arg, kvkey_bytes(k), before, lease);
}

/* ---- writing ---------------------------------------------------------------------- */

static size_t varint_size(uint64_t v)
{
    size_t n = 1;

    for (; v >= 0x80; v >>= 7)
        n++;
    return n;
}

static uint8_t *varint_write(uint8_t *p, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        *p++ = (uint8_t)(v | 0x80);
    *p++ = (uint8_t)v;
    return p;
}

static size_t number_size(int64_t v)
{
    return v == 0 ? 0 : 1 + varint_size((uint64_t)v);
}

static uint8_t *number_write(uint8_t *p, uint8_t field, int64_t v)
{
    if (v == 0)
        return p;
    *p++ = (uint8_t)PB_TAG(field, PB_VARINT);
    return varint_write(p, (uint64_t)v);
}

static size_t text_size(struct bytes b)
{
    return b.n == 0 ? 0 : 1 + varint_size(b.n) + b.n;
}

static uint8_t *text_write(uint8_t *p, uint8_t field, struct bytes b)
{
    if (b.n == 0)
        return p;
    *p++ = (uint8_t)PB_TAG(field, PB_BYTES);
    p = varint_write(p, b.n);
    memcpy(p, b.p, b.n);
    return p + b.n;
}

/* As etcd's generated code writes it: ascending fields, and none that is zero or empty.
 * The exact size at once, for there are millions. */
static enum rc encode(const struct mvcc_kv *kv, struct bytes *out, struct err *e)
{
    size_t n = text_size(kv->key) + number_size(kv->create) + number_size(kv->mod) +
               number_size(kv->version) + text_size(kv->value) + number_size(kv->lease);
    uint8_t *p, *at;

    if (n > INT32_MAX)
        return err_set(e, RC_NOMEM, "no memory for a record of %zu bytes", n);
    p = at = mem_resize(NULL, n, 1);
    if (p == NULL)
        return err_set(e, RC_NOMEM, "no memory for a record of %zu bytes", n);
    at = text_write(at, 1, kv->key);
    at = number_write(at, 2, kv->create);
    at = number_write(at, 3, kv->mod);
    at = number_write(at, 4, kv->version);
    at = text_write(at, 5, kv->value);
    number_write(at, 6, kv->lease);
    *out = (struct bytes){ p, n };
    return RC_OK;
}

/* The next change of this write. */
static enum rc change(struct kvstore *s, struct kvkey *k, const struct mvcc_kv *kv,
                      bool tombstone, struct err *e)
{
    struct kvstore_pair p = {
        .main = s->revision + 1, .sub = s->changes, .tombstone = tombstone, .owned = true
    };
    enum rc rc;

    if (s->changes == UINT32_MAX || s->revision >= KVSTORE_REVISION_MAX)
        return err_set(e, RC_NOMEM, "no revision is left");
    TRY(encode(kv, &p.stored, e));
    rc = kvstore_append(s, k, &p, e);
    if (rc != RC_OK) {
        mem_free((void *)(uintptr_t)p.stored.p);
        return rc;
    }
    s->changes++;
    return RC_OK;
}

static enum rc put_in(struct kvstore *s, struct kvkey *k, struct bytes value,
                      int64_t lease, struct err *e)
{
    struct mvcc_kv kv = {
        .key = kvkey_bytes(k),
        .value = value,
        .create = k->alive ? k->create : s->revision + 1,
        .mod = s->revision + 1,
        .version = k->alive ? (int64_t)((uint64_t)k->version + 1) : 1,
        .lease = lease,
    };

    TRY(change(s, k, &kv, false, e));
    k->create = kv.create;
    k->version = kv.version;
    kvstore_set_lease(s, k, lease);
    return RC_OK;
}

enum rc kvstore_put(struct kvstore *s, struct bytes key, struct bytes value,
                    int64_t lease, struct err *e)
{
    OWNED(kvkey) fresh = NULL;
    struct kvkey *k;
    struct kvkeys_at at;

    if (kvkeys_find(&s->keys, key, &at))
        return put_in(s, kvkeys_item(&s->keys, at), value, lease, e);
    TRY(kvkey_new(key, &fresh, e));
    TRY(kvkeys_insert(&s->keys, at, fresh, e));
    k = GIVE(fresh);
    return put_in(s, k, value, lease, e);
}

static enum rc delete_key(struct kvstore *s, struct kvkey *k, uint64_t *deleted,
                          struct err *e)
{
    struct mvcc_kv kv = { .key = kvkey_bytes(k) };

    if (!k->alive)
        return RC_OK;
    TRY(change(s, k, &kv, true, e));
    kvstore_set_lease(s, k, 0);
    ++*deleted;
    return RC_OK;
}

enum rc kvstore_delete(struct kvstore *s, struct kvstore_span span, uint64_t *deleted,
                       struct err *e)
{
    struct kvkeys_at at;
    struct kvkey *k;

    *deleted = 0;
    kvkeys_find(&s->keys, span.key, &at);
    for (; (k = kvkeys_item(&s->keys, at)) != NULL; kvkeys_next(&s->keys, &at)) {
        if (!kvstore_span_has(span, kvkey_bytes(k)))
            return RC_OK;
        TRY(delete_key(s, k, deleted, e));
    }
    return RC_OK;
}

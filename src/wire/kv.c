#include "wire/kv.h"

#include "util/mem.h"
#include "wire/call.h"

static const char GRANTED[] = "a role that grants these keys";

enum {
    PAGE_FIRST = 128,
    PAGE_MAX = 8192,
    PAGE_BYTES = 1 << 20, /* below it the next page gets longer */
    PHYSICAL_TIMEOUT_MS = 600000,
};

static enum rc fill_kvs(struct wire_kvs *k, Etcdrpc__RangeResponse *r, struct err *e)
{
    TRY(mem_new(&k->items, r->n_kvs * sizeof *k->items, "keys", e));
    for (size_t i = 0; i < r->n_kvs; i++) {
        const Kvpb__KeyValue *kv = r->kvs[i];

        k->items[i] = (struct wire_kv){
            codec_bytes(&kv->key), codec_bytes(&kv->value),
            kv->create_revision,   kv->mod_revision,
            kv->version,           kv->lease,
        };
    }
    k->count = r->n_kvs;
    k->total = r->count;
    k->more = r->more;
    return RC_OK;
}

enum rc wire_range_get(struct wire_client *c, const struct wire_range *q,
                       struct wire_kvs *out, struct err *e)
{
    Etcdrpc__RangeRequest request = ETCDRPC__RANGE_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__RangeResponse *r = NULL;
    struct wire_kvs k = { 0 };
    struct wire_call call = {
        .method = "KV/Range",
        .request = &request,
        .reply = &etcdrpc__range_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = GRANTED,
        .lone = q->serializable,
    };

    request.key = codec_field(q->key);
    request.range_end = codec_field(q->end);
    request.revision = q->revision;
    request.limit = q->limit;
    request.serializable = q->serializable;
    request.keys_only = q->keys_only;
    request.count_only = q->count_only;
    TRY(wire_call(c, &call, &r, &k.header, e));
    TRY(fill_kvs(&k, r, e));
    k.reply = GIVE(r);
    *out = k;
    return RC_OK;
}

void wire_kvs_clear(struct wire_kvs *k)
{
    mem_free(k->items);
    codec_free(k->reply);
    *k = (struct wire_kvs){ 0 };
}

static size_t bytes_in(const struct wire_kvs *page)
{
    size_t sum = 0;

    for (size_t i = 0; i < page->count; i++)
        sum += page->items[i].key.n + page->items[i].value.n;
    return sum;
}

/* The next page begins right after the last key: the key with a zero byte appended. */
static enum rc step_past(const struct wire_kvs *page, struct buf *next, struct err *e)
{
    struct bytes last = page->items[page->count - 1].key;

    next->n = 0;
    TRY(buf_add(next, last.p, last.n, e));
    return buf_add(next, "", 1, e);
}

static enum rc hand_out(const struct wire_kvs *page, wire_kv_fn *fn, void *arg,
                        struct err *e)
{
    for (size_t i = 0; i < page->count; i++)
        TRY(fn(arg, &page->items[i], e));
    return RC_OK;
}

/* Fetches a page, with fewer keys when that many do not fit a message. */
static enum rc fetch_page(struct wire_client *c, struct wire_range *q,
                          struct wire_kvs *out, struct err *e)
{
    for (;;) {
        enum rc rc = wire_range_get(c, q, out, e);

        if (rc != RC_CORRUPT || wire_last(c)->detail != WIRE_BAD_STREAM || q->limit == 1)
            return rc;
        q->limit /= 2;
    }
}

enum rc wire_range_each(struct wire_client *c, const struct wire_range *q, wire_kv_fn *fn,
                        void *arg, int64_t *revision, struct err *e)
{
    AT_END(buf_clear) struct buf next = { 0 };
    struct wire_range page_q = *q;
    bool more = true;

    page_q.limit = PAGE_FIRST;
    while (more) {
        AT_END(wire_kvs_clear) struct wire_kvs page = { 0 };

        TRY(fetch_page(c, &page_q, &page, e));
        if (page_q.revision == 0)
            page_q.revision = page.header.revision;
        TRY(hand_out(&page, fn, arg, e));
        more = page.more && page.count > 0;
        if (!more)
            break;
        TRY(step_past(&page, &next, e));
        page_q.key = (struct bytes){ next.p, next.n };
        if (bytes_in(&page) < PAGE_BYTES && page_q.limit < PAGE_MAX)
            page_q.limit *= 2;
    }
    *revision = page_q.revision;
    return RC_OK;
}

enum rc wire_put(struct wire_client *c, struct bytes key, struct bytes value,
                 int64_t lease, struct wire_header *h, struct err *e)
{
    Etcdrpc__PutRequest request = ETCDRPC__PUT_REQUEST__INIT;
    struct wire_call call = {
        .method = "KV/Put",
        .request = &request,
        .reply = &etcdrpc__put_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = GRANTED,
        .writes = true,
    };

    request.key = codec_field(key);
    request.value = codec_field(value);
    request.lease = lease;
    return wire_call(c, &call, NULL, h, e);
}

enum rc wire_delete(struct wire_client *c, struct bytes key, struct bytes end,
                    int64_t *deleted, struct wire_header *h, struct err *e)
{
    Etcdrpc__DeleteRangeRequest request = ETCDRPC__DELETE_RANGE_REQUEST__INIT;
    AT_END(codec_end) Etcdrpc__DeleteRangeResponse *r = NULL;
    struct wire_call call = {
        .method = "KV/DeleteRange",
        .request = &request,
        .reply = &etcdrpc__delete_range_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = GRANTED,
        .writes = true,
    };

    request.key = codec_field(key);
    request.range_end = codec_field(end);
    TRY(wire_call(c, &call, &r, h, e));
    *deleted = r->deleted;
    return RC_OK;
}

enum rc wire_txn(struct wire_client *c, const Etcdrpc__TxnRequest *q,
                 Etcdrpc__TxnResponse **out, struct wire_header *h, struct err *e)
{
    struct wire_call call = {
        .method = "KV/Txn",
        .request = q,
        .reply = &etcdrpc__txn_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = GRANTED,
        .writes = true,
    };

    return wire_call(c, &call, out, h, e);
}

enum rc wire_compact(struct wire_client *c, int64_t revision, bool physical,
                     struct err *e)
{
    Etcdrpc__CompactionRequest request = ETCDRPC__COMPACTION_REQUEST__INIT;
    struct wire_call call = {
        .method = "KV/Compact",
        .request = &request,
        .reply = &etcdrpc__compaction_response__descriptor,
        .endpoint = WIRE_ANY,
        .role = WIRE_ROOT,
        .writes = true,
        .timeout_ms = physical ? PHYSICAL_TIMEOUT_MS : 0,
    };

    request.revision = revision;
    request.physical = physical;
    return wire_call(c, &call, NULL, NULL, e);
}

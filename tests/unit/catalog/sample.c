#include "sample.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/ed25519.h"
#include "tests/lib/case.h"

static void fill(struct manifest *m, int64_t revision)
{
    struct err e = { 0 };

    m->etcd_cluster_id = 0xcdf818194e3a8c32;
    m->member_id = 0x8e9e05c52164694d;
    snprintf(m->etcd_version, sizeof m->etcd_version, "3.6.5");
    snprintf(m->storage_version, sizeof m->storage_version, "3.6.0");
    m->kubernetes = true;
    m->revision = revision;
    m->compact_revision = revision / 2;
    m->hashkv_known = true;
    m->hashkv = 4294967295;
    m->live_keys = 17;
    m->db_size = 20512;
    memset(m->db_sha256, 0xab, SHA256_SIZE);
    m->object_key = mem_str("prod/backups/0123456789abcdef/snapshot.db.zst.age");
    m->object_size = 1234;
    memset(m->object_sha256, 0xcd, SHA256_SIZE);
    OK(str_list_add(&m->recipients, "00112233445566778899aabbccddeeff", &e), &e);
    m->proved = true;
    OK(manifest_sentence(&m->proved_why, "3 of 3 voters hold the same", &e), &e);
    OK(manifest_add_vote(m, (struct manifest_vote){ 0x8e9e05c52164694d, MANIFEST_AGREES },
                         &e),
       &e);
    OK(manifest_add_tag(&m->tags, "nightly", &e), &e);
}

struct record *sample_backup(int64_t revision)
{
    struct record *r = NULL;
    struct err e = { 0 };

    OK(record_new(RECORD_BACKUP, &r, &e), &e);
    snprintf(r->repo, sizeof r->repo, SAMPLE_REPO);
    snprintf(r->cluster, sizeof r->cluster, SAMPLE_CLUSTER);
    snprintf(r->host, sizeof r->host, "backup-1");
    snprintf(r->tool, sizeof r->tool, "0.1");
    r->sequence = 1;
    r->high_water = revision;
    r->created = SAMPLE_EPOCH;
    OK(manifest_new(&r->backup, &e), &e);
    fill(r->backup, revision);
    return r;
}

static struct minisign_secret made(uint8_t first)
{
    struct minisign_secret s = { .id = 0x1111111111111111u * first,
                                 .seed = { { first } } };
    struct err e = { 0 };

    OK(ed25519_public(&s.seed, s.key, &e), &e);
    return s;
}

const struct minisign_secret *sample_key(void)
{
    static struct minisign_secret s;

    s = made(1);
    return &s;
}

const struct minisign_secret *sample_other_key(void)
{
    static struct minisign_secret s;

    s = made(2);
    return &s;
}

const struct minisign_trust *sample_trust(void)
{
    static struct minisign_trust t;
    struct minisign_public k = minisign_public_of(sample_key());
    struct err e = { 0 };

    OK(minisign_trust_add(&t, &k, &e), &e);
    return &t;
}

void sample_log_begin(struct sample_log *l)
{
    *l = (struct sample_log){ .clock = SAMPLE_EPOCH, .key = sample_key() };
}

static void entry_clear(struct sample_entry *x)
{
    buf_clear(&x->record);
    buf_clear(&x->signature);
}

void sample_log_end(struct sample_log *l)
{
    for (size_t i = 0; i < l->count; i++)
        entry_clear(&l->items[i]);
    mem_free(l->items);
}

struct bytes sample_bytes(const struct buf *b)
{
    return (struct bytes){ b->p, b->n };
}

static void sign(const struct sample_log *l, struct sample_entry *x)
{
    char text[MINISIGN_SIGNATURE_SIZE];
    struct err e = { 0 };

    if (l->key == NULL)
        return;
    OK(minisign_sign(l->key, sample_bytes(&x->record), "holdfast", text, &e), &e);
    OK(buf_add(&x->signature, text, strlen(text), &e), &e);
}

void sample_log_put(struct sample_log *l, struct record *r)
{
    struct sample_entry *more = mem_resize(l->items, l->count + 1, sizeof *more);
    struct err e = { 0 };

    cr_assert_not_null(more);
    l->items = more;
    more += l->count++;
    *more = (struct sample_entry){ .sequence = r->sequence };
    OK(record_encode(r, &more->record, &e), &e);
    sign(l, more);
    record_free(r);
}

uint64_t sample_log_write(struct sample_log *l, struct record *r)
{
    OWNED(sha256) h = NULL;
    struct sample_entry *x;
    struct err e = { 0 };

    r->sequence = l->head.sequence + 1;
    r->previous = l->head;
    if (r->high_water < l->high_water)
        r->high_water = l->high_water;
    l->high_water = r->high_water;
    r->created = l->clock;
    l->clock += 3600;
    sample_log_put(l, r);
    x = &l->items[l->count - 1];
    l->head.sequence = x->sequence;
    OK(sha256_new(&h, &e), &e);
    OK(sha256_add(h, x->record.p, x->record.n, &e), &e);
    OK(sha256_end(h, l->head.sha256, &e), &e);
    return x->sequence;
}

uint64_t sample_log_backup(struct sample_log *l)
{
    return sample_log_write(l, sample_backup(l->high_water + 10));
}

static struct record *empty(enum record_kind kind)
{
    struct record *r = sample_backup(1);

    manifest_free(r->backup);
    r->backup = NULL;
    r->kind = kind;
    return r;
}

uint64_t sample_log_tag(struct sample_log *l, uint64_t target, const char *tag)
{
    struct record *r = empty(RECORD_TAG);
    struct err e = { 0 };

    r->target = target;
    OK(manifest_add_tag(&r->tags, tag, &e), &e);
    return sample_log_write(l, r);
}

uint64_t sample_log_prune(struct sample_log *l, const uint64_t *sequences)
{
    struct chain *c = sample_chain(l, true, NULL, 0);
    struct record *r = empty(RECORD_PRUNE);
    struct err e = { 0 };

    for (; *sequences != 0; sequences++)
        OK(chain_remove(c, *sequences, r, &e), &e);
    chain_free(c);
    return sample_log_write(l, r);
}

struct sample_entry *sample_log_find(struct sample_log *l, uint64_t sequence)
{
    for (size_t i = 0; i < l->count; i++)
        if (l->items[i].sequence == sequence)
            return &l->items[i];
    return NULL;
}

void sample_log_lose(struct sample_log *l, uint64_t sequence)
{
    struct sample_entry *x = sample_log_find(l, sequence);

    cr_assert_not_null(x);
    entry_clear(x);
    *x = l->items[--l->count];
}

void sample_log_swap(struct sample_log *l, uint64_t sequence, struct sample_log *from)
{
    struct sample_entry *x = sample_log_find(l, sequence);
    const struct sample_entry *y = sample_log_find(from, sequence);
    struct err e = { 0 };

    cr_assert(x != NULL && y != NULL);
    entry_clear(x);
    OK(buf_add(&x->record, y->record.p, y->record.n, &e), &e);
    OK(buf_add(&x->signature, y->signature.p, y->signature.n, &e), &e);
}

struct chain *sample_chain(const struct sample_log *l, bool with_keys,
                           const struct chain_mark *marks, size_t count)
{
    static const struct minisign_trust nobody;
    struct chain *c = NULL;
    struct err e = { 0 };

    OK(chain_new(SAMPLE_REPO, SAMPLE_CLUSTER, with_keys ? sample_trust() : &nobody, &c,
                 &e),
       &e);
    for (size_t i = 0; i < l->count; i++)
        OK(chain_add(c, l->items[i].sequence, sample_bytes(&l->items[i].record),
                     sample_bytes(&l->items[i].signature), &e),
           &e);
    OK(chain_close(c, marks, count, &e), &e);
    return c;
}

const char *sample_codes(const struct chain *c, bool errors_only)
{
    static char text[1024];
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; i < c->findings.kept; i++)
        if (!errors_only || c->findings.items[i].severity == FINDING_ERROR)
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%s", n > 0 ? " " : "",
                                  c->findings.items[i].code);
    return text;
}

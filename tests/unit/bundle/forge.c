#include "tests/unit/bundle/forge.h"

#include <stdio.h>
#include <string.h>

#include "bundle/bundle.h"
#include "crypto/sha256.h"
#include "tests/lib/case.h"

enum { RECORD = 512 };

static void add(struct buf *b, const void *p, size_t n)
{
    struct err e = { 0 };

    OK(buf_add(b, p, n, &e), &e);
}

static void pad(struct buf *b)
{
    static const uint8_t zeros[RECORD];

    add(b, zeros, (RECORD - b->n % RECORD) % RECORD);
}

static void header(struct buf *tar, const struct forged_member *m, uint64_t size)
{
    char h[RECORD] = { 0 };
    unsigned sum = 0;

    snprintf(h, 100, "%s", m->name);
    snprintf(h + 100, 8, "%07o", (m->mode == 0 ? 0600 : m->mode) & 07777);
    snprintf(h + 108, 8, "%07o", 0);
    snprintf(h + 116, 8, "%07o", 0);
    snprintf(h + 124, 12, "%011llo", (unsigned long long)size);
    snprintf(h + 136, 12, "%011o", 1700000000);
    memset(h + 148, ' ', 8);
    h[156] = m->type == 0 ? '0' : m->type;
    snprintf(h + 157, 100, "%s", m->link == NULL ? "" : m->link);
    memcpy(h + 257, "ustar\00000", 8);
    for (int i = 0; i < RECORD; i++)
        sum += (unsigned char)h[i];
    snprintf(h + 148, 8, "%06o", sum);
    add(tar, h, sizeof h);
}

static void add_sum(struct buf *sums, const char *name, const char *content)
{
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) h = NULL;
    struct err e = { 0 };
    char line[2048];

    OK(sha256_new(&h, &e), &e);
    OK(sha256_add(h, content, strlen(content), &e), &e);
    OK(sha256_end(h, digest, &e), &e);
    for (int i = 0; i < SHA256_SIZE; i++)
        snprintf(line + 2 * i, 3, "%02x", digest[i]);
    snprintf(line + 64, sizeof line - 64, "  %s\n", name);
    add(sums, line, strlen(line));
}

void forge_member(struct forged *f, const struct forged_member *m, const char *listed)
{
    const char *content = m->content == NULL ? "" : m->content;
    size_t n = strlen(content);

    header(&f->tar, m, m->claimed == 0 ? n : m->claimed);
    add(&f->tar, content, n);
    pad(&f->tar);
    add_sum(&f->sums, listed == NULL ? m->name : listed, content);
}

void forge_pax(struct forged *f, const char *keyword, const void *value, size_t n)
{
    const struct forged_member m = { .name = "PaxHeader", .type = 'x' };
    size_t length = strlen(keyword) + n + 3; /* blank, '=', newline, and its own digits */
    char prefix[300];

    length += length + 1 > 9 ? (length + 2 > 99 ? 3 : 2) : 1;
    snprintf(prefix, sizeof prefix, "%zu %s=", length, keyword);
    header(&f->tar, &m, length);
    add(&f->tar, prefix, strlen(prefix));
    add(&f->tar, value, n);
    add(&f->tar, "\n", 1);
    pad(&f->tar);
}

void forge_sums(struct forged *f)
{
    const struct forged_member m = { .name = BUNDLE_SUMS };

    header(&f->tar, &m, f->sums.n);
    add(&f->tar, f->sums.p, f->sums.n);
    pad(&f->tar);
}

void forge_end(struct forged *f)
{
    static const uint8_t zeros[2 * RECORD];

    add(&f->tar, zeros, sizeof zeros);
}

void forge_clear(struct forged *f)
{
    buf_clear(&f->tar);
    buf_clear(&f->sums);
}

#include "tests/unit/wal/lab.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <zstd.h>

#include "tests/lib/case.h"
#include "tests/lib/tmpdir.h"
#include "util/mem.h"
#include "util/os.h"

#define LOG(version, kind) "etcd-" version "/" kind "/" FIRST_SEGMENT ".zst"

/* clang-format off */
const struct golden_log golden_logs[] = {
    { LOG("3.4", "data"),     187, 248768, 12087183652076072673u,  8272761069905275872u, { 2, 12087183652076072673u, 92 }, 92, 2, 1 },
    { LOG("3.5", "data"),     188, 248272,  3783655712820143120u,  5095130767319097121u, { 2,  3783655712820143120u, 93 }, 93, 2, 1 },
    { LOG("3.6", "data"),     189, 248184,  4204180268871826779u, 16557203440617490880u, { 2,  4204180268871826779u, 92 }, 93, 2, 1 },
    { LOG("3.7", "data"),     188, 247968,   526174965038656345u,  6854538115918980926u, { 2,   526174965038656345u, 92 }, 93, 2, 1 },
    { LOG("3.4", "restored"),   8,    496, 17486735555321366281u,  7137467414495541690u, { 1,  4929592047848112471u,  3 },  3, 1, 2 },
    { LOG("3.5", "restored"),   8,    536, 17486735555321366281u,  7137467414495541690u, { 1,  4929592047848112471u,  3 },  3, 1, 2 },
    { LOG("3.6", "restored"),   8,    536, 17486735555321366281u,  7137467414495541690u, { 1,  4929592047848112471u,  3 },  3, 1, 2 },
    { LOG("3.7", "restored"),   8,    528, 17486735555321366281u,  7137467414495541690u, { 1,  4929592047848112471u,  3 },  3, 1, 2 },
    { LOG("3.4", "rolled"),   104,   4992,  8166468331523858527u, 14962992391890673982u, { 2,  8166468331523858527u, 49 }, 49, 2, 5 },
    { LOG("3.5", "rolled"),   106,   5136,  8166468331523858527u, 14962992391890673982u, { 2,  8166468331523858527u, 50 }, 50, 2, 5 },
    { LOG("3.6", "rolled"),   107,   5056,  8166468331523858527u, 14962992391890673982u, { 2,  8166468331523858527u, 49 }, 50, 2, 5 },
    { LOG("3.7", "rolled"),   106,   4928,  8166468331523858527u, 14962992391890673982u, { 2,  8166468331523858527u, 49 }, 50, 2, 5 },
};
/* clang-format on */
const size_t golden_log_count = sizeof golden_logs / sizeof golden_logs[0];

void golden_file(const char *path, struct buf *out)
{
    AT_END(mem_end) uint8_t *packed = NULL;
    char full[256];
    struct err e = { 0 };
    unsigned long long size;
    size_t n;

    snprintf(full, sizeof full, "tests/golden/%s", path);
    OK(os_read_file(full, 1 << 20, &packed, &n, &e), &e);
    size = ZSTD_getFrameContentSize(packed, n);
    cr_assert(size < 1 << 20, "%s", full);
    OK(buf_reserve(out, size, &e), &e);
    out->n = ZSTD_decompress(out->p, size, packed, n);
    cr_assert_eq(out->n, size, "%s", full);
}

void put_file(const char *dir, const char *name, const void *p, size_t n)
{
    OWNED_FD int fd = open(path_in(dir, name), O_WRONLY | O_CREAT | O_TRUNC, 0600);
    struct err e = { 0 };

    cr_assert(fd >= 0, "%s/%s", dir, name);
    OK(os_write_full(fd, p, n, name, &e), &e);
}

void draft_add(struct draft *d, enum wal_type type, struct bytes data)
{
    struct err e = { 0 };

    d->frame = d->b.n;
    OK(wal_frame_add(&d->b, &d->crc, type, data, &e), &e);
}

static void add(struct draft *d, enum wal_type type, struct buf *message)
{
    draft_add(d, type, (struct bytes){ message->p, message->n });
    buf_clear(message);
}

void draft_head(struct draft *d)
{
    struct wal_metadata ids = { .node_id = 7, .cluster_id = 9 };
    struct buf b = { 0 };
    struct err e = { 0 };

    draft_add(d, WAL_CRC, (struct bytes){ 0 });
    OK(wal_metadata_put(&b, &ids, &e), &e);
    add(d, WAL_METADATA, &b);
}

void draft_entry(struct draft *d, uint64_t index, uint64_t term, const char *data)
{
    struct wal_entry entry = { .index = index, .term = term, .data = bytes_str(data) };
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(wal_entry_put(&b, &entry, &e), &e);
    add(d, WAL_ENTRY, &b);
}

void draft_state(struct draft *d, uint64_t term, uint64_t commit)
{
    struct wal_state state = { .term = term, .vote = 7, .commit = commit };
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(wal_state_put(&b, &state, &e), &e);
    add(d, WAL_STATE, &b);
}

void draft_mark(struct draft *d, uint64_t index, uint64_t term)
{
    struct wal_mark mark = { .index = index, .term = term };
    struct buf b = { 0 };
    struct err e = { 0 };

    OK(wal_mark_put(&b, &mark, &e), &e);
    add(d, WAL_SNAPSHOT, &b);
}

void draft_small(struct draft *d, unsigned entries)
{
    draft_head(d);
    draft_mark(d, 0, 0);
    for (unsigned i = 1; i <= entries; i++) {
        draft_entry(d, i, 2, "an entry");
        draft_state(d, 2, i);
    }
}

void draft_clear(struct draft *d)
{
    buf_clear(&d->b);
}

void reading_of(struct reading *r, const char *dir)
{
    *r = (struct reading){ 0 };
    r->rc = wal_open(dir, &r->f, &r->w, &r->e);
    r->s = r->w == NULL ? NULL : wal_summary(r->w);
}

void reading_of_bytes(struct reading *r, const void *p, size_t n)
{
    static const char *dir;

    if (dir == NULL)
        dir = tmpdir_new();
    put_file(dir, FIRST_SEGMENT, p, n);
    reading_of(r, dir);
}

void reading_clear(struct reading *r)
{
    wal_free(r->w);
    findings_clear(&r->f);
    *r = (struct reading){ 0 };
}

bool reading_has(const struct reading *r, const char *code)
{
    for (size_t i = 0; i < r->f.kept; i++)
        if (strcmp(r->f.items[i].code, code) == 0)
            return true;
    return false;
}

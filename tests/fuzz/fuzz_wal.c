/* Any bytes as a WAL segment. Inputs with an odd first byte are a list of records that is
 * framed with right lengths and checksums, so that the fuzzer gets behind those. */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include "util/mem.h"
#include "wal/read.h"
#include "wal/record.h"

#define SEGMENT "0000000000000000-0000000000000000.wal"

static char dir[] = "/tmp/fuzz_wal.XXXXXX";
static int dir_fd = -1, file = -1;

static void clean_up(void)
{
    unlinkat(dir_fd, SEGMENT, 0);
    rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    if (mkdtemp(dir) == NULL)
        abort();
    dir_fd = open(dir, O_RDONLY | O_DIRECTORY);
    file = openat(dir_fd, SEGMENT, O_RDWR | O_CREAT, 0600);
    atexit(clean_up);
    return 0;
}

/* Each record: type, length of the data, data. */
static void frame(const uint8_t *p, size_t n, struct buf *out)
{
    struct err e;
    uint32_t crc = 0;

    while (n >= 2) {
        size_t size = p[1] < n - 2 ? p[1] : n - 2;

        if (wal_frame_add(out, &crc, (enum wal_type)(p[0] % 8),
                          (struct bytes){ p + 2, size }, &e) != RC_OK)
            abort();
        p += 2 + size;
        n -= 2 + size;
    }
}

static void store(const uint8_t *p, size_t n)
{
    if (ftruncate(file, 0) != 0 || pwrite(file, p, n, 0) != (ssize_t)n)
        abort();
}

/* What the summary promises must hold: every entry can be fetched. */
static void visit(struct wal *w)
{
    const struct wal_summary *s = wal_summary(w);
    struct wal_entry entry;
    struct err e;

    for (uint64_t i = 0; i < s->entry_count; i++)
        if (wal_entry_at(w, s->first_index + i, &entry, &e) != RC_OK ||
            entry.index != s->first_index + i)
            abort();
    if ((s->verdict == WAL_CLEAN) != (s->damage.code == NULL))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    AT_END(buf_clear) struct buf framed = { 0 };
    AT_END(findings_clear) struct findings f = { 0 };
    OWNED(wal) w = NULL;
    struct err e = { 0 };

    if (n > 0 && p[0] % 2 == 1) {
        frame(p + 1, n - 1, &framed);
        store(framed.p, framed.n);
    } else {
        store(p, n);
    }
    if (wal_open(dir, &f, &w, &e) != RC_OK)
        abort();
    visit(w);
    return 0;
}

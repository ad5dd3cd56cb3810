#include "tests/unit/datadir/den.h"

#include <sys/stat.h>

#include "boltdb/build.h"
#include "tests/flow/golden.h"
#include "tests/lib/image.h"
#include "util/log.h"
#include "wal/record.h"

const struct den_golden den_goldens[] = {
    { "3.4", 12087183652076072673u, 3532538235 },
    { "3.5", 3783655712820143120u, 3075368313 },
    { "3.6", 4204180268871826779u, 1209862186 },
    { "3.7", 526174965038656345u, 4109256786 },
};

static void make_dir(const char *path)
{
    struct err e = { 0 };

    OK(os_mkdir(AT_FDCWD, path, &e), &e);
}

void den_make(struct den *den)
{
    char member[290];

    *den = (struct den){ .dir = tmpdir_new() };
    snprintf(member, sizeof member, "%.280s/member", den->dir);
    snprintf(den->snap, sizeof den->snap, "%s/snap", member);
    snprintf(den->wal, sizeof den->wal, "%s/wal", member);
    snprintf(den->db, sizeof den->db, "%s/db", den->snap);
    snprintf(den->segment, sizeof den->segment, "%s/" FIRST_SEGMENT, den->wal);
    make_dir(member);
    make_dir(den->snap);
    make_dir(den->wal);
}

/* A file of tests/golden, decompressed, by the size that its frame names. */
static void unpack(const char *version, const char *name, const char *to)
{
    AT_END(buf_clear) struct buf all = { 0 };
    char path[160];

    snprintf(path, sizeof path, "tests/golden/etcd-%s/data/%s.zst", version, name);
    AT_END(buf_clear) struct buf packed = golden_file(path);
    unsigned long long n = ZSTD_getFrameContentSize(packed.p, packed.n);

    cr_assert_lt(n, 1 << 26, "%s", path);
    all.p = mem_zero((size_t)n);
    all.n = ZSTD_decompress(all.p, (size_t)n, packed.p, packed.n);
    cr_assert_eq(all.n, n, "%s", path);
    golden_write(to, all.p, all.n);
}

void den_golden_db(const struct den *den, const char *version, const char *name)
{
    unpack(version, "db", path_in(den->snap, name));
}

void den_golden(struct den *den, const char *version)
{
    den_make(den);
    den_golden_db(den, version, "db");
    unpack(version, "0000000000000000-0000000000000000.wal", den->segment);
}

void den_empty_db(const struct den *den)
{
    AT_END(buf_clear) struct buf file = { 0 };
    const struct bolt_target target = image_target(&file);
    const struct bolt_build_options options = { 0 };
    OWNED(bolt_builder) builder = NULL;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &builder, &e), &e);
    OK(bolt_builder_finish(builder, &size, &e), &e);
    golden_write(den->db, file.p, file.n);
}

/* ---- made up ----------------------------------------------------------------------- */

struct draft {
    struct buf b, message;
    uint32_t crc;
};

static void add(struct draft *d, enum wal_type type)
{
    struct err e = { 0 };

    OK(wal_frame_add(&d->b, &d->crc, type, (struct bytes){ d->message.p, d->message.n },
                     &e),
       &e);
    buf_clear(&d->message);
}

static void add_mark(struct draft *d, const struct wal_mark *mark)
{
    struct err e = { 0 };

    OK(wal_mark_put(&d->message, mark, &e), &e);
    add(d, WAL_SNAPSHOT);
}

void den_log(struct den *den, struct den_log log)
{
    const struct wal_metadata ids = { 7, 9 };
    const struct wal_mark mark = { .index = log.mark, .term = log.term + log.later };
    const struct wal_state state = { log.term + log.later, 7,
                                     log.commit == 0 ? log.last : log.commit };
    char name[WAL_NAME_SIZE];
    struct draft d = { 0 };
    struct err e = { 0 };

    add(&d, WAL_CRC);
    OK(wal_metadata_put(&d.message, &ids, &e), &e);
    add(&d, WAL_METADATA);
    if (log.mark > 0 && !log.later)
        add_mark(&d, &mark);
    for (uint64_t i = log.first; i <= log.last; i++) {
        const struct wal_entry entry = {
            .index = i,
            .term = log.term,
            .data = i == log.bad ? bytes_str("\x1a\xff nothing") : (struct bytes){ 0 },
        };

        OK(wal_entry_put(&d.message, &entry, &e), &e);
        add(&d, WAL_ENTRY);
    }
    if (log.later)
        add_mark(&d, &mark);
    OK(wal_state_put(&d.message, &state, &e), &e);
    add(&d, WAL_STATE);
    wal_segment_name(name, 0, log.first);
    snprintf(den->segment, sizeof den->segment, "%s/%s", den->wal, name);
    golden_write(den->segment, d.b.p, d.b.n);
    buf_clear(&d.b);
}

/* ---- damage ------------------------------------------------------------------------ */

void den_flip(const char *path, uint64_t at)
{
    OWNED_FD int fd = open(path, O_RDWR | O_CLOEXEC);
    uint8_t byte;

    cr_assert_geq(fd, 0);
    cr_assert_eq(pread(fd, &byte, 1, (off_t)at), 1);
    byte ^= 0x40;
    cr_assert_eq(pwrite(fd, &byte, 1, (off_t)at), 1);
}

void den_cut(const char *path, uint64_t size)
{
    cr_assert_eq(truncate(path, (off_t)size), 0);
}

uint64_t den_size(const char *path)
{
    struct stat st;

    cr_assert_eq(stat(path, &st), 0);
    return (uint64_t)st.st_size;
}

/* ---- reading ----------------------------------------------------------------------- */

enum rc den_open(struct den *den)
{
    const struct datadir_request q = { .dir = den->dir };

    datadir_free(den->d);
    den->d = NULL;
    den->e = (struct err){ 0 };
    return datadir_open(&q, &den->d, &den->e);
}

bool den_has(const struct den *den, const char *code, enum finding_severity severity)
{
    for (size_t i = 0; i < den->d->findings.kept; i++)
        if (strcmp(den->d->findings.items[i].code, code) == 0 &&
            den->d->findings.items[i].severity == severity)
            return true;
    return false;
}

void den_clear(struct den *den)
{
    datadir_free(den->d);
    den->d = NULL;
}

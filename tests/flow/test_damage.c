/* Snapshots of real etcd 3.4 to 3.7, damaged at random and on purpose. Whatever was done
 * to a file: no crash, no hang, bounded memory, and never "good" unless it still says the
 * same. Damage to the structure is told with its place. */
#include "crypto/sha256.h"
#include "tests/flow/golden.h"
#include "tests/lib/fakeetcd.h"
#include "tests/lib/proc.h"

enum { PAGE = 4096 };

/* One golden snapshot, lying in a file that is damaged in place and mended again. */
struct patient {
    struct buf whole;
    char file[512];
    int fd;
    char *kinds;   /* by page: see page_kinds; of reachable pages only */
    uint32_t hash; /* over all its pairs */
    uint32_t hashkv;
};

static void patient_end(struct patient *p)
{
    buf_clear(&p->whole);
    mem_free(p->kinds);
    os_fd_end(&p->fd);
}
#define PATIENT AT_END(patient_end) struct patient

/* ---- which page is what, by a walk that shares no code with the one under test --------
 */

static const char page_kinds[] = { 'b', 'l', 'o' }; /* branch, leaf, overflow */

static void mark(const struct patient *p, uint64_t id)
{
    const uint8_t *page = p->whole.p + id * PAGE;
    unsigned count = le16(page + 10);
    bool branch = le16(page + 8) == 1;

    p->kinds[id] = branch ? 'b' : 'l';
    memset(p->kinds + id + 1, 'o', le32(page + 12));
    for (unsigned i = 0; i < count; i++) {
        const uint8_t *el = page + 16 + (size_t)i * 16;

        if (branch)
            mark(p, le64(el + 8));
        else if (le32(el) == 1 && le64(el + le32(el + 4) + le32(el + 8)) != 0)
            mark(p, le64(el + le32(el + 4) + le32(el + 8)));
    }
}

static struct patient patient_of(const char *version)
{
    struct patient p = { .whole = golden_snapshot(version), .fd = -1 };
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    struct snap_verify_options o = { .level = SNAP_LEVEL_FULL, .status_hash = true };
    struct err e = { 0 };

    snprintf(p.file, sizeof p.file, "%s", path_in(tmpdir_new(), "s.db"));
    golden_write(p.file, p.whole.p, p.whole.n);
    p.fd = open(p.file, O_RDWR | O_CLOEXEC);
    p.kinds = mem_zero(p.whole.n / PAGE + 1);
    mark(&p, le64(p.whole.p + 32));
    o.file = p.file;
    OK(snap_verify(&o, &v, &e), &e);
    cr_assert_eq(v.findings.errors, 0);
    p.hash = v.facts.status_hash;
    p.hashkv = v.facts.hashkv.hash;
    return p;
}

static uint64_t page_of_kind(const struct patient *p, char kind, uint64_t *seed)
{
    for (;;) {
        uint64_t id = golden_random(seed) % (p->whole.n / PAGE);

        if (p->kinds[id] == kind)
            return id;
    }
}

/* ---- bits -----------------------------------------------------------------------------
 */

struct verdict {
    bool good;   /* nothing is wrong with it */
    bool same;   /* and it holds what it held before */
    bool warned; /* good, the same to every client, and something is told */
    bool placed; /* a page or an offset is named */
    char why[800];
};

static void look_at(const struct patient *p, struct verdict *out)
{
    AT_END(snap_verdict_clear) struct snap_verdict v = { 0 };
    const struct snap_verify_options o = { .file = p->file,
                                           .level = SNAP_LEVEL_FULL,
                                           .status_hash = true };
    struct err e = { 0 };
    enum rc rc = snap_verify(&o, &v, &e);

    *out = (struct verdict){ .good = rc == RC_OK && v.findings.errors == 0 };
    out->same = out->good && v.facts.status_hash == p->hash;
    out->warned =
        out->good && v.findings.warnings > 0 && v.facts.hashkv.hash == p->hashkv;
    cr_assert(rc == RC_OK || rc == RC_CORRUPT, "%s: %s", rc_name(rc), e.why);
    snprintf(out->why, sizeof out->why, "%s", e.why);
    out->placed = strstr(e.why, "page") != NULL || strstr(e.why, "offset") != NULL;
    for (size_t i = 0; i < v.findings.kept && !out->placed; i++) {
        const struct finding *f = &v.findings.items[i];

        if (f->severity != FINDING_ERROR || strncmp(f->code, "trailer", 7) == 0)
            continue;
        out->placed = strstr(f->message, "offset") != NULL || f->page != FINDING_NO_PAGE;
        snprintf(out->why, sizeof out->why, "%s: %s", f->code, f->message);
    }
}

static void write_at(const struct patient *p, const void *bytes, size_t n, uint64_t at)
{
    cr_assert_eq(pwrite(p->fd, bytes, n, (off_t)at), (ssize_t)n);
}

/* As an attacker would, or rot that was there when the snapshot was taken. */
static void write_trailer(struct patient *p)
{
    size_t n = p->whole.n - GOLDEN_TRAILER;
    OWNED(sha256) hash = NULL;
    uint8_t digest[SHA256_SIZE];
    struct err e = { 0 };

    OK(sha256_new(&hash, &e), &e);
    OK(sha256_add(hash, p->whole.p, n, &e), &e);
    OK(sha256_end(hash, digest, &e), &e);
    write_at(p, digest, sizeof digest, n);
}

/* Flips one bit, looks at the file with the old trailer and with a right one, and mends
 * it. */
static void flip(struct patient *p, uint64_t bit, struct verdict *stale,
                 struct verdict *right)
{
    uint8_t *byte = p->whole.p + bit / 8;

    *byte ^= (uint8_t)(1U << bit % 8);
    write_at(p, byte, 1, bit / 8);
    look_at(p, stale);
    if (right != NULL) {
        write_trailer(p);
        look_at(p, right);
    }
    *byte ^= (uint8_t)(1U << bit % 8);
    write_at(p, byte, 1, bit / 8);
    write_at(p, p->whole.p + p->whole.n - GOLDEN_TRAILER, GOLDEN_TRAILER,
             p->whole.n - GOLDEN_TRAILER);
}

#define AT_BIT "etcd %s, byte %llu bit %u, in %s"
#define BIT_ARGS(bit) (unsigned long long)((bit) / 8), (unsigned)((bit) % 8)

/* No bit of the file can change unnoticed, wherever it is. */
static void flip_anywhere(const char *version, unsigned turns)
{
    PATIENT p = patient_of(version);
    uint64_t seed = 1;

    for (unsigned i = 0; i < turns; i++) {
        uint64_t bit = i < turns - 8 ? golden_random(&seed) % (p.whole.n * 8)
                                     : p.whole.n * 8 - 1 - golden_random(&seed) % 256;
        struct verdict stale;

        flip(&p, bit, &stale, NULL);
        cr_assert(!stale.good, AT_BIT, version, BIT_ARGS(bit), "any place");
    }
}

CASE(damage, no_bit_of_a_snapshot_changes_unnoticed, .init = golden_in_memory)
{
    for (int v = 0; v < GOLDEN_VERSIONS; v++)
        flip_anywhere(golden_versions[v], golden_effort(40, 4000));
}

/* The first 16 bytes of a page and its table of elements hold nothing but structure, so
 * that even under a right trailer every bit is told, and where it is. But for the last
 * element: how far its key and value reach is said nowhere else, so it is content. */
static void flip_structure(const char *version, char kind, unsigned turns)
{
    PATIENT p = patient_of(version);
    uint64_t seed = (uint64_t)kind;

    for (unsigned i = 0; i < turns; i++) {
        uint64_t id = page_of_kind(&p, kind, &seed);
        unsigned count = le16(p.whole.p + id * PAGE + 10);
        uint64_t bytes = i % 2 == 0 ? 16 : 16 * (uint64_t)count;
        uint64_t bit = id * PAGE * 8 + golden_random(&seed) % (bytes * 8);
        struct verdict stale, right;

        flip(&p, bit, &stale, &right);
        cr_expect(!stale.good, AT_BIT, version, BIT_ARGS(bit), "structure, stale");
        /* A child may by chance become a free page with an old copy of the pairs, from
         * before a compaction. */
        cr_expect(!right.good || right.same || right.warned, AT_BIT ", page %llu (%c)",
                  version, BIT_ARGS(bit), "structure", (unsigned long long)id, kind);
        cr_expect(right.good || right.placed, AT_BIT ": %s", version, BIT_ARGS(bit),
                  "structure", right.why);
    }
}

CASE(damage, no_bit_of_a_page_header_changes_unnoticed, .init = golden_in_memory)
{
    for (int v = 0; v < GOLDEN_VERSIONS; v++)
        for (int k = 0; k < 2; k++)
            flip_structure(golden_versions[v], page_kinds[k], golden_effort(30, 4000));
}

/* Keys and values are the user's: a changed bit may make sense. Then the hash over all
 * pairs shows it, or nothing that anybody reads has changed. */
static void flip_content(const char *version, char kind, unsigned turns)
{
    PATIENT p = patient_of(version);
    uint64_t seed = 100 + (uint64_t)kind;
    unsigned told = 0, hashed = 0, same = 0;

    for (unsigned i = 0; i < turns; i++) {
        uint64_t id = page_of_kind(&p, kind, &seed);
        uint64_t bit = id * PAGE * 8 + golden_random(&seed) % (PAGE * 8);
        struct verdict stale, right;

        flip(&p, bit, &stale, &right);
        cr_assert(!stale.good, AT_BIT, version, BIT_ARGS(bit), "content");
        told += !right.good;
        hashed += right.good && !right.same;
        same += right.same;
    }
    cr_assert(kind == 'b' || hashed > 0, "etcd %s, %c: %u told, %u hashed, %u same",
              version, kind, told, hashed, same);
}

CASE(damage, a_bit_of_content_changes_the_hash_at_least, .init = golden_in_memory)
{
    for (int v = 0; v < GOLDEN_VERSIONS; v++)
        for (size_t k = 0; k < sizeof page_kinds; k++)
            flip_content(golden_versions[v], page_kinds[k], golden_effort(16, 2000));
}

/* One meta page is enough for bbolt: the damage of one is told as a warning, that of
 * both is the end. */
static void flip_metas(const char *version, unsigned turns)
{
    PATIENT p = patient_of(version);
    uint64_t seed = 7;

    for (unsigned i = 0; i < turns; i++) {
        uint64_t bit = 16 * 8 + golden_random(&seed) % (64 * 8);
        struct verdict stale, right;

        flip(&p, bit, &stale, &right);
        cr_assert(!stale.good, AT_BIT, version, BIT_ARGS(bit), "meta 0");
        cr_assert(!right.good || right.same, AT_BIT, version, BIT_ARGS(bit), "meta 0");
        p.whole.p[PAGE + bit / 8] ^= 1;
        write_at(&p, p.whole.p, 2 * PAGE, 0);
        flip(&p, bit, &stale, &right);
        cr_assert(!right.good, AT_BIT, version, BIT_ARGS(bit), "both metas");
        p.whole.p[PAGE + bit / 8] ^= 1;
        write_at(&p, p.whole.p, 2 * PAGE, 0);
    }
}

CASE(damage, metas_are_told_good_from_bad, .init = golden_in_memory)
{
    for (int v = 0; v < GOLDEN_VERSIONS; v++)
        flip_metas(golden_versions[v], golden_effort(10, 500));
}

/* ---- truncation -----------------------------------------------------------------------
 */

static void cut_to(struct patient *p, uint64_t size)
{
    struct verdict v;

    cr_assert_eq(ftruncate(p->fd, (off_t)size), 0);
    look_at(p, &v);
    cr_assert(!v.good, "cut to %llu bytes", (unsigned long long)size);
    if (size >= 2 * PAGE && size < p->whole.n - GOLDEN_TRAILER)
        cr_assert_not_null(strstr(v.why, "truncated"), "cut to %llu bytes: %s",
                           (unsigned long long)size, v.why);
}

CASE(damage, a_file_cut_anywhere_is_told, .init = golden_in_memory)
{
    for (int i = 0; i < GOLDEN_VERSIONS; i++) {
        PATIENT p = patient_of(golden_versions[i]);
        uint64_t last = p.whole.n / PAGE;

        /* Downwards, as a cut takes bytes away; also with the length of a trailer. */
        for (unsigned b = 1; b <= 40; b++)
            cut_to(&p, p.whole.n - b);
        for (uint64_t page = last; page > 0; page--) {
            if (page < last)
                cut_to(&p, page * PAGE + GOLDEN_TRAILER);
            if (page < last)
                cut_to(&p, page * PAGE);
        }
        for (int size = 4096; size >= 0; size -= size > 100 ? 97 : 1)
            cut_to(&p, (uint64_t)size);
    }
}

/* ---- wrapped files
 * ---------------------------------------------------------------------- */

/* Good again only if the very same snapshot comes out of it: a decoder need not look at
 * every bit. */
static void damage_wrapped(const char *file, const char *key, uint64_t step)
{
    AT_END(buf_clear) struct buf whole = golden_file(file);
    uint64_t seed = 11;
    char want[80] = "";

    for (uint64_t at = 0; at <= whole.n; at += step) {
        uint64_t place = at == 0 ? 0 : at - golden_random(&seed) % step;
        bool cut = golden_random(&seed) % 4 == 0;
        OWNED_FD int fd = open(file, O_WRONLY | O_CLOEXEC);

        if (at > 0 && cut)
            cr_assert_eq(ftruncate(fd, (off_t)place), 0);
        else if (at > 0)
            cr_assert_eq(pwrite(fd, (uint8_t[]){ whole.p[place] ^ 4 }, 1, (off_t)place),
                         1);
        HOLDFAST(p, "snapshot", "verify", file, "--json", key == NULL ? NULL : "-i", key);
        const char *sum = strstr(p.out, "\"database_sha256\"");

        if (at == 0)
            snprintf(want, sizeof want, "%.76s", sum);
        if (at == 0 || (p.status == 0 && !cut))
            cr_assert(p.status == 0 && sum != NULL && strncmp(sum, want, 76) == 0,
                      "%s, %llu: %s", file, (unsigned long long)place, p.err);
        else
            cr_assert(p.status == 3 || p.status == 12, "%s, %s %llu: exit %d, %s", file,
                      cut ? "cut at" : "byte", (unsigned long long)place, p.status,
                      p.err);
        golden_write(file, whole.p, whole.n);
    }
}

CASE(damage, compressed_files_never_pass_for_something_else, .init = golden_in_memory)
{
    AT_END(buf_clear)
    struct buf packed = golden_file("tests/golden/etcd-3.6/snapshot.db.zst");
    char file[512];

    snprintf(file, sizeof file, "%s", path_in(tmpdir_new(), "s.db.zst"));
    golden_write(file, packed.p, packed.n);
    damage_wrapped(file, NULL, packed.n / golden_effort(30, 1500));
}

CASE(damage, encrypted_files_never_pass_for_something_else, .init = golden_in_memory)
{
    AT_END(buf_clear) struct buf snapshot = golden_snapshot("3.6");
    const struct fake_script script = { .db = snapshot.p,
                                        .db_size = snapshot.n - GOLDEN_TRAILER,
                                        .revision = 56 };
    const char *dir = tmpdir_new();
    char key[512], file[512], recipient[80] = "";
    FAKE f = fake_start(&script);

    snprintf(key, sizeof key, "%s", path_in(dir, "key"));
    snprintf(file, sizeof file, "%s", path_in(dir, "s.db.zst.age"));
    HOLDFAST(made, "keygen", "-o", key);
    AT_END(buf_clear) struct buf text = golden_file(key);

    sscanf(strstr((char *)text.p, "age1"), "%79s", recipient);
    HOLDFAST(saved, "snapshot", "save", file, "--endpoints", fake_endpoint(f), "-r",
             recipient);
    cr_assert(made.status == 0 && saved.status == 0, "%s%s", made.err, saved.err);
    damage_wrapped(file, key, snapshot.n / 8 / golden_effort(30, 1500));
}

/* What a member, or the network before it, may do to a snapshot under way. Whatever it
 * is: the right exit status, a telling message, nothing under the final name and nothing
 * else left behind. */
#include "snapshot/save.h"
#include "tests/flow/golden.h"
#include "tests/lib/fakeetcd.h"
#include "tests/lib/proc.h"

/* age-keygen's; what is encrypted for it is never opened here. */
#define RECIPIENT "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"

static struct buf snapshot;
static const char *scratch;

static void set_up(void)
{
    snapshot = golden_snapshot("3.6");
    scratch = tmpdir_new();
}

static void tear_down(void)
{
    buf_clear(&snapshot);
}

#define STREAM(name) CASE(stream, name, .init = set_up, .fini = tear_down)

static struct fake_script script_of(const struct fake_step *steps, size_t count)
{
    return (struct fake_script){
        .db = snapshot.p,
        .db_size = snapshot.n - GOLDEN_TRAILER,
        .revision = 56,
        .steps = steps,
        .step_count = count,
    };
}

/* ---- one fault after the other, through the program ---------------------------------
 */

struct tale {
    const char *name;
    struct fake_step steps[4];
    int status;
    const char *says;
};

#define STEP(name, count, ...)                       \
    {                                                \
        .what = FAKE_##name, .n = count, __VA_ARGS__ \
    }

/* clang-format off */
static const struct tale tales[] = {
    { "closed before the first byte", { STEP(CLOSE, 0) },
      4, "the connection broke" },
    { "closed in the middle", { STEP(DATA, 65536), STEP(CLOSE, 0) },
      4, "the connection broke" },
    { "reset by TCP in the middle", { STEP(DATA, 65536), STEP(ABORT, 0) },
      4, "the connection broke" },
    { "reset by HTTP/2 in the middle", { STEP(DATA, 65536), STEP(RESET, 2) },
      4, "the connection broke" },
    { "closed before the trailer", { STEP(REST, 0), STEP(CLOSE, 0) },
      4, "the connection broke" },
    { "closed before the status", { STEP(REST, 0), STEP(TRAILER, 0), STEP(CLOSE, 0) },
      4, "the connection broke" },
    { "stalls at once", { STEP(STALL, 0) },
      4, "no payload arrived for" },
    { "stalls in the middle", { STEP(DATA, 65536), STEP(STALL, 0) },
      4, "no payload arrived for" },
    { "stalls before the trailer", { STEP(REST, 0), STEP(STALL, 0) },
      4, "no payload arrived for" },
    { "stalls before the status", { STEP(REST, 0), STEP(TRAILER, 0), STEP(STALL, 0) },
      4, "no payload arrived for" },
    { "drips", { STEP(DRIP, 20) },
      4, "bytes a second" },
    { "empty messages without end", { STEP(DATA, 65536), STEP(EMPTY, UINT64_MAX) },
      3, "read error" },
    { "ends without a status", { STEP(REST, 0), STEP(TRAILER, 0), STEP(NO_STATUS, 0) },
      4, "status" },
    { "ends at once without a status", { STEP(NO_STATUS, 0) },
      4, "status" },
    { "ends early with status 0", { STEP(DATA, 65536), STEP(STATUS, 0) },
      3, "before the database did" },
    { "ends early and empty", { STEP(STATUS, 0) },
      3, "the stream is empty" },
    { "unavailable after all data", { STEP(REST, 0), STEP(TRAILER, 0),
                                      STEP(STATUS, 14, .text = "server%20stopping") },
      4, "server stopping" },
    { "internal after all data", { STEP(REST, 0), STEP(TRAILER, 0),
                                   STEP(STATUS, 13, .text = "disk%1b%5b31m") },
      4, "disk" },
    { "remaining_bytes too large", { STEP(DATA, 65536), STEP(LIE, 512) },
      3, "were still to come" },
    { "remaining_bytes wraps", { STEP(DATA, 65536), STEP(REMAINING, UINT64_MAX) },
      3, "were still to come" },
    { "remaining_bytes huge at once", { STEP(REMAINING, (uint64_t)1 << 62) },
      3, "the limit is" },
    { "a blob twice", { STEP(DATA, 65536), STEP(REPEAT, 0) },
      3, "were still to come" },
    { "no trailer", { STEP(REST, 0), STEP(STATUS, 0) },
      3, "without its SHA-256 trailer" },
    { "wrong trailer", { STEP(REST, 0), STEP(BAD_TRAILER, 0) },
      3, "SHA-256" },
    { "trailer of zeros", { STEP(REST, 0), STEP(ZERO_TRAILER, 0) },
      3, "SHA-256" },
    { "two trailers", { STEP(REST, 0), STEP(TRAILER, 0), STEP(TRAILER, 0) },
      3, "64 bytes follow the database" },
    { "half a trailer", { STEP(REST, 0), STEP(HALF_TRAILER, 16) },
      3, "without its SHA-256 trailer" },
    { "bytes after the trailer", { STEP(REST, 0), STEP(TRAILER, 0), STEP(GARBAGE, 9) },
      3, "no valid SnapshotResponse" },
    { "garbage", { STEP(DATA, 65536), STEP(GARBAGE, 100) },
      3, "no valid SnapshotResponse" },
    { "a frame of 4 GiB", { STEP(DATA, 65536), STEP(FRAME, UINT32_MAX) },
      3, "the limit is" },
    { "a compressed frame", { STEP(DATA, 65536), STEP(FRAME, 100, .m = 1) },
      3, "compress" },
};
/* clang-format on */

static size_t steps_of(const struct tale *t)
{
    size_t n = 0;

    while (n < 4 && t->steps[n].what != 0)
        n++;
    return n;
}

/* Short for those that stall; on a busy machine the others are late too. */
static void save_to(struct proc *p, const char *endpoint, const char *file,
                    const char *stall)
{
    const char *const sealed[] = {
        HOLDFAST_BIN,      "snapshot", "save",        file,      "--endpoints", endpoint,
        "--stall-timeout", stall,      "--recipient", RECIPIENT, NULL
    };
    const char *const raw[] = {
        HOLDFAST_BIN, "snapshot",        "save", file, "--endpoints",
        endpoint,     "--stall-timeout", stall,  NULL
    };
    const struct proc_options o = { .timeout_s = 20 };

    proc_run(p, &o, strstr(file, ".age") != NULL ? sealed : raw);
}

static void tell(const struct tale *t, const char *name)
{
    struct fake_script script = script_of(t->steps, steps_of(t));
    const char *dir = tmpdir_new();
    enum fake_what last = t->steps[steps_of(t) - 1].what;
    AT_END(proc_end) struct proc p = { 0 };
    FAKE f = fake_start(&script);

    save_to(&p, fake_endpoint(f), path_in(dir, name),
            last == FAKE_STALL || last == FAKE_DRIP ? "400ms" : "30s");
    cr_expect(p.status == t->status && strstr(p.err, t->says) != NULL &&
                  strstr(p.err, fake_endpoint(f)) != NULL && p.out[0] == '\0' &&
                  strstr(p.err, "keep the damaged file") == NULL,
              "%s: exit %d, %s%s", t->name, p.status, p.out, p.err);
    cr_expect_null(strchr(p.err, '\033'), "%s", t->name);
    cr_expect_str_eq(dir_listing(dir), "", "%s", t->name);
    cr_expect_eq(fake_calls(f, "Maintenance/Snapshot"), 1, "%s", t->name);
}

STREAM(whatever_the_member_does_no_file_appears)
{
    for (size_t i = 0; i < sizeof tales / sizeof tales[0]; i++)
        tell(&tales[i], i % 2 == 0 ? "x.db" : "x.db.zst.age");
}

/* ---- damage that the stream does not show --------------------------------------------
 */

/* The trailer certifies what the member read from its disk, bad sectors included. */
STREAM(a_damaged_database_with_a_right_trailer_is_not_stored)
{
    const char *dir = tmpdir_new();
    struct fake_script script = script_of(NULL, 0);
    FAKE f = NULL;
    AT_END(proc_end) struct proc p = { 0 };
    uint64_t root = le64(snapshot.p + 32);

    snapshot.p[root * 4096 + 8] ^= 0x10; /* what kind of page it is */
    f = fake_start(&script);
    save_to(&p, fake_endpoint(f), path_in(dir, "x.db"), "30s");
    cr_assert_eq(p.status, 3, "%s", p.err);
    cr_assert(strstr(p.err, "the member sent a damaged database") != NULL, "%s", p.err);
    cr_assert(strstr(p.err, "page") != NULL, "%s", p.err);
    cr_assert_str_eq(dir_listing(dir), "");
}

/* Rot that the trailer vouches for: stored exactly as sent, and only when the survey
 * found nothing wrong, as verify finds nothing in the stored file. */
STREAM(rot_on_the_members_disk_is_stored_only_when_it_cannot_be_seen)
{
    unsigned turns = golden_effort(16, 1000), refused = 0;
    uint64_t seed = 6, pages = snapshot.n / 4096;
    const char *dir = tmpdir_new();

    for (unsigned i = 0; i < turns; i++) {
        /* Every other one where headers and elements are. */
        uint64_t bit = golden_random(&seed) % pages * 4096 * 8 +
                       golden_random(&seed) % (i % 2 == 0 ? 4096 * 8 : 64 * 8);
        struct fake_script script = script_of(NULL, 0);
        AT_END(proc_end) struct proc p = { 0 };
        FAKE f = NULL;

        snapshot.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
        f = fake_start(&script);
        save_to(&p, fake_endpoint(f), path_in(dir, "x.db"), "30s");
        cr_assert(p.status == 0 || p.status == 3, "bit %llu: exit %d, %s",
                  (unsigned long long)bit, p.status, p.err);
        cr_assert_str_eq(dir_listing(dir), p.status == 0 ? "x.db" : "", "bit %llu",
                         (unsigned long long)bit);
        refused += p.status == 3;
        if (p.status == 0) {
            HOLDFAST(v, "snapshot", "verify", path_in(dir, "x.db"));
            cr_assert_eq(v.status, 0, "bit %llu: %s", (unsigned long long)bit, v.err);
            unlink(path_in(dir, "x.db"));
        }
        snapshot.p[bit / 8] ^= (uint8_t)(1U << bit % 8);
    }
    cr_assert_gt(refused, 0, "no bit of %u was noticed", turns);
}

/* ---- cut anywhere ---------------------------------------------------------------------
 */

struct attempt {
    struct err e;
    enum rc rc;
    char listing[64];
};

/* In this process: some hundred cuts would take long through the program. */
static void cut_after(uint64_t bytes, struct attempt *a)
{
    const char *dir = scratch;
    struct fake_script script = script_of(NULL, 0);
    AT_END(snap_saved_clear) struct snap_saved saved = { 0 };
    struct snap_save_options o = { .file = path_in(dir, "x.db") };
    OWNED(wire_client) c = NULL;

    script.close_after = bytes;
    FAKE f = fake_start(&script);
    const struct wire_options w = { .endpoints = fake_endpoint(f),
                                    .stall_timeout_ms = 5000 };

    a->rc = wire_client_new(&w, &c, &a->e);
    if (a->rc == RC_OK)
        a->rc = snap_save(c, &o, &saved, &a->e);
    snprintf(a->listing, sizeof a->listing, "%s", dir_listing(dir));
    unlink(path_in(dir, "x.db"));
}

STREAM(a_connection_cut_after_any_byte_stores_nothing)
{
    unsigned turns = golden_effort(120, 5000), stored = 0, cut = 0;
    uint64_t seed = 2;

    for (unsigned i = 0; i < turns; i++) {
        /* Densely around the first answers and the end, at random between. */
        uint64_t n = snapshot.n;
        uint64_t at = i % 3 == 0   ? 1 + golden_random(&seed) % 2000
                      : i % 3 == 1 ? n - 400 + golden_random(&seed) % 1600
                                   : 1 + golden_random(&seed) % n;
        struct attempt a = { 0 };

        cut_after(at, &a);
        if (a.rc == RC_OK)
            stored++;
        else
            cut++;
        cr_assert(a.rc == RC_OK || a.rc == RC_NET || a.rc == RC_CORRUPT,
                  "cut at %llu: %s %s", (unsigned long long)at, rc_name(a.rc), a.e.why);
        cr_assert_str_eq(a.listing, a.rc == RC_OK ? "x.db" : "", "cut at %llu",
                         (unsigned long long)at);
    }
    cr_assert(stored > 0 && cut > turns / 2, "%u stored, %u cut", stored, cut);
}

/* ---- another member -------------------------------------------------------------------
 */

static void save_from_two(const struct tale *t, struct proc *p, const char *file)
{
    struct fake_script bad = script_of(t->steps, steps_of(t)), good = script_of(NULL, 0);
    char endpoints[160];
    FAKE first = NULL;
    FAKE second = NULL;

    bad.member_id = 0x11;
    good.member_id = 0x12;
    first = fake_start(&bad);
    second = fake_start(&good);
    snprintf(endpoints, sizeof endpoints, "%s,%s", fake_endpoint(first),
             fake_endpoint(second));
    save_to(p, endpoints, file, strstr(t->name, "stall") != NULL ? "1s" : "30s");
    cr_assert_eq(fake_calls(first, "Maintenance/Snapshot"), 1, "it is asked first");
    if (p->status == 0)
        cr_assert_not_null(strstr(p->out, fake_endpoint(second)), "%s", p->out);
}

STREAM(when_one_member_fails_the_next_one_is_asked)
{
    static const size_t chosen[] = { 1, 2, 7, 11, 12, 16, 23 };

    for (size_t i = 0; i < sizeof chosen / sizeof chosen[0]; i++) {
        const struct tale *t = &tales[chosen[i]];
        const char *dir = tmpdir_new(), *file = path_in(dir, "x.db");
        AT_END(proc_end) struct proc p = { 0 };

        save_from_two(t, &p, file);
        cr_assert_eq(p.status, 0, "%s: %s", t->name, p.err);
        cr_assert_not_null(strstr(p.err, "trying another member"), "%s: %s", t->name,
                           p.err);
        cr_assert(golden_same(file, snapshot), "%s", t->name);
        cr_assert_str_eq(dir_listing(dir), "x.db", "%s", t->name);
    }
}

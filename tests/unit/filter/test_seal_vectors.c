/* The test vectors of the age format; tests/golden/age/README.md says what they are. */
#include "tests/unit/filter/test_seal.h"

#include <dirent.h>
#include <isa-l/igzip_lib.h>
#include <stdio.h>

#include "util/os.h"
#include "util/str.h"

enum { PLAIN_MAX = 32 << 20 };

/* One vector, read. */
struct vector {
    uint8_t *memory;
    struct bytes head, file;
    struct buf inflated;
};

/* The value of the nth line "key: value". */
static bool header_line(const struct vector *v, const char *key, size_t nth,
                        char out[static 256])
{
    struct bytes rest = v->head;

    while (rest.n > 0) {
        const uint8_t *end = memchr(rest.p, '\n', rest.n);
        size_t n = (size_t)(end - rest.p), skip = strlen(key) + 2;

        if (bytes_starts(rest, key) && rest.p[skip - 2] == ':' && nth-- == 0) {
            snprintf(out, 256, "%.*s", (int)(n - skip), (const char *)rest.p + skip);
            return true;
        }
        rest = (struct bytes){ end + 1, rest.n - n - 1 };
    }
    return false;
}

static void inflate_file(struct vector *v)
{
    struct inflate_state state;
    struct err e = { 0 };

    OK(buf_reserve(&v->inflated, PLAIN_MAX, &e), &e);
    isal_inflate_init(&state);
    state.crc_flag = ISAL_ZLIB;
    AT_END(mem_end) uint8_t *in = mem_copy(v->file.p, v->file.n);
    state.next_in = in;
    state.avail_in = (uint32_t)v->file.n;
    state.next_out = v->inflated.p;
    state.avail_out = PLAIN_MAX;
    cr_assert_eq(isal_inflate(&state), ISAL_DECOMP_OK);
    cr_assert_eq(state.block_state, ISAL_BLOCK_FINISH);
    v->file = (struct bytes){ v->inflated.p, state.total_out };
}

static void read_vector(const char *name, struct vector *v)
{
    char path[300], value[256];
    const uint8_t *end;
    struct err e = { 0 };
    size_t n = 0;

    snprintf(path, sizeof path, "tests/golden/age/%s", name);
    OK(os_read_file(path, 1 << 20, &v->memory, &n, &e), &e);
    end = memmem(v->memory, n, "\n\n", 2);
    cr_assert_not_null(end, "%s", name);
    v->head = (struct bytes){ v->memory, (size_t)(end + 1 - v->memory) };
    v->file = (struct bytes){ end + 2, n - v->head.n - 1 };
    if (header_line(v, "compressed", 0, value))
        inflate_file(v);
}

static void vector_end(struct vector *v)
{
    mem_free(v->memory);
    buf_clear(&v->inflated);
}

/* Which of the format's verdicts an error of ours is. */
static const char *verdict(const struct err *e)
{
    static const struct {
        const char *begin, *verdict;
    } names[] = {
        { "this is not an age file", "header failure" },
        { "the age header is malformed", "header failure" },
        { "the age header was changed", "HMAC failure" },
        { "the age armor is malformed", "armor failure" },
        { "the encrypted data is ", "payload failure" },
        { "none of the ", "no match" },
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(e->why, names[i].begin, strlen(names[i].begin)) == 0) {
            bool nokey = strcmp(names[i].verdict, "no match") == 0;

            cr_assert_eq(e->code, nokey ? RC_NOKEY : RC_CORRUPT, "%s", e->why);
            return names[i].verdict;
        }
    return e->why;
}

static void assert_payload(const char *name, const struct vector *v,
                           const struct collected *back)
{
    uint8_t digest[SHA256_SIZE];
    char expected[256], hex[2 * SHA256_SIZE + 1];
    OWNED(sha256) h = NULL;
    struct err e = { 0 };

    if (!header_line(v, "payload", 0, expected)) {
        cr_assert_eq(back->got.n, 0, "%s: plaintext came out", name);
        return;
    }
    OK(sha256_new(&h, &e), &e);
    OK(sha256_add(h, back->got.p, back->got.n, &e), &e);
    OK(sha256_end(h, digest, &e), &e);
    str_hex(hex, digest, sizeof digest);
    cr_assert_str_eq(hex, expected, "%s: %zu bytes came out", name, back->got.n);
}

/* The identities of a vector; false when they are all post-quantum. Those must be
 * refused by name. */
static bool identities_of(const char *name, const struct vector *v,
                          struct age_identities *ids)
{
    char value[256];
    struct err e = { 0 };
    size_t refused = 0;

    for (size_t i = 0; header_line(v, "identity", i, value); i++) {
        if (strncmp(value, "AGE-SECRET-KEY-PQ-", 18) != 0) {
            OK(age_identities_add(ids, value, &e), &e);
            continue;
        }
        refused++;
        cr_assert_eq(age_identities_add(ids, value, &e), RC_USAGE, "%s", name);
        cr_assert_str_eq(e.why, "unsupported identity: it is a post-quantum key");
    }
    for (size_t i = 0; header_line(v, "passphrase", i, value); i++) {
        OWNED(secret) word = NULL;

        OK(secret_new(bytes_str(value), &word, &e), &e);
        OK(age_identities_add_passphrase(ids, word, &e), &e);
    }
    return refused == 0 || ids->count > 0;
}

static enum rc open_vector(const struct vector *v, const struct age_identities *ids,
                           bool armored, size_t piece, struct collected *back,
                           struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(collect_new(back, &chain, e));
    TRY(unseal_sink_new(GIVE(chain), ids, &chain, e));
    if (armored)
        TRY(unarmor_sink_new(GIVE(chain), ARMOR_REQUIRED, &chain, e));
    TRY(write_pieces(chain, v->file.p, v->file.n, piece, e));
    return sink_finish(chain, e);
}

static void check_vector(const char *name, const struct vector *v,
                         const struct age_identities *ids, size_t piece)
{
    COLLECTED back = { 0 };
    COLLECTED detected = { 0 };
    char expect[256], armored[256];
    struct err e = { 0 };
    bool armor = header_line(v, "armored", 0, armored);
    enum rc rc = open_vector(v, ids, armor, piece, &back, &e), again;

    cr_assert(header_line(v, "expect", 0, expect));
    cr_assert_str_eq(rc == RC_OK ? "success" : verdict(&e), expect, "%s: %s", name,
                     e.why);
    cr_assert_eq(back.finishes, rc == RC_OK, "%s", name);
    assert_payload(name, v, &back);
    if (!armor)
        return;
    again = open_vector(v, ids, false, piece, &detected, &e);
    cr_assert_eq(again, rc, "%s: %s", name, e.why);
    cr_assert(bytes_equal(collected_bytes(&detected), collected_bytes(&back)), "%s",
              name);
}

/* Small pieces only for small files, and once for scrypt, whose price is by the file. */
static bool run_vector(const char *name)
{
    [[gnu::cleanup(vector_end)]] struct vector v = { 0 };
    OWNED(age_identities) ids = NULL;
    struct err e = { 0 };
    bool cheap;

    v.inflated.cap_max = PLAIN_MAX;
    OK(age_identities_new(&ids, &e), &e);
    read_vector(name, &v);
    if (!identities_of(name, &v, ids))
        return false;
    cheap = v.file.n < 1 << 20 && strstr(name, "scrypt") == NULL;
    for
        EACH_PIECE(i)
    if (cheap || pieces[i] > 7)
        check_vector(name, &v, ids, pieces[i]);
    return true;
}

CASE(filter_seal_vectors, all_get_their_verdict_and_release_their_payload)
{
    DIR *all = opendir("tests/golden/age");
    size_t run = 0, skipped = 0;
    const struct dirent *d;

    cr_assert_not_null(all);
    while ((d = readdir(all)) != NULL) {
        if (d->d_name[0] == '.' || str_ends(d->d_name, ".md"))
            continue;
        if (run_vector(d->d_name))
            run++;
        else
            skipped++;
    }
    closedir(all);
    cr_assert_eq(run, 125);
    cr_assert_eq(skipped, 18, "post-quantum identities alone");
}

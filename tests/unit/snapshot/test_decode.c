#include "snapshot/decode.h"

#include <stdlib.h>
#include <string.h>

#include "filter/zstd.h"
#include "snapshot/gate.h"
#include "tests/lib/case.h"
#include "util/bytes.h"
#include "util/mem.h"

/* A sink that keeps what it gets, for the tests of decoding. */
struct keep_sink {
    struct sink base;
    struct buf *to;
};

static enum rc keep_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    return buf_add(((struct keep_sink *)s)->to, p, n, e);
}

static const struct sink_ops keep_ops = { .name = "keep", .write = keep_write };

static struct sink *keep_new(struct buf *to)
{
    struct keep_sink *k = mem_zero(sizeof *k);

    k->base.ops = &keep_ops;
    k->to = to;
    return &k->base;
}

static void keys(struct age_recipients **to, struct age_identities **ids)
{
    char file[AGE_KEYGEN_SIZE], recipient[AGE_RECIPIENT_SIZE];
    struct err e = { 0 };

    OK(age_keygen(file, recipient, &e), &e);
    OK(age_recipients_new(to, &e), &e);
    OK(age_recipients_add(*to, recipient, &e), &e);
    OK(age_identities_new(ids, &e), &e);
    *strchr(strstr(file, "AGE-SECRET-KEY-"), '\n') = '\0';
    OK(age_identities_add(*ids, strstr(file, "AGE-SECRET-KEY-"), &e), &e);
}

static void wrap(struct snap_kind kind, const struct age_recipients *to, const char *text,
                 struct buf *out)
{
    OWNED(sink) chain = keep_new(out);
    struct err e = { 0 };

    if (kind.age)
        OK(seal_sink_new(GIVE(chain), to, &chain, &e), &e);
    if (kind.zstd)
        OK(zstd_sink_new(GIVE(chain), 1, 0, &chain, &e), &e);
    OK(sink_write(chain, text, strlen(text), &e), &e);
    OK(sink_finish(chain, &e), &e);
}

static enum rc unwrap(const struct buf *in, size_t piece,
                      const struct age_identities *ids, struct snap_kind *kind,
                      struct buf *out, struct err *e)
{
    OWNED(sink) chain = NULL;

    TRY(snap_decode_sink_new(keep_new(out), ids, kind, &chain, e));
    for (size_t at = 0; at < in->n; at += piece)
        TRY(sink_write(chain, in->p + at, in->n - at < piece ? in->n - at : piece, e));
    return sink_finish(chain, e);
}

CASE(snapshot_decode, recognises_every_wrapping_by_its_first_bytes)
{
    static const size_t pieces[] = { 1, 2, 7, 65536 };
    static const char text[] = "a database of more than thirty-five bytes, for the head";
    OWNED(age_recipients) to = NULL;
    OWNED(age_identities) ids = NULL;

    keys(&to, &ids);
    for (unsigned i = 0; i < 16; i++) {
        struct snap_kind kind = { .zstd = i & 1, .age = i >> 1 & 1 }, seen;
        AT_END(buf_clear) struct buf stored = { 0 };
        AT_END(buf_clear) struct buf back = { 0 };
        struct err e = { 0 };

        wrap(kind, to, text, &stored);
        OK(unwrap(&stored, pieces[i >> 2], ids, &seen, &back, &e), &e);
        cr_assert(back.n == strlen(text) && memcmp(back.p, text, back.n) == 0, "%u", i);
        cr_assert(seen.zstd == kind.zstd && seen.age == kind.age, "%u", i);
    }
}

CASE(snapshot_decode, short_and_empty_input_passes_through)
{
    static const char *const texts[] = { "", "x", "age-encryption.or" };

    for (size_t i = 0; i < 3; i++) {
        AT_END(buf_clear) struct buf in = { 0 };
        AT_END(buf_clear) struct buf back = { 0 };
        struct err e = { 0 };

        OK(buf_add(&in, texts[i], strlen(texts[i]), &e), &e);
        OK(unwrap(&in, 1, NULL, NULL, &back, &e), &e);
        cr_assert_eq(back.n, in.n, "%s", texts[i]);
    }
}

CASE(snapshot_decode, without_an_identity_nothing_opens)
{
    OWNED(age_recipients) to = NULL;
    OWNED(age_identities) ids = NULL;
    AT_END(buf_clear) struct buf stored = { 0 };
    AT_END(buf_clear) struct buf back = { 0 };
    struct snap_kind seen;
    struct err e = { 0 };

    keys(&to, &ids);
    wrap((struct snap_kind){ .age = true }, to, "secret text that nobody reads", &stored);
    cr_assert_eq(unwrap(&stored, 512, NULL, &seen, &back, &e), RC_NOKEY);
    cr_assert_eq(back.n, 0);
    cr_assert_not_null(strstr(e.hint, "--identity"), "%s", e.hint);
}

CASE(snapshot_decode, every_truncation_is_noticed)
{
    OWNED(age_recipients) to = NULL;
    OWNED(age_identities) ids = NULL;
    AT_END(buf_clear) struct buf stored = { 0 };

    keys(&to, &ids);
    wrap((struct snap_kind){ .age = true, .zstd = true }, to,
         "a database that is cut short somewhere on its way", &stored);
    /* From the point on where it is recognised as an age file. */
    for (size_t n = 35; n < stored.n; n++) {
        struct buf cut = { .p = stored.p, .n = n };
        AT_END(buf_clear) struct buf back = { 0 };
        struct snap_kind seen;
        struct err e = { 0 };

        cr_assert_eq(unwrap(&cut, 512, ids, &seen, &back, &e), RC_CORRUPT, "%zu bytes",
                     n);
    }
}

CASE(snapshot_kind, is_told_by_the_name_when_written)
{
    static const struct {
        const char *name;
        bool zstd, age;
    } cases[] = {
        { "x.db", false, false },
        { "x.db.zst", true, false },
        { "x.db.age", false, true },
        { "x.db.zst.age", true, true },
        { "x.age.zst", true, false },
        { "zst", false, false },
        { "/a.age/snapshot", false, false },
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct snap_kind k = snap_kind_of_name(cases[i].name);

        cr_assert(k.zstd == cases[i].zstd && k.age == cases[i].age, "%s", cases[i].name);
    }
}

static enum rc refuse(void *arg, struct err *e)
{
    ++*(int *)arg;
    return err_set(e, RC_REFUSED, "no");
}

struct end_sink {
    struct sink base;
    int *finished;
};

static enum rc end_finish(struct sink *s, struct err *e)
{
    (void)e;
    ++*((struct end_sink *)s)->finished;
    return RC_OK;
}

CASE(snapshot_gate, what_follows_is_finished_only_when_it_opens)
{
    static const struct sink_ops ops = { .name = "end", .finish = end_finish };
    struct end_sink *end = mem_zero(sizeof *end);
    int asked = 0, finished = 0;
    OWNED(sink) chain = &end->base;
    struct err e = { 0 };

    *end = (struct end_sink){ .base.ops = &ops, .finished = &finished };
    OK(gate_sink_new(GIVE(chain), refuse, &asked, &chain, &e), &e);
    cr_assert_eq(sink_finish(chain, &e), RC_REFUSED);
    cr_assert(asked == 1 && finished == 0);
}

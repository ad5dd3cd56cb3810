#include "tests/store/contract.h"

#include <stdio.h>
#include <string.h>

#include "tests/lib/case.h"
#include "util/clock.h"

enum { KEY = 600, PIECE = 70001 };

/* "PREFIXname" in one of eight rotating buffers. */
static const char *below(const char *prefix, const char *name)
{
    static char keys[8][KEY];
    static unsigned turn;
    char *to = keys[turn++ % 8];

    snprintf(to, KEY, "%s%s", prefix, name);
    return to;
}

static enum rc add_key(void *arg, const struct store_info *info, struct err *e)
{
    char *text = arg;
    size_t used = strlen(text);

    (void)e;
    cr_assert(used + strlen(info->key) + 2 < 16384);
    snprintf(text + used, 16384 - used, "%s%s", used == 0 ? "" : " ", info->key);
    return RC_OK;
}

const char *store_listing(struct store *s, const char *prefix)
{
    static char text[16384];
    struct err e = { 0 };

    text[0] = '\0';
    OK(store_list(s, prefix, add_key, text, &e), &e);
    return text;
}

bool store_holds(struct store *s, const char *key, const char *text)
{
    AT_END(buf_clear) struct buf got = { 0 };
    struct err e = { 0 };

    OK(store_get_bytes(s, key, 1 << 20, &got, &e), &e);
    return bytes_is((struct bytes){ got.p, got.n }, text);
}

static uint8_t pattern(uint64_t at)
{
    return (uint8_t)(at * 7 + (at >> 11) + (at >> 21));
}

enum rc store_put_pattern(struct store *s, const char *key, const struct store_put *o,
                          uint64_t n, struct err *e)
{
    static uint8_t piece[PIECE];
    OWNED(sink) to = NULL;

    TRY(store_put_new(s, key, o, &to, e));
    for (uint64_t at = 0; at < n;) {
        size_t k = n - at < PIECE ? (size_t)(n - at) : PIECE;

        for (size_t i = 0; i < k; i++)
            piece[i] = pattern(at + i);
        TRY(sink_write(to, piece, k, e));
        at += k;
    }
    return sink_finish(to, e);
}

struct compare {
    struct sink base;
    uint64_t at;
    unsigned finishes;
    bool same;
};

static enum rc compare_write(struct sink *s, const uint8_t *p, size_t n, struct err *e)
{
    struct compare *c = (struct compare *)s;

    (void)e;
    for (size_t i = 0; i < n; i++)
        c->same = c->same && p[i] == pattern(c->at + i);
    c->at += n;
    return RC_OK;
}

static enum rc compare_finish(struct sink *s, struct err *e)
{
    (void)e;
    ((struct compare *)s)->finishes++;
    return RC_OK;
}

bool store_has_pattern(struct store *s, const char *key, uint64_t n)
{
    static const struct sink_ops ops = { .name = "compare",
                                         .write = compare_write,
                                         .finish = compare_finish };
    struct compare c = { .base.ops = &ops, .same = true };
    struct err e = { 0 };

    OK(store_get(s, key, &c.base, &e), &e);
    return c.same && c.at == n && c.finishes == 1;
}

static void put(struct store *s, const char *key, const char *text)
{
    struct err e = { 0 };

    OK(store_put_bytes(s, key, NULL, bytes_str(text), &e), &e);
}

static void objects_come_back(struct store *s, const char *prefix)
{
    const uint64_t sizes[] = { 0, 1, 4096, 5000, (5 << 20) + 77 };
    const char *key = below(prefix, "size");
    struct store_info info;
    struct err e = { 0 };

    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        OK(store_put_pattern(s, key, NULL, sizes[i], &e), &e);
        cr_assert(store_has_pattern(s, key, sizes[i]), "size %llu",
                  (unsigned long long)sizes[i]);
        OK(store_stat(s, key, &info, &e), &e);
        cr_assert_eq(info.size, sizes[i]);
        cr_assert_str_eq(info.key, key);
        cr_assert(info.modified_ms == 0 ||
                      (info.modified_ms > clock_unix_ms() - 86400000 &&
                       info.modified_ms < clock_unix_ms() + 86400000),
                  "%lld", (long long)info.modified_ms);
        OK(store_remove(s, key, &e), &e);
    }
}

static void what_is_missing_is_not_found(struct store *s, const char *prefix)
{
    AT_END(buf_clear) struct buf got = { 0 };
    const char *const names[] = { "none", "no/such/thing" };
    struct store_info info;

    for (int i = 0; i < 2; i++) {
        const char *key = below(prefix, names[i]);
        struct err e = { 0 };

        cr_assert_eq(store_get_bytes(s, key, 10, &got, &e), RC_NOTFOUND, "%s", e.why);
        cr_assert_eq(store_stat(s, key, &info, &e), RC_NOTFOUND, "%s", e.why);
        OK(store_remove(s, key, &e), &e);
    }
    cr_assert_str_eq(store_listing(s, below(prefix, "no/such/")), "");
}

static void what_is_stored_stays(struct store *s, const char *prefix)
{
    const struct store_put replace = { .replace = true };
    const char *key = below(prefix, "deep/down/object");
    struct err e = { 0 };

    put(s, key, "first");
    cr_assert_eq(store_put_bytes(s, key, NULL, bytes_str("second"), &e), RC_REFUSED);
    cr_assert(strstr(e.why, "exists already") != NULL, "%s", e.why);
    cr_assert(store_holds(s, key, "first"));
    OK(store_put_bytes(s, key, &replace, bytes_str("third"), &e), &e);
    cr_assert(store_holds(s, key, "third"));
    OK(store_remove(s, key, &e), &e);
    OK(store_put_bytes(s, key, &replace, bytes_str("new"), &e), &e);
    cr_assert(store_holds(s, key, "new"));
    OK(store_remove(s, key, &e), &e);
}

static void an_abandoned_put_leaves_nothing(struct store *s, const char *prefix)
{
    const char *key = below(prefix, "half/object");
    OWNED(sink) half = NULL;
    struct err e = { 0 };

    OK(store_put_new(s, key, NULL, &half, &e), &e);
    OK(sink_write(half, "half", 4, &e), &e);
    cr_assert_str_eq(store_listing(s, prefix), "");
    sink_free(GIVE(half));
    cr_assert_str_eq(store_listing(s, prefix), "");
}

static void of_two_puts_one_wins(struct store *s, const char *prefix)
{
    const char *key = below(prefix, "two");
    OWNED(sink) first = NULL;
    OWNED(sink) second = NULL;
    struct err e = { 0 };

    OK(store_put_new(s, key, NULL, &first, &e), &e);
    OK(store_put_new(s, key, NULL, &second, &e), &e);
    OK(sink_write(first, "first", 5, &e), &e);
    OK(sink_write(second, "second", 6, &e), &e);
    OK(sink_finish(second, &e), &e);
    cr_assert_eq(sink_finish(first, &e), RC_REFUSED, "%s", e.why);
    sink_free(GIVE(first));
    cr_assert(store_holds(s, key, "second"));
    OK(store_remove(s, key, &e), &e);
}

/* '-' and '.' come before '/', digits and letters after it. */
static const char *const names[] = { "a",   "a-b/x", "a.b", "a0/x",    "aa",
                                     "b/x", "b/y/z", "c-",  "c/d/e/f", "z" };
enum { NAMES = sizeof names / sizeof names[0] };

static void lists_are_in_order(struct store *s, const char *prefix)
{
    char expected[1024] = "";
    struct err e = { 0 };

    for (size_t i = 0; i < NAMES; i++)
        put(s, below(prefix, names[(i * 7 + 3) % NAMES]), "x");
    for (size_t i = 0; i < NAMES; i++) {
        size_t used = strlen(expected);

        snprintf(expected + used, sizeof expected - used, "%s%s%s", i == 0 ? "" : " ",
                 prefix, names[i]);
    }
    cr_assert_str_eq(store_listing(s, prefix), expected);
    snprintf(expected, sizeof expected, "%sb/x %sb/y/z", prefix, prefix);
    cr_assert_str_eq(store_listing(s, below(prefix, "b/")), expected);
    for (size_t i = 0; i < NAMES; i++)
        OK(store_remove(s, below(prefix, names[i]), &e), &e);
}

static enum rc stop_at_second(void *arg, const struct store_info *info, struct err *e)
{
    if (++*(int *)arg < 2)
        return RC_OK;
    cr_assert_eq(info->size, 2);
    return err_set(e, RC_LOCKED, "enough");
}

static void a_list_ends_when_told(struct store *s, const char *prefix)
{
    struct err e = { 0 };
    int calls = 0;

    put(s, below(prefix, "1"), "1");
    put(s, below(prefix, "2"), "22");
    put(s, below(prefix, "3"), "333");
    cr_assert_eq(store_list(s, prefix, stop_at_second, &calls, &e), RC_LOCKED);
    cr_assert_eq(calls, 2);
    for (int i = 1; i <= 3; i++)
        OK(store_remove(s, below(prefix, (char[]){ (char)('0' + i), '\0' }), &e), &e);
}

static void small_means_small(struct store *s, const char *prefix)
{
    AT_END(buf_clear) struct buf got = { 0 };
    const char *key = below(prefix, "small");
    struct err e = { 0 };

    put(s, key, "12345");
    cr_assert_eq(store_get_bytes(s, key, 4, &got, &e), RC_CORRUPT, "%s", e.why);
    OK(store_get_bytes(s, key, 5, &got, &e), &e);
    OK(store_remove(s, key, &e), &e);
}

void contract_holds(struct store *s, const char *prefix, bool exclusive)
{
    struct store_traits traits;
    struct err e = { 0 };
    uint64_t swept = 99;

    cr_assert_str_eq(store_listing(s, prefix), "");
    OK(store_probe(s, prefix, &traits, &e), &e);
    cr_assert_eq(traits.exclusive, exclusive);
    objects_come_back(s, prefix);
    what_is_missing_is_not_found(s, prefix);
    what_is_stored_stays(s, prefix);
    an_abandoned_put_leaves_nothing(s, prefix);
    if (exclusive)
        of_two_puts_one_wins(s, prefix);
    lists_are_in_order(s, prefix);
    a_list_ends_when_told(s, prefix);
    small_means_small(s, prefix);
    OK(store_sweep(s, prefix, &swept, &e), &e);
    cr_assert_eq(swept, 0);
    cr_assert_str_eq(store_listing(s, prefix), "");
}

/* Who tests with a store that fails must be able to trust its failures. */
#include "tests/lib/case.h"
#include "tests/store/contract.h"
#include "tests/store/faultstore.h"

static struct store *open_memory(void)
{
    const struct store_options o = { .url = "memory:" };
    struct store *s = NULL;
    struct err e = { 0 };

    OK(store_open(&o, &s, &e), &e);
    return s;
}

static enum rc put(struct store *s, const char *key, const char *text, struct err *e)
{
    return store_put_bytes(s, key, NULL, bytes_str(text), e);
}

CASE(faultstore, holds_the_contract_while_nothing_is_planned)
{
    OWNED(store) inner = open_memory();
    OWNED(store) s = faultstore_new(inner);

    contract_holds(s, "", true);
}

CASE(faultstore, a_put_fails_is_lost_or_dropped)
{
    OWNED(store) inner = open_memory();
    OWNED(store) s = faultstore_new(inner);
    const struct store_plan fails = { STORE_PUT, 2, NULL, STORE_FAILS, RC_NET };
    const struct store_plan loses = { STORE_PUT, 1, "b", STORE_LOSES, RC_NET };
    const struct store_plan drops = { STORE_PUT, 1, NULL, STORE_DROPS, RC_OK };
    struct err e = { 0 };

    faultstore_arm(s, &fails);
    OK(put(s, "a", "1", &e), &e);
    cr_assert_eq(put(s, "b", "2", &e), RC_NET);
    cr_assert(faultstore_disarm(s));
    cr_assert_str_eq(store_listing(s, ""), "a");
    faultstore_arm(s, &loses);
    OK(put(s, "c", "3", &e), &e);
    cr_assert_eq(put(s, "b", "2", &e), RC_NET);
    cr_assert_str_eq(store_listing(s, ""), "a b c");
    faultstore_arm(s, &drops);
    OK(put(s, "d", "4", &e), &e);
    cr_assert_str_eq(store_listing(s, ""), "a b c");
    faultstore_arm(s, &drops);
    cr_assert(!faultstore_disarm(s), "nothing was put since");
    cr_assert_eq(faultstore_count(s, STORE_PUT), 5);
}

CASE(faultstore, a_get_is_cut_or_altered)
{
    OWNED(store) inner = open_memory();
    OWNED(store) s = faultstore_new(inner);
    const struct store_plan cuts = { STORE_GET, 1, NULL, STORE_CUTS, RC_NET };
    const struct store_plan alters = { STORE_GET, 1, NULL, STORE_ALTERS, RC_OK };
    AT_END(buf_clear) struct buf got = { 0 };
    OWNED(sink) to = NULL;
    struct err e = { 0 };

    OK(put(s, "x", "123456", &e), &e);
    OK(buf_sink_new(&got, &to, &e), &e);
    faultstore_arm(s, &cuts);
    cr_assert_eq(store_get(s, "x", to, &e), RC_NET);
    cr_assert(bytes_is((struct bytes){ got.p, got.n }, "123"));
    faultstore_arm(s, &alters);
    cr_assert(store_holds(s, "x",
                          "123\x14"
                          "56"));
    cr_assert(store_holds(s, "x", "123456"));
    store_flip(inner, "x", 0);
    cr_assert(store_holds(s, "x", "023456"));
}

CASE(faultstore, it_goes_back_to_what_was)
{
    OWNED(store) inner = open_memory();
    OWNED(store) s = faultstore_new(inner);
    struct err e = { 0 };

    OK(put(s, "a/1", "old", &e), &e);
    faultstore_remember(s);
    OK(put(s, "a/2", "new", &e), &e);
    OK(store_remove(s, "a/1", &e), &e);
    faultstore_roll_back(s);
    cr_assert_str_eq(store_listing(s, ""), "a/1");
    cr_assert(store_holds(s, "a/1", "old"));
}

CASE(faultstore, a_sweep_reaches_every_call)
{
    OWNED(store) inner = open_memory();
    OWNED(store) s = faultstore_new(inner);
    unsigned runs = 0;

    STORE_SWEEP(s, STORE_ANY, nth, STORE_FAILS, RC_NET)
    {
        struct err e = { 0 };
        bool well = put(s, "x", "1", &e) == RC_OK && store_holds(inner, "x", "1") &&
                    store_remove(s, "x", &e) == RC_OK;

        runs = nth;
        cr_assert_eq(well, nth == 3);
        OK(store_remove(inner, "x", &e), &e);
    }
    cr_assert_eq(runs, 3);
}

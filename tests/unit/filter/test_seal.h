/* What the tests of sealing share: one key pair, and whole files in memory. */
#ifndef TESTS_UNIT_FILTER_TEST_SEAL_H
#define TESTS_UNIT_FILTER_TEST_SEAL_H

#include "filter/seal.h"
#include "tests/lib/case.h"
#include "tests/unit/filter/collect.h"

#define TEST_RECIPIENT "age1xcwh0gy7kmd48n3ga9m584rccykswylpwjh6vcztktw34n86wvksx6n09j"
#define TEST_IDENTITY \
    "AGE-SECRET-KEY-1XV6FM7J26H8N8ULD9PRE8VSG3HE9HYD5Z4SS9F5MGUSX5N0HPUWQFP5MLV"

static inline struct age_recipients *test_recipients(void)
{
    struct age_recipients *r = NULL;
    struct err e = { 0 };

    OK(age_recipients_new(&r, &e), &e);
    OK(age_recipients_add(r, TEST_RECIPIENT, &e), &e);
    return r;
}

static inline struct age_identities *test_identities(void)
{
    struct age_identities *ids = NULL;
    struct err e = { 0 };

    OK(age_identities_new(&ids, &e), &e);
    OK(age_identities_add(ids, TEST_IDENTITY, &e), &e);
    return ids;
}

/* Seals `plain`, with armor around it or without. */
static inline enum rc seal_bytes(struct collected *to, struct bytes plain, size_t piece,
                                 bool armor, struct err *e)
{
    OWNED(age_recipients) r = test_recipients();
    OWNED(sink) chain = NULL;

    TRY(collect_new(to, &chain, e));
    if (armor)
        TRY(armor_sink_new(GIVE(chain), &chain, e));
    TRY(seal_sink_new(GIVE(chain), r, &chain, e));
    TRY(write_pieces(chain, plain.p, plain.n, piece, e));
    return sink_finish(chain, e);
}

static inline enum rc unseal_bytes(struct collected *to, struct bytes sealed,
                                   size_t piece, struct err *e)
{
    OWNED(age_identities) ids = test_identities();
    OWNED(sink) chain = NULL;

    TRY(collect_new(to, &chain, e));
    TRY(unseal_sink_new(GIVE(chain), ids, &chain, e));
    TRY(write_pieces(chain, sealed.p, sealed.n, piece, e));
    return sink_finish(chain, e);
}

static inline struct bytes collected_bytes(const struct collected *c)
{
    return (struct bytes){ c->got.p, c->got.n };
}

#endif

#include "repo/rotate.h"

#include "tests/unit/repo/den.h"
#include "util/mem.h"

/* The sequences whose turn it is, as digits: "312". */
static int64_t turns(struct den *d, size_t most)
{
    OWNED(chain) log = den_log(d);
    AT_END(mem_end) const struct chain_item **items = NULL;
    struct err e = { 0 };
    size_t count;
    int64_t digits = 0;

    OK(repo_rotate(d->repo, log, most, &items, &count, &e), &e);
    for (size_t i = 0; i < count; i++)
        digits = digits * 10 + (int64_t)items[i]->at.sequence;
    return digits;
}

static void looked_at(struct den *d, uint64_t sequence, int64_t when)
{
    const struct index_run run = {
        .kind = "verify", .begun = when, .ended = when, .sequence = sequence
    };
    struct err e = { 0 };

    OK(index_add_run(d->repo->index, d->repo->identity.id, d->repo->options.cluster, &run,
                     &e),
       &e);
}

CASE(repo_rotate, those_that_were_looked_at_last_come_last)
{
    DEN(d);

    den_back_up(&d, "one", 10, true);
    den_back_up(&d, "two", 20, true);
    den_back_up(&d, "three", 30, false);
    cr_assert_eq(turns(&d, 10), 123);
    looked_at(&d, 1, 1000);
    cr_assert_eq(turns(&d, 2), 23);
    looked_at(&d, 2, 3000);
    looked_at(&d, 3, 2000);
    cr_assert_eq(turns(&d, 10), 132);
    looked_at(&d, 1, 4000);
    cr_assert_eq(turns(&d, 1), 3);
}

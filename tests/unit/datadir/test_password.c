#include "datadir/password.h"

#include <crypt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "util/own.h"

static bool opens(const char *hash, const char *password)
{
    struct crypt_data *work = calloc(1, sizeof *work);
    const char *again = crypt_r(password, hash, work);
    bool same = again != NULL && strcmp(again, hash) == 0;

    free(work);
    return same;
}

static void hash_of(const char *password, struct buf *out)
{
    struct err e = { 0 };

    OK(datadir_hash_password(NULL, password, out, &e), &e);
    OK(buf_add(out, "", 1, &e), &e);
}

CASE(password, opens_with_itself_only)
{
    AT_END(buf_clear) struct buf a = { 0 };
    AT_END(buf_clear) struct buf b = { 0 };

    hash_of("geheim", &a);
    hash_of("geheim", &b);
    cr_assert_eq(strncmp((const char *)a.p, "$2b$10$", 7), 0, "%s", (const char *)a.p);
    cr_assert(opens((const char *)a.p, "geheim"));
    cr_assert(!opens((const char *)a.p, "Geheim"));
    cr_assert_str_neq((const char *)a.p, (const char *)b.p, "a salt of its own");
}

CASE(password, any_failed_allocation)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        AT_END(buf_clear) struct buf out = { 0 };
        struct err e = { 0 };
        enum rc rc = datadir_hash_password(NULL, "pw", &out, &e);

        runs = nth;
        cr_assert(rc == RC_OK || (rc == RC_NOMEM && out.n == 0));
    }
    cr_assert_eq(runs, 3, "the work space, the buffer, and a clean run");
}

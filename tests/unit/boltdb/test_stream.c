#include "boltdb/stream.h"

#include <stdlib.h>

#include "tests/lib/case.h"
#include "tests/unit/boltdb/both.h"
#include "tests/unit/boltdb/forge.h"

CASE(boltdb_stream, agrees_with_the_walk_on_golden_files)
{
    static const size_t pieces[] = { 1, 2, 7, 4096, 32768, 65536, 1 << 20 };

    for (size_t i = 0; i < GOLDEN_COUNT; i++) {
        OWNED_IMAGE db = golden_load(golden_names[i]);

        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++)
            cr_assert(
                !both_agree(db.p, db.n, pieces[k], golden_names[i], (unsigned)pieces[k]));
    }
}

CASE(boltdb_stream, agrees_with_the_walk_on_every_forgery)
{
    static const size_t pieces[] = { 7, 5000, 32768, 1 << 20 };

    for (size_t i = 0; i < forgery_count; i++) {
        OWNED_IMAGE db = golden_load("etcd-3.5");

        forgeries[i].edit(&db);
        for (size_t k = 0; k < sizeof pieces / sizeof pieces[0]; k++) {
            bool damaged =
                both_agree(db.p, db.n, pieces[k], forgeries[i].name, (unsigned)pieces[k]);

            cr_assert_eq(damaged, forgeries[i].severity == FINDING_ERROR, "%s",
                         forgeries[i].name);
        }
    }
}

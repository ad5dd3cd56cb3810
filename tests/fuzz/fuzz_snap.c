/* Any bytes as a .snap file. Inputs with an odd first byte get a right checksum. What is
 * accepted must survive being written and read again. */
#include <stdint.h>
#include <stdlib.h>

#include "codec/crc32c.h"
#include "codec/pb.h"
#include "util/mem.h"
#include "wal/snapfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void again(const struct wal_snapshot *s)
{
    AT_END(wal_snapshot_clear) struct wal_snapshot copy = { 0 };
    AT_END(buf_clear) struct buf b = { 0 };
    struct err e;

    if (snapfile_put(&b, s, &e) != RC_OK ||
        snapfile_parse((struct bytes){ b.p, b.n }, &copy, &e) != RC_OK)
        abort();
    if (copy.index != s->index || copy.term != s->term ||
        copy.conf.voter_count != s->conf.voter_count ||
        copy.conf.learner_count != s->conf.learner_count ||
        !bytes_equal(copy.store, s->store))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    AT_END(wal_snapshot_clear) struct wal_snapshot s = { 0 };
    AT_END(buf_clear) struct buf sealed = { 0 };
    struct bytes file = { p, n };
    struct err e;

    if (n > 0 && p[0] % 2 == 1) {
        struct bytes data = { p + 1, n - 1 };

        if (pb_put_u64(&sealed, 1, crc32c_update(0, data.p, data.n), &e) != RC_OK ||
            pb_put_bytes(&sealed, 2, data, &e) != RC_OK)
            abort();
        file = (struct bytes){ sealed.p, sealed.n };
    }
    if (snapfile_parse(file, &s, &e) == RC_OK)
        again(&s);
    return 0;
}

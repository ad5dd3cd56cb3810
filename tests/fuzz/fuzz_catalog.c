/* Any bytes as what a store may answer: a record, a signature file, both as an entry of a
 * log. What is accepted as a record must be spelled exactly like this; nothing that our
 * key did not sign is ever good. */
#include <stdlib.h>

#include "catalog/chain.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

#define REPO "00112233445566778899aabbccddeeff"

static void must(bool good)
{
    if (!good)
        abort();
}

static void fuzz_record(struct bytes text)
{
    AT_END(buf_clear) struct buf again = { .cap_max = 2 * RECORD_MAX };
    OWNED(record) r = NULL;
    struct err e;

    if (record_decode(text, "input", &r, &e) != RC_OK)
        return;
    must(record_encode(r, &again, &e) == RC_OK);
    must(bytes_equal(text, (struct bytes){ again.p, again.n }));
    if (r->backup != NULL)
        must(record_object_key_valid(r->cluster, r->backup->object_key));
}

/* A key of which nobody has the secret half. */
static const struct minisign_trust *nobodys(void)
{
    static struct minisign_trust t = { .keys = { { .id = 0x3131313131313131 } },
                                       .count = 1 };

    return &t;
}

static void fuzz_signature(struct bytes text, struct bytes message)
{
    AT_END(minisign_secret_wipe) struct minisign_secret s = { 0 };
    const struct minisign_public *by;
    struct minisign_public k;
    struct err e;

    must(minisign_verify(nobodys(), message, text, &by, NULL, &e) != RC_OK);
    if (minisign_public_parse(text, "input", &k, &e) == RC_OK)
        must(minisign_secret_parse(text, NULL, "input", &s, &e) != RC_OK);
}

/* The input is cut at blank lines into records, each with a signature or without. */
static void fuzz_chain(struct bytes all, const struct minisign_trust *trust)
{
    OWNED(chain) c = NULL;
    struct err e;

    must(chain_new(REPO, "prod", trust, &c, &e) == RC_OK);
    for (uint64_t sequence = 1; all.n > 0 && sequence < 64; sequence++) {
        const uint8_t *end = memmem(all.p, all.n, "\n\n", 2);
        size_t size = end == NULL ? all.n : (size_t)(end - all.p) + 1;
        size_t cut = size / 2 < 600 ? size / 2 : 600;
        struct bytes signature = { all.p + size - cut, cut };

        if (sequence % 2 == 0)
            signature.n = 0;
        must(chain_add(c, sequence, (struct bytes){ all.p, size }, signature, &e) ==
             RC_OK);
        size += end == NULL ? 0 : 1;
        all.p += size;
        all.n -= size;
    }
    must(chain_close(c, NULL, 0, &e) == RC_OK);
    must(trust->count == 0 || chain_newest(c, false) == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const struct minisign_trust none;
    struct bytes all = { data, n };

    fuzz_record(all);
    fuzz_signature(all, (struct bytes){ data, n / 2 });
    fuzz_chain(all, nobodys());
    fuzz_chain(all, &none);
    return 0;
}

/* Any bytes as an age file: the header parser and the whole way to plaintext, for one
 * fixed identity. What parses must be written again exactly as it was. */
#include <stdlib.h>

#include "filter/seal.h"

#define IDENTITY \
    "AGE-SECRET-KEY-1EGTZVFFV20835NWYV6270LXYVK2VKNX2MMDKWYKLMGR48UAWX40Q2P2LM0"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void must(enum rc rc)
{
    if (rc != RC_OK)
        abort();
}

static void fuzz_header(struct bytes text)
{
    AT_END(buf_clear) struct buf again = { 0 };
    OWNED(age_header) h = NULL;
    struct err e;

    if (age_header_parse(text, &h, &e) != RC_OK)
        return;
    must(age_header_write_begin(&again, &e));
    for (size_t i = 0; i < h->count; i++)
        must(age_header_write_stanza(&again, &h->stanzas[i], &e));
    must(age_header_write_mac(&again, h->mac, &e));
    if (!bytes_equal(text, (struct bytes){ again.p, again.n }))
        abort();
}

/* The length chooses the size of the pieces. */
static void fuzz_file(struct bytes file)
{
    OWNED(age_identities) ids = NULL;
    OWNED(sink) chain = NULL;
    size_t piece = file.n % 4 == 0 ? 65536 : file.n % 7 + 1;
    enum rc rc = RC_OK;
    struct err e;

    must(age_identities_new(&ids, &e));
    must(age_identities_add(ids, IDENTITY, &e));
    must(null_sink_new(&chain, &e));
    must(unseal_sink_new(GIVE(chain), ids, &chain, &e));
    for (size_t at = 0; at < file.n && rc == RC_OK; at += piece)
        rc =
            sink_write(chain, file.p + at, file.n - at < piece ? file.n - at : piece, &e);
    if (rc != RC_OK && sink_finish(chain, &e) == RC_OK)
        abort(); /* a file that failed was finished */
    if (rc == RC_OK)
        rc = sink_finish(chain, &e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct bytes text = { data, n };
    const uint8_t *end = n == 0 ? NULL : memmem(data, n, "\n---", 4);

    if (end != NULL)
        end = memchr(end + 1, '\n', (size_t)(data + n - end - 1));
    fuzz_header(end == NULL ? text : (struct bytes){ data, (size_t)(end + 1 - data) });
    fuzz_file(text);
    return 0;
}

#include "repo/seal.h"

#include <stdlib.h>
#include <string.h>

#include "catalog/manifest.h"

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

enum rc repo_fingerprints(const struct age_recipients *to, struct str_list *out,
                          struct err *e)
{
    char fingerprint[MANIFEST_FINGERPRINT_DIGITS + 1], text[AGE_RECIPIENT_SIZE];

    for (size_t i = 0; i < to->count; i++) {
        bech32_encode(AGE_RECIPIENT_PREFIX, &to->keys[i], text);
        TRY(manifest_fingerprint(text, fingerprint, e));
        TRY(str_list_add(out, fingerprint, e));
    }
    if (out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, by_text);
    return RC_OK;
}

enum rc repo_check_recipients(const struct str_list *promised,
                              const struct str_list *given, struct err *e)
{
    bool same = promised->count == given->count;

    for (size_t i = 0; same && i < given->count; i++)
        same = str_list_has(promised, given->items[i]);
    if (same)
        return RC_OK;
    return err_set(
        e, RC_REFUSED,
        "these are not the recipients that the repository was made for: whoever "
        "holds their keys could not open this backup" HINT
        "name the same ones, or say --allow-other-recipients");
}

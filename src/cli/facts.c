#include "cli/facts.h"

#include "crypto/sha256.h"
#include "util/str.h"

void show_hashkv(struct result *r, const struct mvcc_facts *f)
{
    if (f->hashkv_known)
        result_u64(r, "HashKV", "hashkv", f->hashkv.hash);
    else
        result_str(r, NULL, "hashkv", NULL);
}

void show_digest(struct result *r, const char *label, const char *key,
                 const uint8_t *digest)
{
    char hex[2 * SHA256_SIZE + 1];

    str_hex(hex, digest, SHA256_SIZE);
    result_str(r, label, key, hex);
}

void show_findings(struct result *r, const struct findings *f)
{
    struct result *list = result_new_list();

    for (size_t i = 0; i < f->kept; i++) {
        const struct finding *at = &f->items[i];

        result_next(list);
        result_str(list, "Severity", "severity", finding_severity_name(at->severity));
        result_str(list, "Code", "code", at->code);
        if (at->page == FINDING_NO_PAGE)
            result_str(list, "Page", "page", NULL);
        else
            result_u64(list, "Page", "page", at->page);
        result_str(list, "Message", "message", at->message);
    }
    result_nest(r, "Findings", "findings", list);
}

#include "storage/s3_sign.h"

#include <stdio.h>
#include <stdlib.h>

#include "crypto/kdf.h"
#include "crypto/sha256.h"
#include "storage/s3_time.h"

enum rc s3_payload_hash(struct bytes body, char out[static 65], struct err *e)
{
    uint8_t digest[SHA256_SIZE];
    OWNED(sha256) h = NULL;

    TRY(sha256_new(&h, e));
    if (body.n > 0)
        TRY(sha256_add(h, body.p, body.n, e));
    TRY(sha256_end(h, digest, e));
    str_hex(out, digest, sizeof digest);
    return RC_OK;
}

static size_t name_length(const char *line)
{
    return strcspn(line, ":");
}

/* By name, not by whole line: "x-a:1" stands before "x-a-b:1". */
static int by_name(const void *a, const void *b)
{
    const char *const *x = a, *const *y = b;

    return bytes_compare((struct bytes){ (const uint8_t *)*x, name_length(*x) },
                         (struct bytes){ (const uint8_t *)*y, name_length(*y) });
}

static enum rc add(struct buf *out, const char *text, size_t n, struct err *e)
{
    return buf_add(out, text, n, e);
}

enum rc s3_canonical(const struct s3_signing *q, char **out, char **signed_names,
                     struct err *e)
{
    AT_END(mem_end) char *host = NULL, *lines = NULL, *names = NULL;
    AT_END(buf_clear) struct buf text = { 0 }, list = { 0 };
    AT_END(str_list_clear) struct str_list all = { 0 };

    TRY(str_format(&host, e, "host:%s", q->target->host));
    TRY(str_list_add(&all, host, e));
    for (size_t i = 0; i < q->headers->count; i++)
        TRY(str_list_add(&all, q->headers->items[i], e));
    qsort(all.items, all.count, sizeof all.items[0], by_name);
    for (size_t i = 0; i < all.count; i++) {
        TRY(add(&text, all.items[i], strlen(all.items[i]), e));
        TRY(add(&text, "\n", 1, e));
        TRY(add(&list, ";", i > 0 ? 1 : 0, e));
        TRY(add(&list, all.items[i], name_length(all.items[i]), e));
    }
    TRY(str_take(&text, &lines, e));
    TRY(str_take(&list, &names, e));
    TRY(str_format(out, e, "%s\n%s\n%s\n%s\n%s\n%s", q->method, q->target->path,
                   q->target->query, lines, names, q->payload));
    *signed_names = GIVE(names);
    return RC_OK;
}

/* The key of one day, region and service; each step keys the next. */
static enum rc derive(const char *secret, const char *day, const char *region,
                      struct key *out, struct err *e)
{
    char first[520];
    AT_END(key_wipe) struct key k = { 0 };
    enum rc rc;

    snprintf(first, sizeof first, "AWS4%s", secret);
    rc = kdf_hmac_any(bytes_str(first), bytes_str(day), k.b, e);
    mem_wipe(first, sizeof first);
    if (rc == RC_OK)
        rc = kdf_hmac(&k, bytes_str(region), out->b, e);
    if (rc == RC_OK)
        rc = kdf_hmac(out, bytes_str("s3"), k.b, e);
    if (rc == RC_OK)
        rc = kdf_hmac(&k, bytes_str("aws4_request"), out->b, e);
    return rc;
}

static enum rc add_line(struct str_list *l, const char *name, const char *value,
                        struct err *e)
{
    AT_END(mem_end) char *line = NULL;

    TRY(str_format(&line, e, "%s:%s", name, value));
    return str_list_add(l, line, e);
}

static enum rc sign_text(const struct s3_signing *q, const struct s3_keys *keys,
                         const char *stamp, const char *canonical, char hex[static 65],
                         struct err *e)
{
    AT_END(mem_end) char *text = NULL;
    AT_END(key_wipe) struct key k = { 0 };
    uint8_t mac[32];
    char day[9], digest[65];

    snprintf(day, sizeof day, "%.8s", stamp);
    TRY(s3_payload_hash(bytes_str(canonical), digest, e));
    TRY(str_format(&text, e, "AWS4-HMAC-SHA256\n%s\n%s/%s/s3/aws4_request\n%s", stamp,
                   day, q->region, digest));
    TRY(derive(keys->secret, day, q->region, &k, e));
    TRY(kdf_hmac(&k, bytes_str(text), mac, e));
    str_hex(hex, mac, sizeof mac);
    return RC_OK;
}

enum rc s3_sign(const struct s3_signing *q, const struct s3_keys *keys, struct err *e)
{
    AT_END(mem_end) char *canonical = NULL, *names = NULL, *value = NULL;
    char stamp[32], signature[65];

    s3_time_stamp(stamp, q->now);
    TRY(add_line(q->headers, "x-amz-content-sha256", q->payload, e));
    TRY(add_line(q->headers, "x-amz-date", stamp, e));
    if (keys->token[0] != '\0')
        TRY(add_line(q->headers, "x-amz-security-token", keys->token, e));
    TRY(s3_canonical(q, &canonical, &names, e));
    TRY(sign_text(q, keys, stamp, canonical, signature, e));
    TRY(str_format(&value, e,
                   "AWS4-HMAC-SHA256 Credential=%s/%.8s/%s/s3/aws4_request,"
                   "SignedHeaders=%s,Signature=%s",
                   keys->access, stamp, q->region, names, signature));
    return add_line(q->headers, "authorization", value, e);
}

/* What an object store may answer: lists and errors in XML, and names in them. */
#include <stdlib.h>

#include "storage/s3_keys.h"
#include "storage/s3_url.h"
#include "storage/s3_xml.h"
#include "util/mem.h"

enum { PATH_MAX_BYTES = 16 * 64 };

/* Escaped, it must come back as it is. */
static enum rc is_same(void *arg, const char *path, const char *text, struct err *e)
{
    (void)path;
    (void)e;
    if (strcmp(arg, text) != 0)
        abort();
    return RC_OK;
}

static void escape(const char *text)
{
    AT_END(buf_clear) struct buf b = { 0 };
    AT_END(mem_end) char *copy = mem_str(text);
    struct err e = { 0 };

    if (copy == NULL || buf_add(&b, "<a>", 3, &e) != RC_OK ||
        s3_xml_escape(&b, text, &e) != RC_OK || buf_add(&b, "</a>", 4, &e) != RC_OK ||
        s3_xml_parse((struct bytes){ b.p, b.n }, is_same, copy, &e) != RC_OK)
        abort();
    (void)s3_decode(copy);
}

static enum rc on_element(void *arg, const char *path, const char *text, struct err *e)
{
    (void)arg;
    (void)e;
    if (strlen(path) > PATH_MAX_BYTES)
        abort();
    escape(text);
    return RC_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    AT_END(s3_keys_wipe) struct s3_keys keys = { 0 };
    struct bytes in = { p, n };
    struct err e = { 0 };
    enum rc rc = s3_xml_parse(in, on_element, NULL, &e);

    if (rc != RC_OK && rc != RC_CORRUPT)
        abort();
    rc = s3_keys_parse(in, "FILE", NULL, &keys, &e);
    if (rc != RC_OK && rc != RC_USAGE)
        abort();
    return 0;
}

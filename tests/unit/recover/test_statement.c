#include "recover/statement.h"

#include <stdio.h>
#include <string.h>

#include "crypto/sha256.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/recover/estate.h"
#include "util/mem.h"

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f);
    cr_assert_eq(fwrite(text, 1, strlen(text), f), strlen(text));
    cr_assert_eq(fclose(f), 0);
}

static char *statement_of(struct estate *s)
{
    struct err e = { 0 };
    char *text = NULL;

    OK(recover_statement_render(&s->copies, "alpha", 1700000000123, &text, &e), &e);
    return text;
}

static void fill(struct estate *s)
{
    struct recover_copy *c = estate_directory(s, 1, 3, 2, 60);
    struct err e = { 0 };

    c->commit = 55;
    c->applied = 50;
    c->member_id = UINT64_MAX;
    c->kubernetes = true;
    c->wal_dir = mem_str("/wal \xff");
    OK(recover_note_add(c, FINDING_WARN, "wal-torn", &e, "an unfinished \"record\""), &e);
    OK(mvcc_ids_add(&c->latest.learners, 9, &e), &e);
    c = estate_directory(s, 2, 3, 0, 40);
    c->term_known = c->tail_known = c->ok = false;
}

static void same(const struct recover_copy *a, const struct recover_copy *b)
{
    AT_END(mem_end) char *x = NULL;
    AT_END(mem_end) char *y = NULL;
    OWNED(json) p = recover_copy_json(a);
    OWNED(json) q = recover_copy_json(b);
    struct err e = { 0 };

    json_set_str(p, "host", "");
    json_set_str(q, "host", "");
    json_set_str(p, "wal_dir", "");
    json_set_str(q, "wal_dir", "");
    OK(json_render(p, false, &x, &e), &e);
    OK(json_render(q, false, &y, &e), &e);
    cr_assert_str_eq(x, y);
}

CASE(statement, what_was_written_is_read)
{
    const char *path = path_in(tmpdir_new(), "s.json");
    ESTATE s = { 0 };
    ESTATE got = { 0 };
    struct err e = { 0 };

    fill(&s);
    AT_END(mem_end) char *text = statement_of(&s);
    write_file(path, text);
    OK(recover_statement_read(&got.copies, path, &e), &e);
    cr_assert_eq(got.copies.count, 2);
    for (size_t i = 0; i < 2; i++) {
        same(&s.copies.items[i], &got.copies.items[i]);
        cr_assert_str_eq(got.copies.items[i].host, "alpha");
        cr_assert_str_eq(got.copies.items[i].statement, path);
    }
    cr_assert(!got.copies.items[1].term_known && !got.copies.items[1].tail_known);
}

static void refused(const char *path, const char *text, enum rc want, const char *why)
{
    ESTATE got = { 0 };
    struct err e = { 0 };
    enum rc rc;

    write_file(path, text);
    rc = recover_statement_read(&got.copies, path, &e);
    cr_assert_eq(rc, want, "%s: %s", rc_name(rc), e.why);
    estate_says(e.why, why);
}

CASE(statement, an_altered_one_is_refused)
{
    const char *path = path_in(tmpdir_new(), "s.json");
    ESTATE s = { 0 };

    fill(&s);
    AT_END(mem_end) char *text = statement_of(&s);
    char *at = strstr(text, "\"index\": 60");

    cr_assert_not_null(at, "%s", text);
    memcpy(at, "\"index\": 61", 11);
    refused(path, text, RC_CORRUPT, "was changed after it was written");
    refused(path, "{}", RC_USAGE, "is not a statement");
    refused(path, "what", RC_USAGE, "neither a directory nor a statement");
    refused(path, "{\"format\":\"holdfast-statement-1\"}", RC_CORRUPT, "'sha256'");
    refused(path,
            "{\"format\":\"holdfast-statement-1\",\"sha256\":\"\",\"statement\":[]}",
            RC_CORRUPT, "'statement'");
}

/* The file again, with the digest that it should have. */
static char *sealed(struct json *file)
{
    AT_END(mem_end) char *text = NULL;
    uint8_t digest[SHA256_SIZE];
    char hex[2 * SHA256_SIZE + 1], *out = NULL;
    OWNED(sha256) hash = NULL;
    struct err e = { 0 };

    OK(json_render(json_get(file, "statement"), false, &text, &e), &e);
    OK(sha256_new(&hash, &e), &e);
    OK(sha256_add(hash, text, strlen(text), &e), &e);
    OK(sha256_end(hash, digest, &e), &e);
    str_hex(hex, digest, SHA256_SIZE);
    json_set_str(file, "sha256", hex);
    OK(json_render(file, false, &out, &e), &e);
    return out;
}

/* A field of the first copy has another name. */
static char *without(const char *key)
{
    AT_END(mem_end) char *text = NULL;
    OWNED(json) file = NULL;
    ESTATE s = { 0 };
    struct err e = { 0 };
    char quoted[40], *at;

    fill(&s);
    text = statement_of(&s);
    snprintf(quoted, sizeof quoted, "\"%s\":", key);
    at = strstr(text, quoted);
    cr_assert_not_null(at, "%s", quoted);
    at[1] = '~';
    OK(json_parse(bytes_str(text), "it", &file, &e), &e);
    return sealed(file);
}

CASE(statement, every_field_is_checked)
{
    static const char *const keys[] = {
        "path",       "kind",       "wal",     "readable",
        "ok",         "startable",  "in_use",  "index",
        "commit",     "kubernetes", "member",  "consistent_index",
        "cluster_id", "taken_ms",   "members", "member_name",
        "revision",
    };
    const char *path = path_in(tmpdir_new(), "s.json");

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        AT_END(mem_end) char *text = without(keys[i]);

        refused(path, text, RC_CORRUPT, keys[i]);
    }
}

CASE(statement, memory_may_run_out)
{
    const char *path = path_in(tmpdir_new(), "s.json");
    unsigned runs = 0;
    ESTATE s = { 0 };

    fill(&s);
    AT_END(mem_end) char *text = statement_of(&s);
    write_file(path, text);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        ESTATE got = { 0 };
        struct err e = { 0 };
        enum rc rc = recover_statement_read(&got.copies, path, &e);

        cr_assert(rc == RC_OK || rc == RC_NOMEM || rc == RC_USAGE, "%u: %s", nth, e.why);
        runs = nth;
    }
    cr_assert_gt(runs, 20);
}

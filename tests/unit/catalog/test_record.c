#include "catalog/record.h"

#include <stdio.h>
#include <string.h>

#include "sample.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"

static void buf_end(struct buf *b)
{
    buf_clear(b);
}
#define OWNED_BUF AT_END(buf_end) struct buf

#define HEX_AB "abababababababababababababababababababababababababababababababab"
#define HEX_CD "cdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcdcd"
#define HEX_00 "0000000000000000000000000000000000000000000000000000000000000000"

static const char backup_text[] =
    "{\"type\":\"holdfast.record\",\"format\":1,\"kind\":\"backup\","
    "\"repo\":\"00112233445566778899aabbccddeeff\",\"cluster\":\"prod\",\"sequence\":1,"
    "\"previous\":{\"sequence\":0,\"sha256\":\"" HEX_00
    "\"},\"high_water\":9007199254740993,"
    "\"created\":1800000000,\"host\":\"backup-1\",\"tool\":\"0.1\",\"backup\":{"
    "\"content\":\"snapshot\",\"object\":{\"key\":"
    "\"prod/backups/0123456789abcdef/snapshot.db.zst.age\",\"size\":1234,"
    "\"sha256\":\"" HEX_CD "\"},\"recipients\":[\"00112233445566778899aabbccddeeff\"],"
    "\"database\":{\"size\":20512,\"sha256\":\"" HEX_AB
    "\",\"revision\":9007199254740993,\"compact_revision\":4503599627370496,"
    "\"hashkv\":4294967295,\"live_keys\":17,\"kubernetes\":true},"
    "\"etcd\":{\"cluster_id\":\"cdf818194e3a8c32\",\"member_id\":\"8e9e05c52164694d\","
    "\"version\":\"3.6.5\",\"storage_version\":\"3.6.0\",\"degraded\":null,"
    "\"alarm_nospace\":false,\"alarm_corrupt\":false},"
    "\"proved\":true,\"proved_why\":\"3 of 3 voters hold the same\","
    "\"votes\":[{\"member_id\":\"8e9e05c52164694d\",\"word\":\"agrees\"}],"
    "\"tags\":[\"nightly\"]}}\n";

/* 2^53 + 1: a reader that counts in doubles would lose it. */
static struct record *large(void)
{
    return sample_backup(INT64_C(9007199254740993));
}

CASE(catalog_record, has_one_spelling)
{
    OWNED(record) r = large();
    OWNED_BUF b = { 0 };
    struct err e = { 0 };

    OK(record_encode(r, &b, &e), &e);
    OK(buf_add(&b, "", 1, &e), &e);
    cr_assert_str_eq((const char *)b.p, backup_text);
}

static void assert_round(const char *text)
{
    OWNED(record) r = NULL;
    OWNED_BUF b = { 0 };
    struct err e = { 0 };

    OK(record_decode(bytes_str(text), "r", &r, &e), &e);
    OK(record_encode(r, &b, &e), &e);
    cr_assert(bytes_is(sample_bytes(&b), text));
}

/* A field that older records do not have. */
static const char *with_auth_revision(void)
{
    static const char before[] = "\"alarm_corrupt\":false";
    static char text[sizeof backup_text + 40];
    const char *at = strstr(backup_text, before) + sizeof before - 1;

    snprintf(text, sizeof text, "%.*s,\"auth_revision\":7%s", (int)(at - backup_text),
             backup_text, at);
    return text;
}

CASE(catalog_record, what_was_written_is_read)
{
    OWNED(record) r = NULL;
    struct err e = { 0 };

    assert_round(backup_text);
    assert_round(with_auth_revision());
    OK(record_decode(bytes_str(backup_text), "r", &r, &e), &e);
    cr_assert_eq(r->high_water, INT64_C(9007199254740993));
    cr_assert_eq(r->backup->etcd_cluster_id, 0xcdf818194e3a8c32);
    cr_assert_eq(r->backup->hashkv, UINT32_MAX);
    cr_assert(r->backup->hashkv_known && r->backup->proved);
    cr_assert_str_eq(r->backup->tags.items[0], "nightly");
    cr_assert_eq(r->backup->votes[0].word, MANIFEST_AGREES);
}

/* `from` of the good text is replaced by `to`. */
static char *edited(const char *text, const char *from, const char *to)
{
    const char *at = strstr(text, from);
    char *out = NULL;
    struct err e = { 0 };

    cr_assert_not_null(at, "%s", from);
    OK(str_format(&out, &e, "%.*s%s%s", (int)(at - text), text, to, at + strlen(from)),
       &e);
    return out;
}

static enum rc decode_edited(const char *from, const char *to, struct err *e)
{
    AT_END(mem_end) char *text = edited(backup_text, from, to);
    OWNED(record) r = NULL;

    return record_decode(bytes_str(text), "r", &r, e);
}

static const struct {
    const char *from, *to;
} bad[] = {
    { "\"sequence\":1,", "\"sequence\":1,\"sequence\":1," }, /* a key twice */
    { "\"tool\":", "\"critical\":1,\"tool\":" },             /* unknown */
    { "\"tags\":[", "\"colour\":\"red\",\"tags\":[" },       /* unknown, inside */
    { "\"format\":1", "\"format\":1.0" },                    /* a float */
    { "\"size\":1234", "\"size\":1.234e3" },
    { "\"size\":1234", "\"size\":NaN" },
    { "\"size\":1234", "\"size\":-1234" },
    { "\"size\":1234", "\"size\":01234" },
    { "\"size\":1234", "\"size\":\"1234\"" },
    { "\"size\":1234", "\"size\":18446744073709551616" }, /* 2^64 */
    { "\"size\":1234", "\"size\":9223372036854775807" },  /* beyond reason */
    { "\"size\":1234", "\"size\":0" },
    { "\"revision\":9007199254740993",
      "\"revision\":9007199254740994" }, /* > high water */
    { "\"high_water\":9007199254740993", "\"high_water\":9007199254740992.0" },
    { "4294967295", "4294967296" },
    { "\"compact_revision\":4", "\"compact_revision\":-2" },
    { "prod/backups/0123456789abcdef/", "prod/backups/../../etc/" },
    { "prod/backups/0123456789abcdef/", "/prod/backups/0123456789abcdef/" },
    { "prod/backups/0123456789abcdef/", "test/backups/0123456789abcdef/" },
    { "prod/backups/0123456789abcdef/", "prod/records/0123456789abcdef/" },
    { "prod/backups/0123456789abcdef/", "prod/backups//" },
    { "prod/backups/0123456789abcdef/", "prod/backups/a/b/" },
    { "snapshot.db.zst.age", ".hidden" },
    { "snapshot.db.zst.age", "a\\u0000b" },
    { "snapshot.db.zst.age", "a\\nb" },
    { "cdf818194e3a8c32", "CDF818194E3A8C32" }, /* another spelling */
    { "cdf818194e3a8c32", "df818194e3a8c32" },
    { "\"sequence\":0", "\"sequence\":1" }, /* follows itself */
    { HEX_00, HEX_AB },                     /* first, with a hash */
    { "\"sequence\":1,", "\"sequence\":0," },
    { "\"sequence\":1,", "\"sequence\":1000000000000," },
    { "\"cluster\":\"prod\"", "\"cluster\":\"../prod\"" },
    { "\"cluster\":\"prod\"", "\"cluster\":\"\"" },
    { "\"host\":\"backup-1\"", "\"host\":\"\\u001b[2J\"" },
    { "3 of 3 voters", "\\u001b[2J" },
    { "3 of 3 voters", "3 of 3\\u0020voters" }, /* an escape not needed */
    { "\"nightly\"", "\"nightly\",\"nightly\"" },
    { "\"nightly\"", "\"'; DROP TABLE record; --\"" },
    { "\"agrees\"", "\"maybe\"" },
    { "\"kind\":\"backup\"", "\"kind\":\"tag\"" },
    { "\"kind\":\"backup\"", "\"kind\":\"restore\"" },
    { "holdfast.record", "holdfast.recipe" },
    { "}}\n", "}}" },
    { "}}\n", "}}\n\n" },
    { "{\"type\"", " {\"type\"" },
    { "\"proved\":true", "\"proved\":1" },
    { "\"degraded\":null", "\"degraded\":false" },
    { "\"degraded\":null", "\"degraded\":\"\"" },
};

CASE(catalog_record, anything_but_the_one_spelling_is_corrupt)
{
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct err e = { 0 };

        cr_assert_eq(decode_edited(bad[i].from, bad[i].to, &e), RC_CORRUPT,
                     "%s -> %s: %s", bad[i].from, bad[i].to, e.why);
        cr_assert_str_eq(e.what, "reading 'r'");
    }
}

CASE(catalog_record, a_newer_format_is_refused_by_its_number)
{
    struct err e = { 0 };

    cr_assert_eq(decode_edited("\"format\":1", "\"format\":2", &e), RC_REFUSED);
    cr_assert_str_eq(e.why, "it has format 2, this program knows 1");
    cr_assert_str_eq(e.hint, "use the program that wrote it, or a newer one");
}

CASE(catalog_record, every_flipped_bit_reads_as_another_record_or_not_at_all)
{
    AT_END(mem_end) char *text = mem_str(backup_text);
    size_t n = strlen(text), read = 0;

    for (size_t bit = 0; bit < n * 8; bit++) {
        OWNED(record) r = NULL;
        OWNED_BUF b = { 0 };
        struct err e = { 0 };

        text[bit / 8] ^= (char)(1 << bit % 8);
        if (record_decode((struct bytes){ (uint8_t *)text, n }, "r", &r, &e) == RC_OK) {
            OK(record_encode(r, &b, &e), &e);
            cr_assert(!bytes_is(sample_bytes(&b), backup_text));
            read++;
        }
        text[bit / 8] ^= (char)(1 << bit % 8);
    }
    cr_assert_gt(read, 100); /* digits of numbers and hashes: what the signature is for */
}

CASE(catalog_record, every_truncation_is_corrupt)
{
    for (size_t n = 0; n < sizeof backup_text - 1; n++) {
        OWNED(record) r = NULL;
        struct err e = { 0 };

        cr_assert_eq(
            record_decode((struct bytes){ (const uint8_t *)backup_text, n }, "r", &r, &e),
            RC_CORRUPT, "%zu", n);
    }
}

CASE(catalog_record, prunes_and_tags_come_back)
{
    SAMPLE_LOG(l);
    uint64_t tag, prune;

    sample_log_backup(&l);
    sample_log_backup(&l);
    tag = sample_log_tag(&l, 1, "before-upgrade");
    prune = sample_log_prune(&l, (const uint64_t[]){ 1, 2, 0 });
    for (uint64_t at = tag; at <= prune; at++) {
        const struct sample_entry *x = sample_log_find(&l, at);
        OWNED(record) r = NULL;
        OWNED_BUF b = { 0 };
        struct err e = { 0 };

        OK(record_decode(sample_bytes(&x->record), "r", &r, &e), &e);
        cr_assert_eq(r->removed_count, at == prune ? 2 : 0);
        OK(record_encode(r, &b, &e), &e);
        cr_assert(bytes_equal(sample_bytes(&b), sample_bytes(&x->record)));
    }
}

CASE(catalog_record, a_record_as_large_as_may_be_fits)
{
    OWNED(record) r = NULL;
    OWNED(record) again = NULL;
    OWNED_BUF b = { 0 };
    struct err e = { 0 };
    OWNED(record) model = sample_backup(1);

    OK(record_new(RECORD_PRUNE, &r, &e), &e);
    memcpy(r->repo, model->repo, sizeof r->repo);
    memset(r->cluster, 'c', RECORD_NAME_SIZE - 1);
    memset(r->host, 'h', RECORD_NAME_SIZE - 1);
    memcpy(r->tool, model->tool, sizeof r->tool);
    r->sequence = RECORD_SEQUENCE_MAX;
    r->previous.sequence = r->sequence - 1;
    for (uint64_t i = 0; i < RECORD_REMOVED_MAX; i++) {
        uint64_t at = r->sequence - RECORD_REMOVED_MAX + i;
        struct record_removed x = { .was.sequence = at, .previous.sequence = at - 1 };

        OK(record_add_removed(r, &x, &e), &e);
    }
    cr_assert_eq(record_add_removed(r, &r->removed[0], &e), RC_REFUSED);
    OK(record_encode(r, &b, &e), &e);
    OK(record_decode(sample_bytes(&b), "r", &again, &e), &e);
    cr_assert_eq(again->removed_count, RECORD_REMOVED_MAX);
}

CASE(catalog_record, sentences_from_outside_are_made_fit_to_print)
{
    OWNED(record) r = sample_backup(5);
    OWNED(record) again = NULL;
    OWNED_BUF b = { 0 };
    struct err e = { 0 };
    char endless[2000];

    memset(endless, 0xc3, sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    OK(manifest_sentence(&r->backup->proved_why, endless, &e), &e);
    OK(manifest_sentence(&r->backup->degraded, "a\x1b[2Jb\xc3\xa4", &e), &e);
    OK(record_encode(r, &b, &e), &e);
    OK(record_decode(sample_bytes(&b), "r", &again, &e), &e);
    cr_assert_str_eq(again->backup->degraded, "a\\x1b[2Jb\xc3\xa4");
    OK(manifest_sentence(&r->backup->degraded, "", &e), &e);
    cr_assert_null(r->backup->degraded);
}

CASE(catalog_record, a_tag_is_a_plain_word)
{
    struct str_list tags = { 0 };
    struct err e = { 0 };

    OK(manifest_add_tag(&tags, "k8s/v1.33:a=b", &e), &e);
    OK(manifest_add_tag(&tags, "k8s/v1.33:a=b", &e), &e);
    cr_assert_eq(tags.count, 1);
    cr_assert_eq(manifest_add_tag(&tags, "two words", &e), RC_USAGE);
    cr_assert_str_eq(e.why, "'two words' is no tag: 1 to 64 letters, digits and any of "
                            "._:=/+@-");
    cr_assert_eq(manifest_add_tag(&tags, "", &e), RC_USAGE);
    str_list_clear(&tags);
}

CASE(catalog_record, keys_are_named_after_sequence_and_hash)
{
    struct record_link at = { 42, { 0xde, 0xad, 0xbe, 0xef, 1, 2, 3, 4, 5 } };
    char key[RECORD_KEY_SIZE], sig[RECORD_KEY_SIZE];
    uint64_t n = 0;

    record_key("prod", 42, key);
    record_signature_key("prod", &at, sig);
    cr_assert_str_eq(key, "prod/records/000000000042.json");
    cr_assert_str_eq(sig, "prod/records/000000000042.deadbeef01020304.minisig");
    cr_assert(record_key_parse("prod", key, &n) == RECORD_FILE_RECORD && n == 42);
    n = 0;
    cr_assert(record_key_parse("prod", sig, &n) == RECORD_FILE_SIGNATURE && n == 42);
}

CASE(catalog_record, other_keys_are_neither)
{
    static const char *const keys[] = {
        "prod/records/42.json",
        "prod/records/000000000000.json",
        "prod/records/00000000004a.json",
        "prod/records/0000000000042.json",
        "prod/records/000000000042.json.part",
        "prod/records/000000000042.DEADBEEF01020304.minisig",
        "prod/records/000000000042.deadbeef0102030.minisig",
        "prod/records/000000000042-deadbeef01020304.minisig",
        "prod/records/",
        "prod/backups/000000000042.json",
        "other/records/000000000042.json",
    };
    uint64_t n;

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        cr_assert_eq(record_key_parse("prod", keys[i], &n), RECORD_FILE_OTHER, "%s",
                     keys[i]);
}

CASE(catalog_record, objects_get_a_name_that_says_nothing)
{
    char a[RECORD_KEY_SIZE], b[RECORD_KEY_SIZE];
    struct err e = { 0 };

    OK(record_object_new("prod", "snapshot.db.zst.age", a, &e), &e);
    OK(record_object_new("prod", "snapshot.db.zst.age", b, &e), &e);
    cr_assert_str_neq(a, b);
    cr_assert(record_object_key_valid("prod", a));
    cr_assert_not(record_object_key_valid("pro", a));
    cr_assert_eq(record_object_new("prod", "../x", a, &e), RC_USAGE);
}

CASE(catalog_record, memory_that_runs_out_is_said)
{
    unsigned runs = 0;

    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        OWNED(record) r = NULL;
        struct err e = { 0 };
        enum rc rc = record_decode(bytes_str(backup_text), "r", &r, &e);

        cr_assert(rc == RC_OK ? r != NULL : rc == RC_NOMEM && r == NULL, "allocation %u",
                  nth);
        runs = nth;
    }
    cr_assert_gt(runs, 8);
}

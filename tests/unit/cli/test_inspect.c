/* The commands that look into a snapshot, run as a user would, with their output caught:
 * every format, hostile keys, values that must not be shown. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "boltdb/build.h"
#include "cli/commands.h"
#include "codec/pb.h"
#include "mvcc/schema.h"
#include "sample.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/image.h"
#include "tests/lib/tmpdir.h"
#include "util/os.h"

/* ---- a small database ------------------------------------------------------------- */

struct kv {
    int64_t main, create, version, lease;
    const char *key, *value; /* version 0: deleted */
};

#define PEM "-----BEGIN EC PRIVATE KEY-----\nMHc"
#define HOSTILE "/x/\x1b[31mred\n"

static const struct kv shop[] = {
    { 2, 2, 1, 0, "/registry/pods/default/web", "one" },
    { 3, 2, 2, 1, "/registry/pods/default/web", "two\t\"\x1b[2J\"\n" },
    { 4, 4, 1, 0, "/registry/secrets/default/db", "hunter2" },
    { 5, 5, 1, 0, HOSTILE, "v" },
    { 6, 6, 1, 0, "/x/tls", PEM },
    { 7, 7, 1, 0, "/x/gone", "w" },
    { 8, 0, 0, 0, "/x/gone", NULL },
};

static void number(struct buf *b, uint32_t field, int64_t value)
{
    struct err e = { 0 };

    if (value != 0)
        OK(pb_put_u64(b, field, (uint64_t)value, &e), &e);
}

static void put(struct bolt_builder *b, const struct kv *kv)
{
    uint8_t rev[MVCC_TOMBSTONE_SIZE] = { [MVCC_REV_SIZE] = 't' };
    AT_END(buf_clear) struct buf value = { 0 };
    struct err e = { 0 };

    mvcc_rev_write(rev, kv->main, 0);
    OK(pb_put_bytes(&value, 1, bytes_str(kv->key), &e), &e);
    number(&value, 2, kv->create);
    number(&value, 3, kv->version > 0 ? kv->main : 0);
    number(&value, 4, kv->version);
    if (kv->value != NULL)
        OK(pb_put_bytes(&value, 5, bytes_str(kv->value), &e), &e);
    number(&value, 6, kv->lease);
    OK(bolt_builder_pair(
           b,
           (struct bytes){ rev, kv->version > 0 ? MVCC_REV_SIZE : MVCC_TOMBSTONE_SIZE },
           (struct bytes){ value.p, value.n }, &e),
       &e);
}

static void put_text(struct bolt_builder *b, const char *key, const char *value)
{
    struct err e = { 0 };

    OK(bolt_builder_pair(b, bytes_str(key), bytes_str(value), &e), &e);
}

static void put_bucket(struct bolt_builder *b, enum mvcc_bucket bucket,
                       const struct kv *kvs, size_t count)
{
    static const uint8_t one[8] = { [7] = 1 };
    struct err e = { 0 };

    OK(bolt_builder_bucket(b, bytes_str(mvcc_bucket_name(bucket)), &e), &e);
    for (size_t i = 0; bucket == MVCC_KEY && i < count; i++)
        put(b, &kvs[i]);
    if (bucket == MVCC_LEASE)
        OK(bolt_builder_pair(b, BYTES_OF(one), bytes_str("\x08\x01\x10\x3c"), &e), &e);
    if (bucket == MVCC_MEMBERS)
        put_text(b, "11",
                 "{\"id\":17,\"peerURLs\":[\"http://a:1\",\"http://b:1\"],"
                 "\"name\":\"m\\u001b1\",\"clientURLs\":[\"http://a:2\"]}");
    if (bucket == MVCC_MEMBERS_REMOVED)
        put_text(b, "12", "removed");
    if (bucket == MVCC_META)
        put_text(b, MVCC_CONF_STATE, "{\"voters\":[17,18],\"auto_leave\":false}");
}

static const char *database(const struct kv *kvs, size_t count)
{
    AT_END(buf_clear) struct buf image = { 0 };
    const struct bolt_target target = image_target(&image);
    const struct bolt_build_options options = { 0 };
    const char *path = path_in(tmpdir_new(), "x.db");
    OWNED(bolt_builder) b = NULL;
    OWNED_FD int fd = -1;
    struct err e = { 0 };
    uint64_t size;

    OK(bolt_builder_new(&target, &options, &b, &e), &e);
    for (enum mvcc_bucket bucket = 0; bucket < MVCC_BUCKETS; bucket++)
        put_bucket(b, bucket, kvs, count);
    OK(bolt_builder_finish(b, &size, &e), &e);
    OK(os_open(AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0600, &fd, &e), &e);
    OK(os_write_full(fd, image.p, image.n, path, &e), &e);
    return path;
}

static const char *shop_file(void)
{
    return database(shop, sizeof shop / sizeof *shop);
}

/* ---- running ---------------------------------------------------------------------- */

static void begin(struct sample *s)
{
    sample_begin(s);
    s->cli.commands = cli_commands;
}

#define SAMPLE AT_END(sample_end) struct sample

/* Runs, and compares what is printed. */
#define SAYS(want, ...)                                                \
    do {                                                               \
        SAMPLE s;                                                      \
        begin(&s);                                                     \
        cr_assert_eq(SAMPLE_RUN(&s, "snapshot", __VA_ARGS__), 0, "%s", \
                     printer_text(&s.err));                            \
        cr_assert_str_eq(printer_text(&s.out), want);                  \
    } while (0)

/* Runs, and compares the exit status and a part of what is complained about. */
#define FAILS(status, part, ...)                                            \
    do {                                                                    \
        SAMPLE s;                                                           \
        begin(&s);                                                          \
        cr_assert_eq(SAMPLE_RUN(&s, "snapshot", __VA_ARGS__), status, "%s", \
                     printer_text(&s.err));                                 \
        cr_assert_not_null(strstr(printer_text(&s.err), part), "%s",        \
                           printer_text(&s.err));                           \
    } while (0)

/* ---- ls --------------------------------------------------------------------------- */

CASE(cli_inspect, lists_keys_in_columns_and_never_obeys_them)
{
    SAYS("CREATE  MOD  VERSION  LEASE  SIZE  KEY\n"
         "     2    3        2  1        11  /registry/pods/default/web\n"
         "     4    4        1  0         7  /registry/secrets/default/db\n"
         "     5    5        1  0         1  /x/\\x1b[31mred\\x0a\n"
         "     6    6        1  0        34  /x/tls\n",
         "ls", shop_file());
}

CASE(cli_inspect, lists_keys_in_every_format)
{
    const char *db = shop_file();

    SAYS("/x/\\x1b[31mred\\x0a\n/x/tls\n", "ls", db, "/x/", "--keys-only");
    SAYS("{\"kvs\":[{\"key\":\"L3gvG1szMW1yZWQK\"},{\"key\":\"L3gvdGxz\"}],"
         "\"header\":{\"revision\":8},\"count\":2}\n",
         "ls", db, "/x/", "--keys-only", "--json");
    SAYS("{\"kvs\":[{\"create_revision\":2,\"mod_revision\":3,\"version\":2,\"lease\":1,"
         "\"lease_hex\":\"1\",\"value_size\":11,"
         "\"key\":\"L3JlZ2lzdHJ5L3BvZHMvZGVmYXVsdC93ZWI=\"}],"
         "\"header\":{\"revision\":8},\"count\":1}\n",
         "ls", db, "/registry/pods", "--json");
    SAYS("+--------+-----+---------+-------+------+--------+\n"
         "| CREATE | MOD | VERSION | LEASE | SIZE |  KEY   |\n"
         "+--------+-----+---------+-------+------+--------+\n"
         "|      6 |   6 |       1 | 0     |   34 | /x/tls |\n"
         "+--------+-----+---------+-------+------+--------+\n",
         "ls", db, "/x/t", "-w", "table");
    SAYS("\"Key\" : \"/x/\\x1b[31mred\\x0a\"\n\"key\" : \"L3gvG1szMW1yZWQK\"\n\n"
         "\"Key\" : \"/x/tls\"\n\"key\" : \"L3gvdGxz\"\n",
         "ls", db, "/x/", "--keys-only", "-w", "fields");
    SAYS("", "ls", db, "/none");
    SAYS("", "ls", db, "/none", "-w", "table");
    SAYS("{\"kvs\":[],\"header\":{\"revision\":8},\"count\":0}\n", "ls", db, "/none",
         "--json");
    SAYS("/registry/pods/default/web\n", "ls", db, "--revision", "3", "--keys-only");
}

CASE(cli_inspect, sums_up_by_prefix)
{
    const char *db = shop_file();

    SAYS("KEYS   LIVE  OLD RECORDS    OLD  PREFIX\n"
         "   2  107 B            2   62 B  /x/\n"
         "   1   66 B            1   56 B  /registry/pods/\n"
         "   1   62 B            0    0 B  /registry/secrets/\n"
         "   4  235 B            3  118 B  (all)\n",
         "ls", db, "--du");
    SAYS("{\"prefixes\":[{\"keys\":2,\"live_bytes\":107,\"history\":2,"
         "\"history_bytes\":62,\"prefix\":\"/x/\"}],\"header\":{\"revision\":8},"
         "\"depth\":2,\"total\":{\"keys\":2,\"live_bytes\":107,\"history\":2,"
         "\"history_bytes\":62}}\n",
         "ls", db, "/x", "--du", "--json");
    FAILS(2, "ask for different things", "ls", db, "--du", "--keys-only");
}

CASE(cli_inspect, says_which_revisions_there_are)
{
    const char *db = shop_file();

    FAILS(10, "revision 9 lies in the future, the database is at revision 8", "ls", db,
          "--revision", "9");
    FAILS(10, "looking into", "ls", "/nowhere/at/all");
    FAILS(2, "is compressed", "ls", "tests/golden/etcd-3.6/snapshot.db.zst");
}

/* ---- get -------------------------------------------------------------------------- */

CASE(cli_inspect, gives_a_value_byte_for_byte)
{
    const char *db = shop_file();

    SAYS("two\t\"\x1b[2J\"\n", "get", db, "/registry/pods/default/web");
    SAYS("one", "get", db, "/registry/pods/default/web", "--revision", "2");
    SAYS("{\"header\":{\"revision\":8},\"kvs\":[{\"key\":\"L3gvG1szMW1yZWQK\","
         "\"create_revision\":5,\"mod_revision\":5,\"version\":1,\"lease\":0,"
         "\"value\":\"dg==\"}],\"count\":1}\n",
         "get", db, HOSTILE, "--json");
}

CASE(cli_inspect, gives_a_value_larger_than_its_buffers)
{
    enum { SIZE = 300000 };
    static char value[SIZE + 1];
    const struct kv big = { 2, 2, 1, 0, "big", value };

    memset(value, 'x', SIZE);
    value[0] = '<';
    value[SIZE - 1] = '>';
    SAYS(value, "get", database(&big, 1), "big");
}

CASE(cli_inspect, keeps_secrets_unless_told)
{
    const char *db = shop_file();

    FAILS(5, "looks like a secret", "get", db, "/registry/secrets/default/db");
    FAILS(5, "--reveal", "get", db, "/x/tls");
    FAILS(5, "looks like a secret", "get", db, "/x/tls", "--json");
    SAYS("hunter2", "get", db, "/registry/secrets/default/db", "--reveal");
    SAYS(PEM, "get", db, "/x/tls", "--reveal", "--raw");
    SAYS("REVISION  SUB  EVENT  CREATE  VERSION  LEASE  SIZE\n"
         "       6    0  PUT         6        1  0        34\n",
         "get", db, "/x/tls", "--history");
}

CASE(cli_inspect, tells_the_history_of_a_key)
{
    const char *db = shop_file();

    SAYS("REVISION  SUB  EVENT   CREATE  VERSION  LEASE  SIZE\n"
         "       7    0  PUT          7        1  0         1\n"
         "       8    0  DELETE       0        0  0         0\n",
         "get", db, "/x/gone", "--history");
    SAYS("{\"events\":[{\"mod_revision\":7,\"sub\":0,\"type\":\"PUT\","
         "\"create_revision\":7,\"version\":1,\"lease\":0,\"lease_hex\":\"0\","
         "\"value_size\":1}],\"header\":{\"revision\":7},\"key\":\"L3gvZ29uZQ==\","
         "\"compact_revision\":-1}\n",
         "get", db, "/x/gone", "--history", "--revision", "7", "--json");
    FAILS(10, "was deleted at revision 8", "get", db, "/x/gone");
    FAILS(10, "an older --revision may show it", "get", db, "/x/gone");
    FAILS(10, "there is no key '/x/gon' at revision 8", "get", db, "/x/gon");
    FAILS(10, "there is no key", "get", db, "/x/gon", "--history");
}

/* ---- the rest --------------------------------------------------------------------- */

CASE(cli_inspect, tells_what_changed)
{
    static const struct kv later[] = {
        { 2, 2, 1, 0, "/registry/pods/default/web", "one" },
        { 4, 4, 1, 0, "/registry/secrets/default/db", "hunter3" },
        { 9, 9, 1, 0, "/y/new", "1234" },
    };
    const char *a = shop_file(), *b = database(later, 3);
    char want[2048];

    snprintf(want, sizeof want,
             "~  key  /registry/pods/default/web  rev 3 (11 B)  rev 2 (3 B)\n"
             "~  key  /registry/secrets/default/db  rev 4 (7 B)  rev 4 (7 B)  "
             "of the same revision, but different\n"
             "-  key  /x/\\x1b[31mred\\x0a  rev 5 (1 B)\n"
             "-  key  /x/tls  rev 6 (34 B)\n"
             "+  key  /y/new  rev 9 (4 B)\n"
             "-  history  /x/gone  rev 7 (1 B)\n"
             "-  history  /x/gone  rev 8 (deleted)\n"
             "\n"
             "A:             %s\nRevision of A: 8\n"
             "B:             %s\nRevision of B: 9\n"
             "Forked keys:   1\n"
             "\nChanges:\nWHAT     ADDED  REMOVED  CHANGED\n"
             "key          1        2        2\n"
             "history      0        2        0\n"
             "\nGrowth:\nKEYS  BEFORE  AFTER  GROWTH  PREFIX\n"
             "   1     0 B   37 B  +37 B   /y/\n"
             "   0   122 B   56 B  -66 B   /registry/pods/\n"
             "  -2   169 B    0 B  -169 B  /x/\n",
             a, b);
    SAYS(want, "diff", a, b);
    SAYS(strstr(want, "A:  "), "diff", a, b, "--summary");
    FAILS(10, "looking into '/no/a'", "diff", "/no/a", "/no/b");
    FAILS(10, "looking into '/no/b'", "diff", a, "/no/b");
}

CASE(cli_inspect, tells_programs_what_changed)
{
    static const struct kv later[] = { { 9, 5, 2, 7, HOSTILE, "w" } };
    const char *a = shop_file(), *b = database(later, 1);
    char want[2048];

    snprintf(want, sizeof want,
             "{\"changes\":[{\"change\":\"changed\",\"what\":\"key\","
             "\"key\":\"L3gvG1szMW1yZWQK\",\"before\":{\"deleted\":false,\"create_"
             "revision\":5,"
             "\"mod_revision\":5,\"version\":1,\"lease\":0,\"value_size\":1},"
             "\"after\":{\"deleted\":false,\"create_revision\":5,\"mod_revision\":9,"
             "\"version\":2,\"lease\":7,"
             "\"value_size\":1},\"same_revision\":false}],"
             "\"a\":\"%s\",\"a_revision\":8,\"b\":\"%s\",\"b_revision\":9,"
             "\"forked_keys\":0,\"counts\":[{\"what\":\"key\",\"added\":0,\"removed\":0,"
             "\"changed\":1}],\"growth\":[{\"keys\":0,\"before_bytes\":40,"
             "\"after_bytes\":42,\"growth_bytes\":2,\"prefix\":\"/x/\"}]}\n",
             a, b);
    SAYS(want, "diff", a, b, "--prefix", HOSTILE, "--json");
}

CASE(cli_inspect, lists_leases_and_members)
{
    const char *db = shop_file();

    SAYS("LEASE  TTL  REMAINING  KEYS\n1       60          0     1\n", "leases", db);
    SAYS("{\"leases\":[{\"id\":1,\"id_hex\":\"1\",\"ttl\":60,\"remaining_ttl\":0,"
         "\"keys\":1}],\"count\":1,\"keys_of_missing_leases\":0}\n",
         "leases", db, "--json");
    SAYS("Count: 1\n\nMembers:\n"
         "ID  NAME    PEER ADDRS             CLIENT ADDRS  IS LEARNER  IN CONFSTATE\n"
         "11  m\\x1b1  http://a:1,http://b:1  http://a:2    false       voter\n"
         "\nRemoved:\nID\n12\n"
         "\nIn ConfState, but no members:\nID\n12\n",
         "members", db);
}

CASE(cli_inspect, exits_8_when_secrets_are_plain)
{
    static const struct kv good[] = {
        { 2, 2, 1, 0, "/registry/secrets/ns/a", "k8s:enc:aescbc:v1:key1:??" },
    };
    static const struct kv old[] = {
        { 2, 2, 1, 0, "/registry/secrets/ns/a", "plain" },
        { 3, 2, 2, 0, "/registry/secrets/ns/a", "k8s:enc:aescbc:v1:key1:??" },
    };

    SAYS("Prefix:                 /registry/secrets/\n"
         "Secrets:                1\n"
         "Plain text:             0\n"
         "Plain text, superseded: 0\n"
         "\nHow they are stored:\n"
         "PROVIDER  VERSION  KEY   LIVE  SUPERSEDED\n"
         "aescbc    v1       key1     1           0\n",
         "check-secrets", database(good, 1));
    FAILS(8, "1 values are stored in plain text", "check-secrets", shop_file());
    FAILS(8, "1 superseded values are still there in plain text", "check-secrets",
          database(old, 2));
}

CASE(cli_inspect, survives_when_memory_runs_out)
{
    static const char *const runs[][6] = {
        { "snapshot", "ls", "FILE" },
        { "snapshot", "ls", "FILE", "--du", "--json" },
        { "snapshot", "get", "FILE", "/x/gone", "--history" },
        { "snapshot", "get", "FILE", HOSTILE, "--json" },
        { "snapshot", "diff", "FILE", "FILE", "--json" },
        { "snapshot", "members", "FILE" },
        { "snapshot", "leases", "FILE" },
    };
    const char *db = shop_file();

    for (size_t run = 0; run < sizeof runs / sizeof *runs; run++) {
        const char *words[7] = { NULL };
        unsigned failures = 0;

        for (size_t i = 0; i < 6 && runs[run][i] != NULL; i++)
            words[i] = strcmp(runs[run][i], "FILE") == 0 ? db : runs[run][i];
        FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
            SAMPLE s;
            int status;

            begin(&s);
            status = cli_run(&s.cli, words);
            cr_assert(status == 0 || status == 1, "run %zu, allocation %u: %d %s", run,
                      nth, status, printer_text(&s.err));
            failures += status == 1;
        }
        cr_assert_gt(failures, 20u, "run %zu", run);
    }
}

/* As `holdfast snapshot ls FILE | head -1` does. */
CASE(cli_inspect, nobody_needs_to_read_all_of_a_list)
{
    const char *const file = shop_file();
    int ends[2];
    SAMPLE s;

    signal(SIGPIPE, SIG_IGN);
    cr_assert_eq(pipe(ends), 0);
    close(ends[0]);
    begin(&s);
    s.out.fd = ends[1];
    s.out.name = "standard output";
    cr_assert_eq(SAMPLE_RUN(&s, "snapshot", "ls", file), 0);
    cr_assert_str_eq(printer_text(&s.err), "");
    s.out.failure.code = RC_OK;
    s.out.is_list = s.out.reader_left = false;
    cr_assert_eq(SAMPLE_RUN(&s, "snapshot", "status", file), 6, "a result is no list");
    close(ends[1]);
}

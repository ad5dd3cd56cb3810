#include "tests/lib/objectstore.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <curl/curl.h>

#include "tests/lib/case.h"
#include "tests/lib/peer.h"
#include "tests/lib/proc.h"
#include "tests/lib/tmpdir.h"
#include "util/bytes.h"
#include "util/clock.h"

enum { TEXT = 4096, START_MS = 60000 };

#define LIBRARIES "/usr/lib/x86_64-linux-gnu"

static char *rotating(void)
{
    static char texts[64][TEXT];
    static unsigned turn;

    return texts[turn++ % 64];
}

[[gnu::format(printf, 1, 2)]] static const char *text(const char *fmt, ...)
{
    char *to = rotating();
    va_list ap;

    va_start(ap, fmt);
    cr_assert_lt(vsnprintf(to, TEXT, fmt, ap), TEXT);
    va_end(ap);
    return to;
}

/* Where its packages were unpacked. */
static const char *root_of(const char *name)
{
    return text("%s", peer_path(text("tools/%s", name)));
}

void objectstore_need(const char *name)
{
    const char *program = strcmp(name, "swift") == 0 ? "swift-proxy-server" : name;

    if (!peer_available(text("tools/%s/usr/bin/%s", name, program)))
        cr_skip_test("no %s", name);
}

static void write_file(const char *path, const char *content)
{
    FILE *f = fopen(path, "w");

    cr_assert_not_null(f, "%s", path);
    cr_assert_geq(fputs(content, f), 0);
    cr_assert_eq(fclose(f), 0);
    cr_assert_eq(chmod(path, 0600), 0);
}

static void make_dir(const char *dir, const char *name)
{
    cr_assert_eq(mkdir(text("%s/%s", dir, name), 0700), 0, "%s", name);
}

/* ---- programs of an unpacked tree ---- */

struct command {
    const char *argv[40];
    size_t n;
};

static void push(struct command *c, const char *word)
{
    cr_assert_lt(c->n, 39);
    c->argv[c->n++] = word;
}

/* "env LD_LIBRARY_PATH=... PYTHONPATH=... ROOT/usr/bin/PROGRAM" */
static void begin(struct command *c, const struct objectstore *o, const char *program)
{
    const char *root = root_of(o->name);

    *c = (struct command){ 0 };
    push(c, "env");
    push(c, text("LD_LIBRARY_PATH=%s" LIBRARIES ":%s" LIBRARIES
                 "/ceph:%s/lib/x86_64-linux-gnu",
                 root, root, root));
    push(c, text("PYTHONPATH=%s/usr/lib/python3/dist-packages", root));
    push(c, text("HOME=%s", o->dir));
    if (program != NULL)
        push(c, text("%s/usr/bin/%s", root, program));
}

static void push_all(struct command *c, const char *const words[])
{
    for (size_t i = 0; words[i] != NULL; i++)
        push(c, words[i]);
}

static void run_words(const struct objectstore *o, const char *program,
                      const char *const words[])
{
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    struct command c;

    begin(&c, o, program);
    push_all(&c, words);
    proc_run(&p, NULL, c.argv);
    cr_assert_eq(p.status, 0, "%s: %s%s", program, p.out, p.err);
}
#define RUN_TOOL(o, program, ...) \
    run_words(o, program, (const char *const[]){ __VA_ARGS__, NULL })

static pid_t start_words(const struct objectstore *o, const char *program,
                         const char *const words[])
{
    struct command c;

    begin(&c, o, program);
    push_all(&c, words);
    return proc_start(text("%s/%s.out", o->dir, program), c.argv);
}
#define START_TOOL(o, program, ...) \
    start_words(o, program, (const char *const[]){ __VA_ARGS__, NULL })

/* ---- radosgw ---- */

/* One monitor, one disk in memory, and the gateway. New pools wait for the monitor, whose
 * patience is a second each if it is not told otherwise. */
static void configure_ceph(const struct objectstore *o, const char *fsid, int mon)
{
    const char *root = root_of("radosgw"), *d = o->dir;
    const char *paths = text("keyring = %s/admin.keyring\n"
                             "plugin_dir = %s" LIBRARIES "/ceph\n"
                             "erasure_code_dir = %s" LIBRARIES "/ceph/erasure-code\n"
                             "osd_class_dir = %s" LIBRARIES "/rados-classes\n"
                             "run_dir = %s\n"
                             "log_file = %s/$name.log\n"
                             "admin_socket = %s/$name.asok\n"
                             "osd_data = %s/osd\n"
                             "mon_data = %s/mon\n",
                             d, root, root, root, d, d, d, d, d);

    write_file(text("%s/ceph.conf", d), text("[global]\n"
                                             "fsid = %s\n"
                                             "mon_initial_members = a\n"
                                             "mon_host = [v2:127.0.0.1:%d]\n"
                                             "public_addr = 127.0.0.1\n"
                                             "cluster_addr = 127.0.0.1\n"
                                             "%s"
                                             "osd_pool_default_size = 1\n"
                                             "osd_pool_default_min_size = 1\n"
                                             "osd_pool_default_pg_num = 1\n"
                                             "osd_pool_default_pgp_num = 1\n"
                                             "osd_pool_default_pg_autoscale_mode = off\n"
                                             "osd_crush_chooseleaf_type = 0\n"
                                             "osd_objectstore = memstore\n"
                                             "osd_class_load_list = *\n"
                                             "osd_class_default_list = *\n"
                                             "memstore_device_bytes = 1073741824\n"
                                             "mon_allow_pool_size_one = true\n"
                                             "mon_max_pg_per_osd = 1000\n"
                                             "mon_tick_interval = 1\n"
                                             "paxos_propose_interval = 0.05\n"
                                             "paxos_min_wait = 0.01\n"
                                             "[osd]\nkeyring = %s/osd/keyring\n"
                                             "[mon]\nkeyring = %s/mon.keyring\n"
                                             "[client.admin]\n"
                                             "rgw_data = %s\n"
                                             "rgw_dns_name = localhost\n"
                                             "rgw_crypt_require_ssl = false\n",
                                             fsid, mon, paths, d, d, d));
}

static void make_keys(const struct objectstore *o)
{
    const char *mon = text("%s/mon.keyring", o->dir);
    const char *admin = text("%s/admin.keyring", o->dir);
    const char *osd = text("%s/osd/keyring", o->dir);

    RUN_TOOL(o, "ceph-authtool", "-C", mon, "--gen-key", "-n", "mon.", "--cap", "mon",
             "allow *");
    RUN_TOOL(o, "ceph-authtool", "-C", admin, "--gen-key", "-n", "client.admin", "--cap",
             "mon", "allow *", "--cap", "osd", "allow *", "--cap", "mgr", "allow *");
    RUN_TOOL(o, "ceph-authtool", "-C", osd, "--gen-key", "-n", "osd.0", "--cap", "mon",
             "allow profile osd", "--cap", "osd", "allow *");
    RUN_TOOL(o, "ceph-authtool", mon, "--import-keyring", admin);
    RUN_TOOL(o, "ceph-authtool", mon, "--import-keyring", osd);
}

static const char *new_uuid(void)
{
    char *to = rotating();
    FILE *f = fopen("/proc/sys/kernel/random/uuid", "r");

    cr_assert(f != NULL && fgets(to, TEXT, f) != NULL && fclose(f) == 0);
    to[strcspn(to, "\n")] = '\0';
    return to;
}

static const char *frontend(const struct objectstore *o)
{
    if (o->tls_dir == NULL)
        return text("beast endpoint=127.0.0.1:%d", o->port);
    return text("beast endpoint=127.0.0.1:%d ssl_endpoint=127.0.0.1:%d "
                "ssl_certificate=%s/server.crt ssl_private_key=%s/server.key",
                o->port, o->tls_port, o->tls_dir, o->tls_dir);
}

static void start_gateway(struct objectstore *o)
{
    o->daemons[2] = START_TOOL(o, "radosgw", "-c", text("%s/ceph.conf", o->dir), "-n",
                               "client.admin", "-f", "--rgw-frontends", frontend(o));
}

void objectstore_crash(struct objectstore *o)
{
    proc_stop(o->daemons[2], SIGKILL);
    start_gateway(o);
}

static void start_radosgw(struct objectstore *o)
{
    char fsid[64], disk[64], conf[512];
    int mon = free_port();
    const char *map = text("%s/mon.map", o->dir);

    snprintf(fsid, sizeof fsid, "%s", new_uuid());
    snprintf(disk, sizeof disk, "%s", new_uuid());
    snprintf(conf, sizeof conf, "%s/ceph.conf", o->dir);
    make_dir(o->dir, "mon");
    make_dir(o->dir, "osd");
    configure_ceph(o, fsid, mon);
    make_keys(o);
    RUN_TOOL(o, "monmaptool", "--create", "--addv", "a", text("[v2:127.0.0.1:%d]", mon),
             "--fsid", fsid, map);
    RUN_TOOL(o, "ceph-mon", "-c", conf, "--mkfs", "-i", "a", "--monmap", map, "--keyring",
             text("%s/mon.keyring", o->dir));
    o->daemons[0] = START_TOOL(o, "ceph-mon", "-c", conf, "-i", "a", "-f");
    RUN_TOOL(o, "ceph", "-c", conf, "osd", "new", disk, "0");
    RUN_TOOL(o, "ceph-osd", "-c", conf, "-i", "0", "--mkfs", "--osd-uuid", disk);
    o->daemons[1] = START_TOOL(o, "ceph-osd", "-c", conf, "-i", "0", "-f");
    start_gateway(o);
    RUN_TOOL(o, "radosgw-admin", "-c", conf, "user", "create", "--uid", "t",
             "--display-name", "t", "--access-key", o->access, "--secret", o->secret);
}

/* ---- Swift ---- */

/* Its programs look for swift.conf in /etc before they look at their own options. */
static const char swift_start[] =
    "import os, runpy, sys\n"
    "from swift.common import utils\n"
    "utils.SWIFT_CONF_FILE = os.path.join(os.path.dirname(sys.argv[2]), 'swift.conf')\n"
    "sys.argv = sys.argv[1:]\n"
    "runpy.run_path(sys.argv[0], run_name='__main__')\n";

static const char *swift_defaults(const struct objectstore *o, int port)
{
    return text("[DEFAULT]\n"
                "devices = %s/srv\n"
                "mount_check = false\n"
                "bind_ip = 127.0.0.1\n"
                "bind_port = %d\n"
                "workers = 0\n"
                "user = root\n"
                "swift_dir = %s\n"
                "log_level = WARNING\n"
                "log_address = /dev/null\n",
                o->dir, port, o->dir);
}

static pid_t start_swift_server(const struct objectstore *o, const char *kind)
{
    struct command c;

    begin(&c, o, NULL);
    push(&c, "python3");
    push(&c, "-c");
    push(&c, swift_start);
    push(&c, text("%s/usr/bin/swift-%s-server", root_of("swift"), kind));
    push(&c, text("%s/%s.conf", o->dir, kind));
    return proc_start(text("%s/%s.out", o->dir, kind), c.argv);
}

/* The three rings by one program: each start of Python costs a second. */
static const char swift_rings[] =
    "import sys\n"
    "from swift.common.ring import RingBuilder\n"
    "for kind, port in zip(('account', 'container', 'object'), sys.argv[2:]):\n"
    "    b = RingBuilder(4, 1, 1)\n"
    "    b.add_dev({'id': 0, 'region': 1, 'zone': 1, 'ip': '127.0.0.1', 'device': 'd1',\n"
    "               'port': int(port), 'weight': 1, 'replication_ip': '127.0.0.1',\n"
    "               'replication_port': int(port)})\n"
    "    b.rebalance()\n"
    "    b.get_ring().save('%s/%s.ring.gz' % (sys.argv[1], kind))\n";

static void build_rings(const struct objectstore *o, const int ports[3])
{
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 };
    struct command c;

    begin(&c, o, NULL);
    push_all(&c, (const char *const[]){ "python3", "-c", swift_rings, o->dir,
                                        text("%d", ports[0]), text("%d", ports[1]),
                                        text("%d", ports[2]), NULL });
    proc_run(&p, NULL, c.argv);
    cr_assert_eq(p.status, 0, "rings: %s%s", p.out, p.err);
}

static void configure_proxy(const struct objectstore *o)
{
    write_file(
        text("%s/proxy.conf", o->dir),
        text("%s"
             "[pipeline:main]\n"
             "pipeline = catch_errors cache s3api tempauth bulk slo dlo "
             "versioned_writes symlink proxy-server\n"
             "[app:proxy-server]\nuse = egg:swift#proxy\n"
             "allow_account_management = true\naccount_autocreate = true\n"
             "[filter:catch_errors]\nuse = egg:swift#catch_errors\n"
             "[filter:cache]\nuse = egg:swift#memcache\nmemcache_servers = 127.0.0.1:%d\n"
             "[filter:s3api]\nuse = egg:swift#s3api\ns3_acl = false\n"
             "dns_compliant_bucket_names = false\nmin_segment_size = 1\n"
             "[filter:tempauth]\nuse = egg:swift#tempauth\n"
             "user_test_tester = %s .admin\n"
             "[filter:symlink]\nuse = egg:swift#symlink\n"
             "[filter:bulk]\nuse = egg:swift#bulk\n"
             "[filter:slo]\nuse = egg:swift#slo\n"
             "[filter:dlo]\nuse = egg:swift#dlo\n"
             "[filter:versioned_writes]\nuse = egg:swift#versioned_writes\n"
             "allow_versioned_writes = true\nallow_object_versioning = true\n",
             swift_defaults(o, o->port), free_port(), o->secret));
}

static void start_swift(struct objectstore *o)
{
    static const char *const kinds[] = { "account", "container", "object" };
    const int ports[] = { free_port(), free_port(), free_port() };

    make_dir(o->dir, "srv");
    make_dir(o->dir, "srv/d1");
    write_file(text("%s/swift.conf", o->dir),
               "[swift-hash]\nswift_hash_path_suffix = x\nswift_hash_path_prefix = y\n"
               "[storage-policy:0]\nname = one\ndefault = yes\n");
    build_rings(o, ports);
    for (size_t i = 0; i < 3; i++) {
        write_file(text("%s/%s.conf", o->dir, kinds[i]),
                   text("%s[pipeline:main]\npipeline = %s-server\n"
                        "[app:%s-server]\nuse = egg:swift#%s\n",
                        swift_defaults(o, ports[i]), kinds[i], kinds[i], kinds[i]));
        o->daemons[i] = start_swift_server(o, kinds[i]);
    }
    configure_proxy(o);
    o->daemons[3] = start_swift_server(o, "proxy");
}

/* ---- both ---- */

static size_t gather(char *p, size_t size, size_t n, void *arg)
{
    struct buf *to = arg;
    struct err e = { 0 };

    return buf_add(to, p, size * n, &e) == RC_OK ? size * n : 0;
}

/* With the hash of nothing signed, libcurl 7.88 would need to be told of the content. */
static struct curl_slist *headers_of(const char *header)
{
    struct curl_slist *l =
        curl_slist_append(NULL, "x-amz-content-sha256: UNSIGNED-PAYLOAD");

    return header == NULL ? l : curl_slist_append(l, header);
}

static int perform(CURL *curl)
{
    long status = 0;

    if (curl_easy_perform(curl) != CURLE_OK)
        return 0;
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

int objectstore_request(const struct objectstore *o, const char *method, const char *path,
                        const char *header, const char *content, const char **body)
{
    static struct buf answer;
    struct curl_slist *headers = headers_of(header);
    CURL *curl = curl_easy_init();
    struct err e = { 0 };
    int status;

    buf_clear(&answer);
    curl_easy_setopt(curl, CURLOPT_URL, text("%s%s", o->endpoint, path));
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_AWS_SIGV4, "aws:amz:us-east-1:s3");
    curl_easy_setopt(curl, CURLOPT_USERNAME, o->access);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, o->secret);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT, 60L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, gather);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    if (content != NULL)
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, content);
    status = perform(curl);
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
    OK(buf_add(&answer, "", 1, &e), &e);
    if (body != NULL)
        *body = (const char *)answer.p;
    return status;
}

/* The list of all buckets. */
static void wait_until_it_answers(const struct objectstore *o)
{
    uint64_t end = clock_ms() + START_MS;
    const char *body = "";

    while (objectstore_request(o, "GET", "/", NULL, NULL, &body) != 200) {
        for (size_t i = 0; i < OBJECTSTORE_DAEMONS; i++)
            cr_assert(o->daemons[i] == 0 || proc_runs(o->daemons[i]),
                      "%s: daemon %zu ended; see %s", o->name, i, o->dir);
        cr_assert_lt(clock_ms(), end, "%s does not answer: %s", o->name, body);
        clock_sleep_ms(100);
    }
}

void objectstore_start(struct objectstore *o, const char *name, const char *tls_dir)
{
    bool swift = strcmp(name, "swift") == 0;

    objectstore_need(name);
    *o = (struct objectstore){ .name = name,
                               .dir = tmpdir_new(),
                               .tls_dir = tls_dir,
                               .port = free_port(),
                               .tls_port = tls_dir == NULL ? 0 : free_port(),
                               .access = swift ? "test:tester" : "AKTEST",
                               .secret = "SECRETCANARY0123456789" };
    snprintf(o->endpoint, sizeof o->endpoint, "http://127.0.0.1:%d", o->port);
    snprintf(o->credentials, sizeof o->credentials, "%s/credentials", o->dir);
    write_file(o->credentials,
               text("[default]\naws_access_key_id = %s\naws_secret_access_key = %s\n",
                    o->access, o->secret));
    if (swift)
        start_swift(o);
    else
        start_radosgw(o);
    wait_until_it_answers(o);
}

/* The last to be started is the first to end. */
void objectstore_stop(struct objectstore *o)
{
    for (size_t i = OBJECTSTORE_DAEMONS; i-- > 0;) {
        proc_stop(o->daemons[i], SIGKILL);
        o->daemons[i] = 0;
    }
}

void objectstore_bucket(const struct objectstore *o, const char *bucket, int flags)
{
    const char *lock = (flags & OBJECTSTORE_LOCKS) == 0
                           ? NULL
                           : "x-amz-bucket-object-lock-enabled: true";
    const char *path = text("/%s", bucket), *body = "";
    uint64_t end = clock_ms() + START_MS;
    int status;

    /* The first answers of a busy machine may be that it is not ready. */
    while ((status = objectstore_request(o, "PUT", path, lock, NULL, &body)) >= 500 &&
           clock_ms() < end)
        clock_sleep_ms(200);
    cr_assert(status == 200 || status == 409, "%d %s", status, body);
}

const char *objectstore_url(const struct objectstore *o, const char *place)
{
    return text("s3://%s?endpoint=%s", place, o->endpoint);
}

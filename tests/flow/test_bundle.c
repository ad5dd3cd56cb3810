/* A bundle straight from a member's stream, opened by tar and by us. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "bundle/bundle.h"
#include "storage/posix.h"
#include "tests/flow/flow.h"
#include "util/os.h"
#include "wire/kv.h"
#include "wire/snapshot.h"

static void fill(const struct cluster *c)
{
    static uint8_t value[4000];
    OWNED(wire_client) client = NULL;
    struct wire_header header;
    struct err e = { 0 };
    char key[32];

    flow_connect(c, &client);
    for (int i = 0; i < 200; i++) {
        snprintf(key, sizeof key, "key/%d", i);
        OK(wire_put(client, bytes_str(key), BYTES_OF(value), 0, &header, &e), &e);
    }
}

/* The size is known from the first message on, and from nowhere else. */
static void take(const struct cluster *c, const char *root, const char *file)
{
    const struct bundle_path path = { "/pki", true };
    uint64_t announced = 0;
    const struct bundle_options bundle = {
        .paths = &path, .count = 1, .root = root, .snapshot_size = &announced
    };
    const struct wire_snapshot_options options = { .announced = &announced };
    AT_END(bundle_report_clear) struct bundle_report report = { 0 };
    OWNED(wire_client) client = NULL;
    OWNED(sink) chain = NULL;
    struct wire_snapshot told;
    struct err e = { 0 };

    flow_connect(c, &client);
    OK(posix_put_new(file, NULL, &chain, &e), &e);
    OK(bundle_pack_new(GIVE(chain), &bundle, &report, &chain, &e), &e);
    OK(wire_snapshot_take(client, 0, &options, chain, &told, &e), &e);
    OK(sink_finish(chain, &e), &e);
    cr_assert_eq(announced, told.bytes);
    cr_assert_eq(report.packed.count, 1);
}

static void unpack(const char *file, const char *dir)
{
    const struct bundle_target target = { .dir = dir };
    OWNED(sink) to = NULL;
    OWNED_FD int fd = -1;
    struct err e = { 0 };

    OK(bundle_unpack_new(&target, &to, &e), &e);
    OK(os_open(AT_FDCWD, file, O_RDONLY, 0, &fd, &e), &e);
    OK(pump(fd, file, to, &e), &e);
}

EACH_ETCD(bundle, holds_a_snapshot_that_verifies_without_a_tool_of_ours)
{
    const char *root = tmpdir_new();
    char file[600], ours[600], theirs[600];
    CLUSTER c = { 0 };

    cr_assert_eq(mkdir(path_in(root, "pki"), 0700), 0);
    PEER(make, "sh", "-c", "echo certificate > \"$0/pki/ca.crt\"", root);
    cluster_start(&c, b, NULL);
    snprintf(file, sizeof file, "%s/bundle.tar", c.dir);
    snprintf(ours, sizeof ours, "%s/ours", c.dir);
    snprintf(theirs, sizeof theirs, "%s/theirs", c.dir);
    fill(&c);
    take(&c, root, file);
    cr_assert_eq(mkdir(theirs, 0700), 0);
    PEER(tar, "tar", "-xf", file, "-C", theirs);
    PEER(sums, "sh", "-c", "cd \"$0\" && sha256sum --strict -c SHA256SUMS", theirs);
    TOOL(v, 0, "snapshot", "verify", path_in(theirs, BUNDLE_SNAPSHOT));
    unpack(file, ours);
    PEER(same, "cmp", path_in(ours, BUNDLE_SNAPSHOT), path_in(theirs, BUNDLE_SNAPSHOT));
    PEER(file_same, "cmp", path_in(ours, "files/pki/ca.crt"),
         path_in(root, "pki/ca.crt"));
}

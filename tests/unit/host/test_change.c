#include "host/change.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/control.h"
#include "host/find.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/host/tree.h"
#include "util/mem.h"
#include "util/os.h"

#define LIST AT_END(host_list_clear) struct host_list
#define EDIT AT_END(host_edit_clear) struct host_edit

#define CLUSTER "n=https://10.0.0.9:2380,cp1=https://10.0.0.11:2380"

static struct host_change change_in(const char *root)
{
    return (struct host_change){ .initial_cluster = CLUSTER,
                                 .initial_state = "existing",
                                 .initial_token = "holdfast-42",
                                 .root = root };
}

/* The file as text; NULL when it is not there. */
static char *content(const char *path)
{
    struct err e = { 0 };
    uint8_t *text = NULL;
    char *copy;
    size_t n = 0;

    if (os_read_regular(path, 1 << 20, &text, &n, &e) != RC_OK)
        return NULL;
    copy = mem_str_n((const char *)text, n);
    mem_free(text);
    return copy;
}

static void expect_changed(const char *root)
{
    LIST l = { 0 };
    const struct host_member *m = tree_find(root, &l);

    cr_expect_str_eq(m->initial_cluster, CLUSTER, "%s", m->initial_cluster);
    cr_expect_str_eq(m->initial_state, "existing");
    cr_expect_str_eq(m->initial_token, "holdfast-42", "%s", m->initial_token);
    cr_expect_eq(m->remarks.count, 0);
}

/* Changed, found as changed, not changed twice, and put back to the byte. */
static void goes_there_and_back(const char *root, const char *file)
{
    struct host_change c = change_in(root);
    char path[600];
    struct err e = { 0 };
    LIST l = { 0 };
    EDIT edit = { 0 }, again = { 0 };

    snprintf(path, sizeof path, "%s%s", root, file);
    AT_END(mem_end) char *before = content(path);

    OK(host_change_text(tree_find(root, &l), &c, &edit, &e), &e);
    cr_assert_str_eq(edit.path, path, "%s", edit.path);
    cr_assert(!edit.is_same && edit.is_new == (before == NULL));
    OK(host_change_apply(&edit, &e), &e);
    expect_changed(root);
    host_list_clear(&l);
    OK(host_change_text(tree_find(root, &l), &c, &again, &e), &e);
    cr_expect(again.is_same, "%s", again.text);
    OK(host_change_apply(&again, &e), &e);
    for (int i = 0; i < 2; i++) {
        OK(host_change_undo(&edit, &e), &e);
        AT_END(mem_end) char *after = content(path);

        cr_expect(before == NULL ? after == NULL : strcmp(before, after) == 0);
    }
}

CASE(host_change, a_manifest_of_kubeadm)
{
    const char *root = tmpdir_new();

    tree_kubeadm(root);
    goes_there_and_back(root, "/etc/kubernetes/manifests/etcd.yaml");
}

CASE(host_change, nothing_else_of_a_manifest_changes)
{
    const char *root = tmpdir_new();
    struct host_change c = change_in(root);
    struct err e = { 0 };
    LIST l = { 0 };
    EDIT edit = { 0 };

    tree_kubeadm(root);
    OK(host_change_text(tree_find(root, &l), &c, &edit, &e), &e);
    AT_END(mem_end) char *before = content(edit.path);
    const char *at = strstr(before, "    - --initial-cluster=");
    const char *rest = strchr(at, '\n') + 1;

    cr_expect_eq(strncmp(edit.text, before, (size_t)(at - before)), 0);
    cr_expect_not_null(strstr(edit.text, "    - --initial-cluster=" CLUSTER "\n"));
    cr_expect_not_null(strstr(edit.text, "    - --trusted-ca-file=/etc/kubernetes/pki/"
                                         "etcd/ca.crt\n"
                                         "    - --initial-cluster-state=existing\n"
                                         "    - --initial-cluster-token=holdfast-42\n"));
    rest = strstr(rest, "    image:");
    cr_expect_str_eq(strstr(edit.text, "    image:"), rest);
}

CASE(host_change, a_parked_manifest_is_changed_where_it_waits)
{
    const char *root = tmpdir_new();
    struct host_control none = { .settle_ms = 1 };
    struct err e = { 0 };
    LIST l = { 0 };

    tree_kubeadm(root);
    (void)tree_find(root, &l);
    OK(host_stop(&l.items[0], &none, &e), &e);
    goes_there_and_back(root, "/etc/kubernetes/holdfast-parked/etcd.yaml");
}

CASE(host_change, debians_default_file)
{
    const char *root = tmpdir_new();

    tree_debian(root);
    goes_there_and_back(root, "/etc/default/etcd");
}

CASE(host_change, owner_and_mode_stay)
{
    const char *root = tmpdir_new();
    struct host_change c = change_in(root);
    struct stat st;
    struct err e = { 0 };
    LIST l = { 0 };
    EDIT edit = { 0 };

    tree_debian(root);
    OK(host_change_text(tree_find(root, &l), &c, &edit, &e), &e);
    cr_assert_eq(chmod(edit.path, 0640), 0);
    OK(host_change_apply(&edit, &e), &e);
    cr_expect(stat(edit.path, &st) == 0 && (st.st_mode & 07777) == 0640);
    cr_expect_str_eq(dir_listing(path_in(root, "etc/default")),
                     ".etcd.holdfast-original etcd");
}

CASE(host_change, a_unit_with_flags_gets_a_drop_in)
{
    const char *root = tmpdir_new();

    tree_write(root, "/usr/lib/systemd/system/etcd.service",
               "[Service]\nEnvironment=\"ETCD_INITIAL_CLUSTER_TOKEN=old\" NAME=m$1\n"
               "ExecStart=/usr/bin/etcd --name ${NAME} --data-dir '/d a' \\\n"
               "  --initial-cluster=x=http://1.1.1.1:2380 --force-new-cluster \\\n"
               "  --listen-metrics-urls http://[::1]:9 --enable-v2\n");
    tree_write(root, "/etc/systemd/system/other.service", "");
    goes_there_and_back(root, "/etc/systemd/system/etcd.service.d/90-holdfast.conf");
}

CASE(host_change, a_configuration_file)
{
    const char *root = tmpdir_new();

    tree_write(root, "/etc/etcd.yml",
               "# ours\nname: a\ndata-dir: /d\nforce-new-cluster: true\n"
               "initial-cluster: 'a=http://1.1.1.1:1' # one\n\n"
               "client-transport-security:\n  auto-tls: true");
    tree_write(root, "/etc/systemd/system/etcd.service",
               "[Service]\nExecStart=/usr/bin/etcd --config-file /etc/etcd.yml\n");
    goes_there_and_back(root, "/etc/etcd.yml");
}

CASE(host_change, what_cannot_be_edited_is_refused_with_the_flags)
{
    static const struct {
        const char *file, *text;
    } cases[] = {
        { "/etc/kubernetes/manifests/e.yaml",
          "kind: Pod\nspec: {containers: [{command: [etcd, --name=a]}]}\n" },
        { "/etc/kubernetes/manifests/e.yaml",
          "kind: Pod\nspec:\n  containers:\n  - command:\n    - sh\n    - -c\n"
          "    - etcd --name=a\n" },
        { "/etc/kubernetes/manifests/e.yaml",
          "kind: Pod\nspec:\n  containers:\n  - command:\n    - etcd\n"
          "    - --initial-cluster\n    - a=http://1.1.1.1:1\n" },
        { "/etc/systemd/system/e.service",
          "[Service]\nExecStart=/usr/bin/nice /usr/bin/etcd --name=a\n" },
        { "/etc/kubernetes/manifests/e.yaml",
          "kind: Pod\nspec:\n  containers:\n  - env: [{name: ETCD_INITIAL_CLUSTER, "
          "value: "
          "x}]\n    command:\n    - etcd\n    - --name=a\n" },
        { "/proc/1/cmdline", "etcd" },
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *root = tmpdir_new();
        struct host_change c = change_in(root);
        struct err e = { 0 };
        LIST l = { 0 };
        EDIT edit = { 0 };

        tree_write(root, cases[i].file, cases[i].text);
        cr_expect_eq(host_change_text(tree_find(root, &l), &c, &edit, &e), RC_REFUSED,
                     "case %zu", i);
        cr_expect(strstr(e.hint, "--initial-cluster=" CLUSTER " --initial-cluster-state="
                                 "existing --initial-cluster-token=holdfast-42") != NULL,
                  "case %zu: %s", i, e.hint);
    }
}

CASE(host_change, k3s_is_left_to_itself)
{
    const char *root = tmpdir_new();
    struct host_change c = change_in(root);
    struct err e = { 0 };
    LIST l = { 0 };
    EDIT edit = { 0 };

    tree_k3s(root);
    cr_expect_eq(host_change_text(tree_find(root, &l), &c, &edit, &e), RC_REFUSED);
    cr_expect_str_eq(e.hint, "reset it by its own: k3s server --cluster-reset");
}

/* One apply with the nth call at `point` failing; false: it did not come to that. */
static bool apply_failing(enum fault_point point, unsigned nth)
{
    const char *root = tmpdir_new();
    struct host_change c = change_in(root);
    struct err e = { 0 };
    LIST l = { 0 };
    EDIT edit = { 0 };
    bool fired;

    tree_debian(root);
    OK(host_change_text(tree_find(root, &l), &c, &edit, &e), &e);
    AT_END(mem_end) char *before = content(edit.path);

    fault_arm(point, nth, EIO);
    enum rc rc = host_change_apply(&edit, &e);

    fired = fault_disarm();
    AT_END(mem_end) char *after = content(edit.path);

    cr_assert(strcmp(after, edit.text) == 0 ||
              (rc != RC_OK && strcmp(after, before) == 0));
    OK(host_change_apply(&edit, &e), &e);
    expect_changed(root);
    return fired;
}

/* Whatever fails while a change is put in place: the file is whole, old or new. */
static void sweep(enum fault_point point, unsigned least)
{
    unsigned nth = 1;

    while (apply_failing(point, nth))
        nth++;
    cr_assert_gt(nth, least);
}

CASE(host_change, any_failed_rename_leaves_a_whole_file)
{
    sweep(FAULT_RENAME, 2);
}

CASE(host_change, any_failed_sync_leaves_a_whole_file)
{
    sweep(FAULT_FSYNC, 3);
}

CASE(host_change, any_failed_write_leaves_a_whole_file)
{
    sweep(FAULT_WRITE, 1);
}

CASE(host_change, every_allocation_that_fails_leaves_nothing)
{
    const char *root = tmpdir_new();
    struct host_change c = change_in(root);
    struct err e = { 0 };
    unsigned runs = 0;
    LIST l = { 0 };
    const struct host_member *m;

    tree_kubeadm(root);
    m = tree_find(root, &l);
    FAULT_SWEEP(FAULT_ALLOC, nth, 0) {
        EDIT edit = { 0 };
        enum rc rc = host_change_text(m, &c, &edit, &e);

        runs = nth;
        cr_assert((rc == RC_OK) == (edit.text != NULL));
        cr_assert(rc == RC_OK || rc == RC_NOMEM || rc == RC_REFUSED, "%s", e.why);
    }
    cr_assert_gt(runs, 20);
}

#include "host/control.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/find.h"
#include "tests/lib/case.h"
#include "tests/lib/fault.h"
#include "tests/lib/tmpdir.h"
#include "tests/unit/host/tree.h"
#include "util/mem.h"
#include "util/os.h"
#include "util/stop.h"

#define LIST AT_END(host_list_clear) struct host_list

static const char *in(const char *root, const char *path)
{
    return path_in(root, path + 1);
}

static bool exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* What an etcd does to the newest segment of its log. */
static int hold_log(const char *data_dir)
{
    struct flock all = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    int fd;

    tree_write(data_dir, "/member/wal/0000000000000000-0000000000000000.wal", "");
    fd = open(path_in(data_dir, "member/wal/0000000000000000-0000000000000000.wal"),
              O_RDWR | O_CLOEXEC);
    cr_assert(fd >= 0 && fcntl(fd, F_OFD_SETLK, &all) == 0);
    return fd;
}

static void find(const char *root, struct host_list *l)
{
    (void)tree_find(root, l);
}

CASE(host_running, a_held_log_or_nothing)
{
    const char *root = tmpdir_new();
    bool running = true;
    uint64_t pid = 1;
    struct err e = { 0 };
    LIST l = { 0 };

    tree_kubeadm(root);
    find(root, &l);
    OK(host_running(&l.items[0], &running, &pid, &e), &e);
    cr_expect(!running && pid == 0);
    OWNED_FD int fd = hold_log(l.items[0].data_dir);
    cr_assert(fd >= 0);

    OK(host_running(&l.items[0], &running, &pid, &e), &e);
    cr_expect(running);
}

CASE(host_stop, parks_the_manifest_and_host_start_brings_it_back)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 50, .settle_ms = 1 };
    struct err e = { 0 };
    LIST l = { 0 };

    tree_kubeadm(root);
    find(root, &l);
    OK(str_list_add(&how.also, "kube-apiserver.yaml", &e), &e);
    OK(str_list_add(&how.also, "kube-nothing.yaml", &e), &e);
    for (int i = 0; i < 2; i++) {
        OK(host_stop(&l.items[0], &how, &e), &e);
        cr_expect(l.items[0].parked);
        cr_expect_str_eq(dir_listing(in(root, "/etc/kubernetes/manifests")), "");
        cr_expect_str_eq(dir_listing(in(root, "/etc/kubernetes/holdfast-parked")),
                         "etcd.yaml kube-apiserver.yaml");
    }
    host_list_clear(&l);
    find(root, &l);
    cr_expect(l.items[0].parked, "a parked one is found, as parked");
    cr_expect_str_eq(l.items[0].file, in(root, "/etc/kubernetes/manifests/etcd.yaml"));
    cr_expect_eq(host_start(&l.items[0], &how, &e), RC_NET, "no kubelet here");
    OWNED_FD int fd = hold_log(l.items[0].data_dir);
    cr_assert(fd >= 0);

    OK(host_start(&l.items[0], &how, &e), &e);
    cr_expect(!l.items[0].parked);
    cr_expect_str_eq(dir_listing(in(root, "/etc/kubernetes/manifests")),
                     "etcd.yaml kube-apiserver.yaml");
    str_list_clear(&how.also);
}

CASE(host_stop, waits_for_the_end_and_no_longer)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 150, .settle_ms = 1 };
    struct err e = { 0 };
    LIST l = { 0 };

    tree_kubeadm(root);
    find(root, &l);
    OWNED_FD int fd = hold_log(l.items[0].data_dir);
    cr_assert(fd >= 0);

    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_NET);
    cr_expect(strstr(e.why, "is still in use") != NULL, "%s", e.why);
    cr_expect_str_eq(e.what, "stopping etcd 'cp1'");
    how.wait_ms = 60000;
    stop_request();
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_INTERRUPTED);
    stop_reset();
}

/* Another thread is the kubelet that starts the pod once more, and ends it soon. */
static void *late_start(void *data_dir)
{
    int fd;

    usleep(150000);
    fd = hold_log(data_dir);
    usleep(300000);
    close(fd);
    return NULL;
}

CASE(host_stop, a_pod_between_two_attempts_is_waited_for)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 60000, .settle_ms = 30000 };
    pthread_t kubelet;
    bool running = true;
    uint64_t pid;
    struct err e = { 0 };
    LIST l = { 0 };

    tree_kubeadm(root);
    find(root, &l);
    cr_assert_eq(pthread_create(&kubelet, NULL, late_start, l.items[0].data_dir), 0);
    OK(host_stop(&l.items[0], &how, &e), &e);
    OK(host_running(&l.items[0], &running, &pid, &e), &e);
    pthread_join(kubelet, NULL);
    cr_expect(!running && exists(path_in(l.items[0].data_dir, "member/wal")));
}

CASE(host_stop, two_manifests_of_one_name_stop_it)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 50, .settle_ms = 1 };
    struct err e = { 0 };
    LIST l = { 0 };

    tree_kubeadm(root);
    tree_write(root, "/etc/kubernetes/holdfast-parked/kube-apiserver.yaml", "old");
    find(root, &l);
    OK(str_list_add(&how.also, "kube-apiserver.yaml", &e), &e);
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_REFUSED);
    cr_expect_str_eq(e.hint, "compare them and move one of them away");
    cr_expect(exists(in(root, "/etc/kubernetes/manifests/etcd.yaml")), "nothing moved");
    str_list_clear(&how.also);
    OK(str_list_add(&how.also, "../passwd", &e), &e);
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_USAGE);
    str_list_clear(&how.also);
}

CASE(host_stop, a_manifest_that_went_is_told)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 50, .settle_ms = 1 };
    struct err e = { 0 };
    LIST l = { 0 };

    tree_kubeadm(root);
    find(root, &l);
    cr_assert_eq(unlink(l.items[0].file), 0);
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_NOTFOUND);
    cr_expect_eq(host_start(&l.items[0], &how, &e), RC_NOTFOUND);
}

/* One stop with the nth call failing; it can be called again, and the manifest is in one
 * of the two places all the time. */
static bool stop_failing(enum fault_point point, unsigned nth)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 50, .settle_ms = 1 };
    struct err e = { 0 };
    LIST l = { 0 };
    bool fired;

    tree_kubeadm(root);
    find(root, &l);
    fault_arm(point, nth, EIO);
    enum rc rc = host_stop(&l.items[0], &how, &e);

    fired = fault_disarm();
    cr_assert(!fired || rc != RC_OK, "a failure that nobody hears of");
    cr_assert(exists(in(root, "/etc/kubernetes/manifests/etcd.yaml")) !=
              exists(in(root, "/etc/kubernetes/holdfast-parked/etcd.yaml")));
    OK(host_stop(&l.items[0], &how, &e), &e);
    return fired;
}

CASE(host_stop, after_any_failure_it_can_be_called_again)
{
    static const struct {
        enum fault_point point;
        unsigned least;
    } sweeps[] = { { FAULT_FSYNC, 3 }, { FAULT_RENAME, 1 }, { FAULT_MKDIR, 1 } };

    for (size_t i = 0; i < sizeof sweeps / sizeof sweeps[0]; i++) {
        unsigned nth = 1;

        while (stop_failing(sweeps[i].point, nth))
            nth++;
        cr_assert_gt(nth, sweeps[i].least, "sweep %zu", i);
    }
}

/* A systemctl that writes down what it was asked. */
static const char *fake_systemctl(const char *root, int status)
{
    char script[800];

    snprintf(script, sizeof script,
             "#!/bin/sh\necho \"$@\" >> %s/asked\necho 'Job failed. See logs.' >&2\n"
             "exit %d\n",
             root, status);
    tree_write(root, "/systemctl", script);
    cr_assert_eq(chmod(in(root, "/systemctl"), 0755), 0);
    return in(root, "/systemctl");
}

/* The layout comes from --layout; nothing of that kind was found on the host. */
CASE(host_stop, what_nothing_declares_is_told)
{
    static const enum host_layout layouts[] = { HOST_STATIC_POD, HOST_SYSTEMD };
    const struct host_control how = { 0 };

    for (size_t i = 0; i < 2; i++) {
        struct host_member m = { .layout = layouts[i], .name = mem_str("m1") };
        struct err e = { 0 };

        m.data_dir = mem_str(tmpdir_new());
        cr_assert_eq(host_stop(&m, &how, &e), RC_NOTFOUND);
        cr_assert(strstr(e.hint, "--layout plain") != NULL, "%s", e.hint);
        cr_assert_eq(host_start(&m, &how, &e), RC_NOTFOUND);
        host_member_clear(&m);
    }
}

CASE(host_stop, systemd_is_asked_by_unit)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 2000, .settle_ms = 1 };
    uint8_t *asked = NULL;
    size_t n = 0;
    struct err e = { 0 };
    LIST l = { 0 };

    tree_debian(root);
    find(root, &l);
    how.systemctl = fake_systemctl(root, 0);
    OK(host_stop(&l.items[0], &how, &e), &e);
    OWNED_FD int fd = hold_log(l.items[0].data_dir);
    cr_assert(fd >= 0);

    OK(host_start(&l.items[0], &how, &e), &e);
    OK(os_read_file(in(root, "/asked"), 1000, &asked, &n, &e), &e);
    cr_expect(bytes_is((struct bytes){ asked, n },
                       "stop -- etcd.service\nstart --no-block -- etcd.service\n"),
              "%.*s", (int)n, (char *)asked);
    mem_free(asked);
    how.systemctl = fake_systemctl(root, 5);
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_REFUSED);
    cr_expect(strstr(e.why, "ended with status 5: Job failed. See logs.") != NULL, "%s",
              e.why);
    how.systemctl = "/nowhere/systemctl";
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_NOTFOUND);
}

CASE(host_stop, a_plain_one_by_command_or_by_hand)
{
    const char *root = tmpdir_new();
    char data[600], command[1300];
    struct host_member m = { .layout = HOST_PLAIN, .name = (char[]){ "m0" } };
    struct host_control how = { .wait_ms = 100, .settle_ms = 1 };
    struct err e = { 0 };

    snprintf(data, sizeof data, "%s/data", root);
    m.data_dir = data;
    tree_write(root, "/data/x", "");
    OK(host_stop(&m, &how, &e), &e);
    cr_expect_eq(host_start(&m, &how, &e), RC_REFUSED);
    cr_expect(strstr(e.hint, "--start-command") != NULL, "%s", e.hint);
    int fd = hold_log(data);

    OK(host_start(&m, &how, &e), &e);
    cr_expect_eq(host_stop(&m, &how, &e), RC_REFUSED);
    cr_expect(strstr(e.hint, "--stop-command") != NULL, "%s", e.hint);
    snprintf(command, sizeof command, "mv %s %s.gone", data, data);
    how.stop_command = command;
    OK(host_stop(&m, &how, &e), &e);
    cr_expect_eq(host_stop(&m, &how, &e), RC_REFUSED, "the command fails");
    close(fd);
}

CASE(host_stop, k3s_is_not_fought)
{
    const char *root = tmpdir_new();
    struct host_control how = { .wait_ms = 50, .settle_ms = 1 };
    struct err e = { 0 };
    LIST l = { 0 };

    tree_k3s(root);
    find(root, &l);
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_REFUSED);
    cr_expect_str_eq(e.hint, "run: systemctl stop k3s.service");
    cr_expect_eq(host_start(&l.items[0], &how, &e), RC_REFUSED);
    cr_expect_str_eq(e.hint, "run: systemctl start k3s.service");
    l.items[0].layout = HOST_RKE2;
    cr_expect_eq(host_stop(&l.items[0], &how, &e), RC_REFUSED);
    cr_expect_str_eq(e.hint,
                     "run: systemctl stop rke2-server.service && rke2-killall.sh");
}

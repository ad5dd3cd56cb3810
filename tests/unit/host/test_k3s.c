#include "host/k3s.h"

#include <string.h>

#include "host/preset.h"
#include "tests/lib/case.h"

static struct host_member member_at(const char *data_dir, enum host_layout layout)
{
    return (struct host_member){ .layout = layout,
                                 .name = (char *)(uintptr_t) "n",
                                 .data_dir = (char *)(uintptr_t)data_dir };
}

static void expect(const struct host_member *m, enum host_need need, const char *snapshot,
                   const char *const want[])
{
    AT_END(str_list_clear) struct str_list got = { 0 };
    struct err e = { 0 };
    size_t n = 0;

    OK(host_k3s_commands(m, need, snapshot, &got, &e), &e);
    for (; want[n] != NULL; n++)
        cr_expect(n < got.count && strcmp(got.items[n], want[n]) == 0, "line %zu: %s", n,
                  n < got.count ? got.items[n] : "(none)");
    cr_expect_eq(got.count, n);
}
#define EXPECT(m, need, snapshot, ...) \
    expect(m, need, snapshot, (const char *const[]){ __VA_ARGS__, NULL })

CASE(host_k3s, its_own_commands)
{
    struct host_member m = member_at("/var/lib/rancher/k3s/server/db/etcd", HOST_K3S);

    EXPECT(&m, HOST_TO_STOP, NULL, "systemctl stop k3s.service");
    EXPECT(&m, HOST_TO_START, NULL, "systemctl start k3s.service");
    EXPECT(&m, HOST_TO_RESET, NULL, "systemctl stop k3s.service",
           "rm -f /var/lib/rancher/k3s/server/db/reset-flag",
           "k3s server --cluster-reset",
           "# it ends by itself and says that etcd is running; then",
           "systemctl start k3s.service");
    EXPECT(&m, HOST_TO_RESTORE, "/backup/my snap", "systemctl stop k3s.service",
           "rm -f /var/lib/rancher/k3s/server/db/reset-flag",
           "# with --token when the snapshot is of a cluster with another token",
           "k3s server --cluster-reset --cluster-reset-restore-path='/backup/my snap'",
           "# it ends by itself and says that etcd is running; then",
           "systemctl start k3s.service");
    EXPECT(
        &m, HOST_TO_REJOIN, NULL, "systemctl stop k3s.service",
        "mv /var/lib/rancher/k3s/server/db /var/lib/rancher/k3s/server/db.before-rejoin",
        "# its settings must name the server that was reset (server: URL)",
        "systemctl start k3s.service");
}

CASE(host_k3s, rke2_leaves_containers_behind)
{
    struct host_member m = member_at("/big/rke2/server/db/etcd", HOST_RKE2);
    char *flag = NULL;
    struct err e = { 0 };

    EXPECT(&m, HOST_TO_STOP, NULL, "systemctl stop rke2-server.service",
           "# its containers, etcd among them, go on until this ends them",
           "rke2-killall.sh");
    OK(host_k3s_reset_flag(&m, &flag, &e), &e);
    cr_expect_str_eq(flag, "/big/rke2/server/db/reset-flag");
    mem_free(flag);
}

CASE(host_k3s, others_have_no_such_commands)
{
    struct host_member m = member_at("/d", HOST_SYSTEMD);
    AT_END(str_list_clear) struct str_list got = { 0 };
    char *flag = NULL;
    struct err e = { 0 };

    cr_expect_eq(host_k3s_commands(&m, HOST_TO_STOP, NULL, &got, &e), RC_USAGE);
    cr_expect_eq(host_k3s_reset_flag(&m, &flag, &e), RC_USAGE);
    m.layout = HOST_K3S;
    cr_expect_eq(host_k3s_commands(&m, HOST_TO_RESTORE, NULL, &got, &e), RC_USAGE);
}

CASE(host_preset, paths_are_absolute_told_once_and_below_their_base)
{
    for (size_t i = 0; i < host_preset_count; i++) {
        const struct host_preset *p = &host_presets[i];
        size_t required = 0;

        cr_expect_eq(host_preset_named(p->name), p);
        for (size_t k = 0; k < p->count; k++) {
            const struct host_preset_path *path = &p->paths[k];

            cr_expect(path->path[0] == '/' && !str_ends(path->path, "/"), "%s",
                      path->path);
            cr_expect(p->base == NULL || strncmp(path->path, p->base, 9) != 0 ||
                          strncmp(path->path, p->base, strlen(p->base)) == 0,
                      "%s", path->path);
            required += path->required;
            for (size_t j = 0; j < k; j++)
                cr_expect_str_neq(path->path, p->paths[j].path);
        }
        cr_expect_gt(required, 1, "%s", p->name);
    }
    cr_expect_null(host_preset_named("kops"));
}

CASE(host_preset, by_layout)
{
    struct host_member m = member_at("/d", HOST_RKE2);

    cr_expect_str_eq(host_preset_of(&m)->name, "rke2");
    m.layout = HOST_PLAIN;
    cr_expect_null(host_preset_of(&m));
}

#include "tests/lib/kubelet.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <criterion/criterion.h>

#include "tests/lib/tmpdir.h"
#include "util/clock.h"

enum { PODS_MAX = 8, ARGS_MAX = 64, LOOK_EVERY_MS = 30, BACK_OFF_MS = 300 };

/* ---- in the kubelet's process ------------------------------------------------------ */

struct pod {
    char name[64]; /* of the manifest; "": a free place */
    struct stat seen;
    pid_t pid;
    uint64_t not_before; /* one that died is started again a little later */
};

struct loop {
    const struct kubelet *k;
    const char *etcd;
    struct pod pods[PODS_MAX];
};

static volatile sig_atomic_t asked_to_end;

static void on_term(int signal)
{
    (void)signal;
    asked_to_end = 1;
}

static void state_path(const struct kubelet *k, const char *name, char out[static 1200])
{
    snprintf(out, 1200, "%s/%s", k->state, name);
}

static void say_pid(const struct kubelet *k, const char *name, pid_t pid)
{
    char path[1200], next[1210];
    FILE *f;

    state_path(k, name, path);
    snprintf(next, sizeof next, "%s.new", path);
    f = fopen(next, "w");
    if (f == NULL)
        _exit(1);
    fprintf(f, "%d\n", (int)pid);
    fclose(f);
    rename(next, path);
}

/* The item of a YAML list on this line, without quotes; NULL: it is none. */
static char *item_of(char *line)
{
    char *p = line + strspn(line, " ");
    size_t n;

    if (p[0] != '-' || p[1] != ' ')
        return NULL;
    p += 2;
    n = strcspn(p, "\n");
    p[n] = '\0';
    if (n > 1 && p[0] == '"' && p[n - 1] == '"') {
        p[n - 1] = '\0';
        p++;
    }
    return p;
}

/* A path in the pod is a path below root, as a hostPath mount makes it. */
static char *on_the_host(const struct loop *l, const char *flag)
{
    const char *value = strchr(flag, '=');
    char *out = NULL;

    if (value == NULL || value[1] != '/')
        return strdup(flag);
    if (asprintf(&out, "%.*s=%s%s", (int)(value - flag), flag, l->k->root, value + 1) < 0)
        _exit(1);
    return out;
}

/* The flags of the etcd in this manifest; false: it runs something else. */
static bool read_flags(const struct loop *l, const char *path, char *args[ARGS_MAX])
{
    char line[8192], *item;
    bool is_etcd = false;
    size_t n = 1;
    FILE *f = fopen(path, "r");

    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        item = item_of(line);
        if (item != NULL && strcmp(item, "etcd") == 0)
            is_etcd = true;
        if (item != NULL && strncmp(item, "--", 2) == 0 && n < ARGS_MAX - 1)
            args[n++] = on_the_host(l, item);
    }
    if (f != NULL)
        fclose(f);
    args[n] = NULL;
    return is_etcd;
}

static _Noreturn void become(const struct loop *l, const char *path)
{
    static char sleeper[] = "sleep", forever[] = "100000";
    char *args[ARGS_MAX] = { NULL };
    int log = open(l->k->log, O_WRONLY | O_CREAT | O_APPEND, 0600);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (log >= 0) {
        dup2(log, 1);
        dup2(log, 2);
    }
    if (!read_flags(l, path, args)) {
        args[0] = sleeper;
        args[1] = forever;
        args[2] = NULL;
        execvp(args[0], args);
        _exit(127);
    }
    args[0] = strdup(l->etcd);
    execv(args[0], args);
    _exit(127);
}

static void start_pod(struct loop *l, struct pod *p)
{
    char path[1200];

    snprintf(path, sizeof path, "%s/%s", l->k->manifests, p->name);
    p->pid = fork();
    if (p->pid == 0)
        become(l, path);
    say_pid(l->k, p->name, p->pid);
}

static void end_pod(struct loop *l, struct pod *p)
{
    char path[1200];

    if (p->pid > 0) {
        kill(p->pid, SIGTERM);
        for (int i = 0; i < 1000 && waitpid(p->pid, NULL, WNOHANG) == 0; i++)
            usleep(10000);
        kill(p->pid, SIGKILL);
        waitpid(p->pid, NULL, 0);
    }
    state_path(l->k, p->name, path);
    unlink(path);
    *p = (struct pod){ .name = "" };
}

static struct pod *pod_named(struct loop *l, const char *name)
{
    for (int i = 0; i < PODS_MAX; i++)
        if (strcmp(l->pods[i].name, name) == 0)
            return &l->pods[i];
    return NULL;
}

static bool is_changed(const struct stat *a, const struct stat *b)
{
    return a->st_ino != b->st_ino || a->st_size != b->st_size ||
           a->st_mtim.tv_sec != b->st_mtim.tv_sec ||
           a->st_mtim.tv_nsec != b->st_mtim.tv_nsec;
}

static void end_what_went(struct loop *l)
{
    for (int i = 0; i < PODS_MAX; i++) {
        struct pod *p = &l->pods[i];
        char path[1200];
        struct stat st;

        if (p->name[0] == '\0')
            continue;
        snprintf(path, sizeof path, "%s/%s", l->k->manifests, p->name);
        if (stat(path, &st) < 0 || is_changed(&st, &p->seen)) {
            end_pod(l, p);
        } else if (p->pid > 0 && waitpid(p->pid, NULL, WNOHANG) == p->pid) {
            p->pid = 0;
            p->not_before = clock_ms() + BACK_OFF_MS;
            say_pid(l->k, p->name, 0);
        }
    }
}

static void start_what_is_there(struct loop *l)
{
    DIR *folder = opendir(l->k->manifests);
    const struct dirent *d;

    while (folder != NULL && (d = readdir(folder)) != NULL) {
        struct pod *p = d->d_name[0] == '.' ? NULL : pod_named(l, d->d_name);
        char path[1200];

        if (d->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%s", l->k->manifests, d->d_name);
        if (p == NULL && (p = pod_named(l, "")) != NULL && stat(path, &p->seen) == 0)
            snprintf(p->name, sizeof p->name, "%.63s", d->d_name);
        if (p != NULL && p->name[0] != '\0' && p->pid == 0 && clock_ms() >= p->not_before)
            start_pod(l, p);
    }
    if (folder != NULL)
        closedir(folder);
}

static _Noreturn void watch(const struct kubelet *k, const char *etcd)
{
    static struct loop l;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    signal(SIGTERM, on_term);
    l.k = k;
    l.etcd = etcd;
    while (!asked_to_end) {
        end_what_went(&l);
        start_what_is_there(&l);
        usleep(LOOK_EVERY_MS * 1000);
    }
    for (int i = 0; i < PODS_MAX; i++)
        if (l.pods[i].name[0] != '\0')
            end_pod(&l, &l.pods[i]);
    _exit(0);
}

/* ---- in the test's -------------------------------------------------------------------
 */

static struct kubelet running[4]; /* copies, for the end of a test that failed */
static pid_t started_by;

static void stop_all(void)
{
    for (size_t i = 0; getpid() == started_by && i < sizeof running / sizeof *running;
         i++)
        kubelet_stop(&running[i]);
}

/* Registered after the scratch directories were made, so that it runs before they go. */
static void remember(const struct kubelet *k)
{
    size_t i = 0;

    if (started_by != getpid()) {
        memset(running, 0, sizeof running);
        started_by = getpid();
        atexit(stop_all);
    }
    while (i < sizeof running / sizeof *running && running[i].pid != 0)
        i++;
    cr_assert(i < sizeof running / sizeof *running, "too many kubelets in one test");
    running[i] = *k;
}

static void make_folders(char *path)
{
    for (char *p = path + 1; *p != '\0'; p++) {
        if (*p != '/')
            continue;
        *p = '\0';
        cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST, "%s", path);
        *p = '/';
    }
    cr_assert(mkdir(path, 0755) == 0 || errno == EEXIST, "%s", path);
}

void kubelet_start(struct kubelet *k, const char *root, const char *manifests,
                   const char *etcd)
{
    *k = (struct kubelet){ 0 };
    snprintf(k->root, sizeof k->root, "%s", root);
    if (manifests != NULL)
        snprintf(k->manifests, sizeof k->manifests, "%s", manifests);
    else
        snprintf(k->manifests, sizeof k->manifests, "%.480s/etc/kubernetes/manifests",
                 root);
    make_folders(k->manifests);
    snprintf(k->state, sizeof k->state, "%s", tmpdir_new());
    snprintf(k->log, sizeof k->log, "%.500s/.log", k->state);
    k->pid = fork();
    cr_assert(k->pid >= 0);
    if (k->pid == 0)
        watch(k, etcd);
    remember(k);
}

void kubelet_stop(struct kubelet *k)
{
    pid_t pid = k->pid;

    if (pid <= 0)
        return;
    for (size_t i = 0; i < sizeof running / sizeof *running; i++)
        if (running[i].pid == pid)
            running[i].pid = 0;
    k->pid = 0;
    kill(pid, SIGTERM);
    waitpid(pid, NULL, 0);
}

pid_t kubelet_pod(const struct kubelet *k, const char *name)
{
    char path[1200];
    int pid = 0;
    FILE *f;

    state_path(k, name, path);
    f = fopen(path, "r");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%d", &pid) != 1)
        pid = 0;
    fclose(f);
    return pid;
}

/* ---- a manifest
 * ------------------------------------------------------------------------ */

static const char head[] =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n"
    "    kubeadm.kubernetes.io/etcd.advertise-client-urls: http://127.0.0.1:%d\n"
    "  creationTimestamp: null\n  labels:\n    component: etcd\n"
    "    tier: control-plane\n  name: etcd\n  namespace: kube-system\nspec:\n"
    "  containers:\n  - command:\n    - etcd\n";

static const char flags[] = "    - --advertise-client-urls=http://127.0.0.1:%1$d\n"
                            "    - --data-dir=%3$s\n"
                            "    - --initial-advertise-peer-urls=http://127.0.0.1:%2$d\n"
                            "    - --initial-cluster=%4$s\n"
                            "    - --initial-cluster-state=%5$s\n"
                            "    - --initial-cluster-token=%6$s\n"
                            "    - --listen-client-urls=http://127.0.0.1:%1$d\n"
                            "    - --listen-metrics-urls=http://127.0.0.1:0\n"
                            "    - --listen-peer-urls=http://127.0.0.1:%2$d\n"
                            "    - --name=%7$s\n"
                            "    - --snapshot-count=10000\n";

static const char tail[] =
    "    image: registry.k8s.io/etcd:3.5.12-0\n    imagePullPolicy: IfNotPresent\n"
    "    name: etcd\n    resources:\n      requests:\n        cpu: 100m\n"
    "        memory: 100Mi\n    volumeMounts:\n    - mountPath: %1$s\n"
    "      name: etcd-data\n  hostNetwork: true\n"
    "  priority: 2000001000\n  priorityClassName: system-node-critical\n"
    "  volumes:\n  - hostPath:\n      path: %1$s\n      type: DirectoryOrCreate\n"
    "    name: etcd-data\nstatus: {}\n";

static const char * or (const char *given, const char *fallback)
{
    return given == NULL ? fallback : given;
}

void kubelet_write_etcd(const char *file, const struct kubelet_etcd *w)
{
    const char *slash = strrchr(file, '/');
    char next[1200], itself[300];
    FILE *f;

    snprintf(itself, sizeof itself, "%s=http://127.0.0.1:%d", w->name, w->peer_port);
    snprintf(next, sizeof next, "%.*s/.%s", (int)(slash - file), file, slash + 1);
    f = fopen(next, "w");
    cr_assert_not_null(f, "%s", next);
    fprintf(f, head, w->client_port);
    fprintf(f, flags, w->client_port, w->peer_port, w->data_dir,
            or (w->initial_cluster, itself), or (w->state, "new"),
            or (w->token, "etcd-cluster"), w->name);
    fprintf(f, tail, w->data_dir);
    cr_assert(fclose(f) == 0 && rename(next, file) == 0, "%s", file);
}

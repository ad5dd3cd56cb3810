#include "host/k3s.h"

#include <stdio.h>
#include <string.h>

#include "host/quote.h"
#include "host/rancher.h"
#include "util/mem.h"

static enum rc rancher_of(const struct host_member *m, const struct rancher **out,
                          struct err *e)
{
    for (size_t i = 0; i < sizeof ranchers / sizeof ranchers[0]; i++)
        if (ranchers[i].layout == m->layout) {
            *out = &ranchers[i];
            return RC_OK;
        }
    return err_set(e, RC_USAGE, "'%s' is not run by k3s or RKE2", m->name);
}

/* DATA/server/db, where etcd's directory lies; quoted for a shell when asked. */
static enum rc db_of(const struct host_member *m, const struct rancher *k,
                     const char *below, bool for_shell, char **out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 16 };
    AT_END(mem_end) char *path = NULL;
    size_t n = strlen(m->data_dir);

    if (str_ends(m->data_dir, RANCHER_ETCD))
        TRY(str_format(&path, e, "%.*s%s", (int)(n - strlen("/etcd")), m->data_dir,
                       below));
    else
        TRY(str_format(&path, e, "%s/server/db%s", k->data, below));
    TRY(for_shell ? quote_shell(&b, path, e) : buf_add(&b, path, strlen(path), e));
    TRY(buf_add(&b, "", 1, e));
    *out = (char *)b.p;
    b = (struct buf){ 0 };
    return RC_OK;
}

static enum rc stop(const struct rancher *k, struct str_list *out, struct err *e)
{
    TRY(str_list_format(out, e, "systemctl stop %s", k->unit));
    if (k->killall == NULL)
        return RC_OK;
    TRY(str_list_format(out, e,
                        "# its containers, etcd among them, go on until this ends them"));
    return str_list_format(out, e, "%s", k->killall);
}

static enum rc start(const struct rancher *k, struct str_list *out, struct err *e)
{
    return str_list_format(out, e, "systemctl start %s", k->unit);
}

/* A reset says so in a file; the next normal start removes it, and until then a second
 * reset is refused by the program itself. */
static enum rc reset(const struct host_member *m, const struct rancher *k,
                     const char *snapshot, struct str_list *out, struct err *e)
{
    AT_END(buf_clear) struct buf b = { .cap_max = 1 << 16 };
    AT_END(mem_end) char *flag = NULL;

    TRY(db_of(m, k, "/reset-flag", true, &flag, e));
    TRY(stop(k, out, e));
    TRY(str_list_format(out, e, "rm -f %s", flag));
    if (snapshot == NULL) {
        TRY(str_list_format(out, e, "%s server --cluster-reset", k->program));
    } else {
        TRY(str_list_format(
            out, e,
            "# with --token when the snapshot is of a cluster with another token"));
        TRY(quote_shell(&b, snapshot, e));
        TRY(str_list_format(out, e,
                            "%s server --cluster-reset --cluster-reset-restore-path=%.*s",
                            k->program, (int)b.n, (const char *)b.p));
    }
    TRY(str_list_format(out, e,
                        "# it ends by itself and says that etcd is running; then"));
    return start(k, out, e);
}

/* Moved aside, not deleted. */
static enum rc rejoin(const struct host_member *m, const struct rancher *k,
                      struct str_list *out, struct err *e)
{
    AT_END(mem_end) char *db = NULL;
    AT_END(mem_end) char *aside = NULL;

    TRY(db_of(m, k, "", true, &db, e));
    TRY(db_of(m, k, ".before-rejoin", true, &aside, e));
    TRY(stop(k, out, e));
    TRY(str_list_format(out, e, "mv %s %s", db, aside));
    TRY(str_list_format(
        out, e, "# its settings must name the server that was reset (server: URL)"));
    return start(k, out, e);
}

enum rc host_k3s_commands(const struct host_member *m, enum host_need need,
                          const char *snapshot, struct str_list *out, struct err *e)
{
    const struct rancher *k = NULL;

    TRY(rancher_of(m, &k, e));
    switch (need) {
    case HOST_TO_STOP:
        return stop(k, out, e);
    case HOST_TO_START:
        return start(k, out, e);
    case HOST_TO_RESET:
        return reset(m, k, NULL, out, e);
    case HOST_TO_RESTORE:
        if (snapshot == NULL)
            return err_set(e, RC_USAGE, "a restore needs a snapshot");
        return reset(m, k, snapshot, out, e);
    case HOST_TO_REJOIN:
        return rejoin(m, k, out, e);
    }
    return err_set(e, RC_INTERNAL, "no such need");
}

enum rc host_k3s_reset_flag(const struct host_member *m, char **out, struct err *e)
{
    const struct rancher *k = NULL;

    TRY(rancher_of(m, &k, e));
    return db_of(m, k, "/reset-flag", false, out, e);
}

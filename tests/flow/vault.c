#include "tests/flow/vault.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/flow/golden.h"

void vault_set(struct vault *v, const char *name, const char *value)
{
    size_t i = 0;

    while (v->env[i] != NULL && (strncmp(v->env[i], name, strlen(name)) != 0 ||
                                 v->env[i][strlen(name)] != '='))
        i++;
    cr_assert_lt(i, VAULT_ENV_MAX);
    snprintf(v->texts[i], VAULT_TEXT, "%s=%s", name, value);
    v->env[i] = v->texts[i];
}

void vault_putenv(const struct vault *v)
{
    for (size_t i = 0; v->env[i] != NULL; i++)
        cr_assert_eq(putenv((char *)(uintptr_t)v->env[i]), 0);
}

void vault_forget(struct vault *v)
{
    snprintf(v->state, sizeof v->state, "%s", tmpdir_new());
    vault_set(v, "HOLDFAST_STATE_DIR", v->state);
}

/* One for operations, one that lies in a safe. */
static void make_keys(struct vault *v)
{
    char both[300];
    int n = snprintf(both, sizeof both, "%s\n", flow_keygen(tmpdir_new()));

    snprintf(both + n, sizeof both - (size_t)n, "%s\n", flow_keygen(v->dir));
    snprintf(v->key, sizeof v->key, "%s", path_in(v->dir, "key"));
    golden_write(path_in(v->dir, "recipients"), both, strlen(both));
}

void vault_plan(struct vault *v, const char *url, const char *const *reach)
{
    memset(v, 0, sizeof *v);
    v->dir = tmpdir_new();
    snprintf(v->url, sizeof v->url, "%s", url);
    make_keys(v);
    vault_forget(v);
    vault_set(v, "HOLDFAST_REPO", url);
    vault_set(v, "HOLDFAST_CLUSTER", "prod");
    vault_set(v, "HOLDFAST_RECIPIENTS_FILE", path_in(v->dir, "recipients"));
    vault_set(v, "HOLDFAST_ALLOW_SAME_FILESYSTEM", "true");
    for (; reach != NULL && *reach != NULL; reach++) {
        char name[VAULT_TEXT];

        snprintf(name, sizeof name, "%.*s", (int)strcspn(*reach, "="), *reach);
        vault_set(v, name, strchr(*reach, '=') + 1);
    }
}

void vault_make(struct vault *v, const char *url, const char *const *reach)
{
    vault_plan(v, url, reach);
    VAULT(p, v, 0, "repo", "init", v->url);
}

const char *vault_directory(void)
{
    golden_in_memory();
    return tmpdir_new();
}

void vault_run(struct proc *p, const struct vault *v, int status,
               const char *const argv[])
{
    const struct proc_options o = { .env = v->env };

    flow_tool(p, status, &o, argv);
}

size_t vault_count(const struct vault *v)
{
    OWNED(json) list = NULL;
    VAULT(p, v, 0, "list", "--json");

    flow_json(&p, &list);
    return json_count(list);
}

/* ---- files ------------------------------------------------------------------------ */

static const char *wanted;
static char found[4096];

static int look_into(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    AT_END(buf_clear) struct buf all = { 0 };

    (void)st;
    (void)at;
    if (kind != FTW_F)
        return 0;
    all = golden_file(path);
    if (all.n == 0 || memmem(all.p, all.n, wanted, strlen(wanted)) == NULL)
        return 0;
    snprintf(found, sizeof found, "%s", path);
    return 1;
}

static int look_at_name(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)at;
    if (kind != FTW_F || !str_ends(path, wanted))
        return 0;
    snprintf(found, sizeof found, "%s", path);
    return 1;
}

const char *vault_leak(const char *dir, const char *bytes)
{
    wanted = bytes;
    return nftw(dir, look_into, 16, FTW_PHYS) == 1 ? found : NULL;
}

const char *vault_file(const char *dir, const char *suffix)
{
    wanted = suffix;
    cr_assert_eq(nftw(dir, look_at_name, 16, FTW_PHYS), 1, "no *%s in %s", suffix, dir);
    return found;
}

/* A repository for a flow test, wherever it lies: two key pairs, a state directory, and
 * the tool with all of that in its environment.
 *
 *     struct vault v;
 *     vault_make(&v, vault_directory(), NULL);
 *     VAULT(p, &v, 0, "backup", "--endpoints", ...);                                 */
#ifndef TESTS_FLOW_VAULT_H
#define TESTS_FLOW_VAULT_H

#include "tests/flow/flow.h"

enum { VAULT_ENV_MAX = 24, VAULT_TEXT = 700 };

struct vault {
    const char *dir; /* scratch: keys and the state directory */
    char url[VAULT_TEXT], key[VAULT_TEXT], state[VAULT_TEXT];
    char texts[VAULT_ENV_MAX][VAULT_TEXT];
    const char *env[VAULT_ENV_MAX + 1];
};

/* Keys and environment, no repository yet. `reach` is further environment for it
 * ("HOLDFAST_REPO_CREDENTIALS=..."), ended by NULL; may be NULL. */
void vault_plan(struct vault *v, const char *url, const char *const *reach);
/* And `repo init`. */
void vault_make(struct vault *v, const char *url, const char *const *reach);

/* An empty directory that is not on the disk of the servers under test. */
const char *vault_directory(void);

/* The variable in the tool's environment from now on. */
void vault_set(struct vault *v, const char *name, const char *value);

/* All of it in our own environment, for what proc_start starts. */
void vault_putenv(const struct vault *v);

/* The same repository seen from a host that knows nothing of it. */
void vault_forget(struct vault *v);

/* Runs the tool, which must end with `status`. */
#define VAULT(p, v, status, ...)                      \
    [[gnu::cleanup(proc_end)]] struct proc p = { 0 }; \
    vault_run(&p, v, status, (const char *const[]){ HOLDFAST_BIN, __VA_ARGS__, NULL })
void vault_run(struct proc *p, const struct vault *v, int status,
               const char *const argv[]);

/* How many backups `list` shows, in its own words. */
size_t vault_count(const struct vault *v);

/* Does any file below `dir` hold these bytes? Its path, or NULL. */
const char *vault_leak(const char *dir, const char *bytes);

/* The first file below `dir` whose path ends so; fails the test when there is none. */
const char *vault_file(const char *dir, const char *suffix);

#endif

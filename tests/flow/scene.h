/* A repository in memory and a scripted member to back up: for what must hold whatever
 * happens, where runs have to be short. */
#ifndef TESTS_FLOW_SCENE_H
#define TESTS_FLOW_SCENE_H

#include "repo/repo.h"
#include "tests/flow/golden.h"
#include "tests/flow/killing.h"
#include "tests/flow/vault.h"
#include "tests/lib/fakeetcd.h"

struct scene {
    struct buf snapshot; /* the golden one of 3.6 */
    struct fake *member;
    struct vault v;
    char kept[512];
};
extern struct scene scene;

/* For .init and .fini of a case. */
void scene_set_up(void);
void scene_tear_down(void);
#define SCENE(suite, name)                                           \
    CASE(suite, name, .init = scene_set_up, .fini = scene_tear_down, \
         .timeout = FLOW_TIMEOUT_S)

/* What the golden snapshot is, as its member would say. */
struct fake_script scene_script(void);

void scene_back_up(void);
/* Keeps one backup and removes the others. */
struct words scene_prune(void);

/* sh -ec, with $1 and $2. */
void scene_shell(const char *script, const char *a, const char *b);

/* The repository as a command opens it. */
struct scene_repo {
    struct care_store *state;
    struct repo *repo;
};
enum rc scene_open(struct scene_repo *r, struct err *e);
void scene_repo_end(struct scene_repo *r);

/* What `backup` and scene_prune() do, in this process, where calls can be made to fail.
 */
enum rc scene_back_up_here(struct err *e);
enum rc scene_prune_here(struct err *e);

/* Fails unless every record is genuine and on the chain, and every object there and
 * unchanged; how many backups there are. */
size_t scene_consistent(const char *note);

/* Fails when there is anything but what belongs there. */
void scene_tidy(const char *note);

/* The repository and what this host remembers of it, to come back to. */
void scene_keep(void);
void scene_back(void);

#endif

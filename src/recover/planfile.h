/* A recovery plan as a file, the same for all hosts: JSON that a person can read.
 *
 *     {"format":"holdfast-recovery-1","sha256","plan_id","shape","layout","made_ms",
 *      "old":{"cluster_id","members":[{"name","id","peer_urls","client_urls","learner"}],
 *             "copies":[{"member","term","index"}]},
 *      "cluster_id","token","members":[{"name","id","peer_urls"}],
 *      "source":{...},"recovery_point":{"revision","lost"},"high_water","bump":{...},
 *      "target_minor","assumed_off","data_dir","wal_dir",
 *      "steps":[{"n","host","kind","action","command","check","undo"}]}
 *
 * sha256 covers everything else in it: a plan that was altered, by whomever, is refused.
 * It is no signature; whoever can write the file can make another plan. */
#ifndef RECOVER_PLANFILE_H
#define RECOVER_PLANFILE_H

#include "recover/plan.h"
#include "util/json.h"

/* `plan` is the file's name, for the commands of its steps. */
enum rc recover_planfile_json(const struct recover_plan *p, const char *plan,
                              struct json **out, struct err *e);

/* RC_CORRUPT when it was cut or altered, or when its ids do not follow from its members
 * and token; RC_USAGE for another sort of file; RC_NOTFOUND, RC_AUTH, RC_STORAGE. */
enum rc recover_planfile_load(const char *path, struct recover_plan *out, struct err *e);

#endif

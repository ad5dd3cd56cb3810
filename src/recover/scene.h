/* Is the plan still true on this host? */
#ifndef RECOVER_SCENE_H
#define RECOVER_SCENE_H

#include "recover/plan.h"

/* The old directory of `member` as it is now. RC_REFUSED when it is of another cluster
 * than the plan is for, or of another member of it, when it is newer than the copy that
 * the plan builds on, and when it is that copy and has changed. One that cannot be read,
 * or is not there, does not speak against the plan. `stopped`: no etcd is on it, so that
 * what it says is exact. */
enum rc recover_check_directory(const struct recover_plan *p, const char *member,
                                const char *data_dir, const char *wal_dir, bool stopped,
                                struct err *e);

/* Pure: the same of a copy that was looked at. */
enum rc recover_check_copy(const struct recover_plan *p, const char *member,
                           const struct recover_copy *c, bool stopped, struct err *e);

#endif

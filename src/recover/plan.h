/* The plan of a recovery after quorum was lost: which copy the new cluster is built on,
 * who belongs to it, and what is to be done on which host. Pure: what was found out goes
 * in, a plan or a refusal comes out. planfile.h writes it down for all hosts, apply.h
 * carries one host's part out.
 *
 * The new cluster has ids of its own, from a random token, so that nothing that is left
 * of the old one can join it or be taken for it.
 *
 *     all at once    every host builds its data directory from the same file; the flags
 *                    that etcd is started with stay as they are
 *     re-bootstrap   one host does so, for a cluster of itself alone; the others join it
 *                    one after the other, as learners that are promoted */
#ifndef RECOVER_PLAN_H
#define RECOVER_PLAN_H

#include "crypto/sha256.h"
#include "host/host.h"
#include "recover/judge.h"
#include "restore/bump.h"
#include "restore/members.h"

enum recover_shape { RECOVER_ALL_AT_ONCE, RECOVER_RE_BOOTSTRAP };
const char *recover_shape_name(enum recover_shape s); /* "all-at-once" "re-bootstrap" */

/* What the new cluster is built on. */
struct recover_source {
    /* false: the file `file`. true: the data directory of member `member_name`, whose
     * etcd still runs without a quorum: it is stopped by the plan, and only then read. */
    bool live;
    char *file;
    uint8_t sha256[SHA256_SIZE];   /* of the file as it lies there; not when live */
    uint8_t database[SHA256_SIZE]; /* of the database in it, its trailer left out */
    bool skip_hash_check;          /* it has no trailer that matches, and may not */

    /* Where it comes from. */
    enum recover_kind kind;
    char *path, *member_name;
    uint64_t member_id;
    bool term_known;
    uint64_t term, index;
    int64_t revision; /* at least, when live */
    bool hashkv_known;
    uint32_t hashkv; /* at `revision` */
    bool kubernetes;
};

/* A directory that was looked at when the plan was made: how far it went. */
struct recover_known {
    uint64_t member_id, term, index;
};

struct recover_plan {
    char id[17]; /* random, in hex: part of the names of what is moved aside */
    enum recover_shape shape;
    enum host_layout layout;
    int64_t made_ms;

    uint64_t old_cluster;    /* 0: not known */
    struct mvcc_member *old; /* who belonged to it */
    size_t old_count;
    struct recover_known *known;
    size_t known_count;

    uint64_t cluster_id;
    char *token;
    struct restore_members members;    /* an id of 0: the cluster will choose it */
    size_t order[RESTORE_MEMBERS_MAX]; /* of the hosts; the first begins */

    struct recover_source source;
    int64_t high_water; /* newest revision that is known to have been */
    struct restore_bump bump;
    char *bump_reason; /* bump.reason points here */
    unsigned target_minor;
    struct str_list lost;     /* what is, or may be, a sentence each */
    struct str_list assumed;  /* names of members that the operator vouches are off */
    char *data_dir, *wal_dir; /* on the hosts, unless they say otherwise */
};
void recover_plan_clear(struct recover_plan *p);
void recover_source_clear(struct recover_source *s);

/* ---- making one ---------------------------------------------------------------------
 */

/* May a new cluster be built, and on which copy? Borrowed from the verdict. `wanted` is
 * the path of another candidate than the best; NULL. RC_REFUSED when quorum is there,
 * comes back by starting members, or is not known to be lost, and for a copy that is none
 * to build on; RC_CORRUPT when no copy is sound; RC_USAGE when it does not lie on this
 * host. The hint is what to do instead. */
enum rc recover_choose(const struct recover_verdict *v, const char *wanted,
                       const struct recover_copy **out, struct err *e);

/* RC_REFUSED for a member that runs, other than the one whose directory is built on. */
enum rc recover_check_running(const struct recover_verdict *v,
                              const struct recover_copy *chosen, struct err *e);

struct recover_wish {
    const struct recover_verdict *verdict;
    const struct recover_copy *chosen;
    struct recover_source *source; /* given away */
    enum recover_shape shape;
    enum host_layout layout;
    const char *members; /* NAME=URL,...; NULL: the voters there were */
    const char
        *first;       /* the host that begins; NULL: `here`, the survivor, or the first */
    const char *here; /* the member on whose host the plan is made; NULL: not known */
    enum restore_bump_kind bump;
    int64_t bump_by, high_water; /* high_water: what the operator knows of; 0 */
    bool mark_compacted;
    unsigned target_minor;
    const char *data_dir, *wal_dir;
    const struct str_list *assumed;
    const char *id, *token; /* random, the caller's */
    int64_t now_ms;
};

/* RC_USAGE for members or a bump that cannot be; RC_REFUSED for a source that runs, when
 * all hosts shall have it at once. */
enum rc recover_plan_make(const struct recover_wish *w, struct recover_plan *out,
                          struct err *e);

/* Cluster and member ids from the token and the URLs; also for a plan that was read. */
enum rc recover_plan_identify(struct recover_plan *p, struct err *e);

/* ---- looking at one -----------------------------------------------------------------
 */

const struct restore_member *recover_plan_member(const struct recover_plan *p,
                                                 const char *name);
const struct restore_member *recover_plan_first(const struct recover_plan *p);
/* Does this member build its directory itself, or join as a learner? */
bool recover_plan_builds(const struct recover_plan *p, const char *name);
/* "NAME=URL,NAME=URL,..." in the order of the hosts; heap string. */
enum rc recover_plan_initial(const struct recover_plan *p, const char *only, char **out,
                             struct err *e);

/* Runs of steps that one host takes, in the order of the hosts. */
enum recover_step_kind {
    RECOVER_STEP_BRING, /* a person copies plan and source to the host */
    RECOVER_STEP_STOP,
    RECOVER_STEP_EXPORT, /* a live source, now that it is stopped */
    RECOVER_STEP_BUILD,
    RECOVER_STEP_ASIDE,
    RECOVER_STEP_PUBLISH,
    RECOVER_STEP_JOIN,
    RECOVER_STEP_START,
    RECOVER_STEP_CHECK,
    RECOVER_STEP_AFTER, /* of Kubernetes; by a person */
};
const char *recover_step_name(enum recover_step_kind k); /* "stop" "build" ... */

struct recover_step {
    enum recover_step_kind kind;
    char *host, *action, *command, *check, *undo;
};

struct recover_steps {
    struct recover_step *items;
    size_t count;
};
/* `plan` is the plan file's name, as the commands give it. */
enum rc recover_steps_make(const struct recover_plan *p, const char *plan,
                           struct recover_steps *out, struct err *e);
void recover_steps_clear(struct recover_steps *s);

#endif

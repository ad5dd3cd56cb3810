/* Is anybody of the old cluster still there? Each member is asked at its peer and client
 * URLs, all at once, who it is. A peer URL tells the cluster's id to whoever asks by
 * plain HTTP, also while there is no quorum and clients are not served; and who belongs
 * to it. */
#ifndef RECOVER_PROBE_H
#define RECOVER_PROBE_H

#include "care/look.h"
#include "recover/plan.h"

enum recover_answer {
    RECOVER_NOBODY,   /* no connection */
    RECOVER_SOMEBODY, /* something listens, and does not say who it is */
    RECOVER_KNOWN,    /* cluster_id */
};

struct recover_sighting {
    const char *name; /* of the member whose URL it is; borrowed */
    const char *url;  /* borrowed */
    bool peer;
    enum recover_answer answer;
    uint64_t cluster_id;
    int64_t revision; /* of a client URL that is KNOWN */
    bool has_run;     /* it says so of the scout's `about`; false also: it does not say */
    struct err why;
};

struct recover_sightings {
    struct recover_sighting *items;
    size_t count;
};
void recover_sightings_clear(struct recover_sightings *s);

struct recover_scout {
    care_connect_fn *connect; /* to a client URL */
    void *arg;
    const char *cacert, *cert, *key;    /* for peer URLs; NULL */
    const struct restore_member *about; /* whom they are asked about; NULL */
};

/* Borrows names and URLs from the members. Clients' addresses are asked only of members
 * that did not tell who they are at a peer URL, which is quick, unless the `revisions`
 * are wanted. Fails for want of memory, or when a stop is wanted. */
enum rc recover_probe(const struct recover_scout *scout,
                      const struct mvcc_member *members, size_t count, bool revisions,
                      struct recover_sightings *out, struct err *e);

/* ---- pure ---------------------------------------------------------------------------
 */

/* By the JSON list of members that a peer URL gives: a member that has its id or its name
 * has client URLs there, which etcd makes known once it runs and the cluster has a
 * quorum. A text that is no such list does not say so. RC_NOMEM only. */
enum rc recover_list_has_run(struct bytes list, const struct restore_member *about,
                             bool *has_run, struct err *e);

struct recover_expected {
    uint64_t old_cluster, new_cluster; /* 0: none yet */
    const char *self;               /* a member of the old cluster that may run; NULL */
    const struct str_list *assumed; /* names that are taken for off; NULL */
};

/* RC_REFUSED for a member of the old cluster that runs, for one of a third, and for one
 * of whom it cannot be told. */
enum rc recover_sightings_judge(const struct recover_sightings *s,
                                const struct recover_expected *x, struct err *e);

/* How many members answer for this cluster, at whatever URL. */
size_t recover_sightings_of(const struct recover_sightings *s, uint64_t cluster);
/* The newest revision that one of them told; 0. */
int64_t recover_sightings_revision(const struct recover_sightings *s, uint64_t cluster);

#endif

/* The same start-up for another cluster: initial-cluster, its state and its token are
 * replaced in the file that holds them, and all else stays as it was, comments included.
 *
 * Which file that is: the --config-file if there is one; else the static pod's manifest;
 * else the environment file of the unit that sets them; else, for a unit, a drop-in
 * (UNIT.d/90-holdfast.conf) that restates ExecStart. etcd looks at these settings only
 * where it finds no log, so they matter to a member that joins. force-new-cluster is
 * never written, and taken out where it stands.
 *
 * What was made is read again by the same code that discovers members; a text that
 * does not say what was asked for is never handed out (RC_INTERNAL). */
#ifndef HOST_CHANGE_H
#define HOST_CHANGE_H

#include "host/host.h"

struct host_change {
    const char *initial_cluster; /* "m0=https://10.0.0.1:2380,..." */
    const char *initial_state;   /* "new" or "existing" */
    const char *initial_token;   /* NULL: leave it */
    const char *root; /* where the member was found (host_options); NULL: this machine */
};

struct host_edit {
    char *path;   /* where it belongs; a parked manifest's parked path */
    char *text;   /* the new content */
    bool is_new;  /* there is no such file yet (a drop-in) */
    bool is_same; /* it says all this already */
};
void host_edit_clear(struct host_edit *edit);

/* Makes the text, writes nothing. RC_REFUSED for k3s and RKE2, which write their own; for
 * a process that nothing declares; and where the file is written in a way that is not
 * edited here. The hint has the flags to set by hand. */
enum rc host_change_text(const struct host_member *m, const struct host_change *c,
                         struct host_edit *out, struct err *e);

/* Puts the edit in place: whole or not at all, owner and mode kept. The original stays as
 * host_original_path(path); an original that is already there is never overwritten, so it
 * is the first one. */
enum rc host_change_apply(const struct host_edit *edit, struct err *e);

/* The original back in place, or a new file away. No error when it is so already. */
enum rc host_change_undo(const struct host_edit *edit, struct err *e);

/* "DIR/.NAME.holdfast-original": a name that the kubelet and systemd pass over. Heap. */
enum rc host_original_path(const char *path, char **out, struct err *e);

#endif

/* A systemd service with its drop-ins, as far as an etcd in it matters. */
#ifndef HOST_UNIT_H
#define HOST_UNIT_H

#include "util/str.h"

/* Zero-initialise, name it, add its texts in systemd's order, end with unit_clear. */
struct unit {
    const char *name;            /* "etcd.service", "etcd@m0.service"; borrowed */
    char *exec_start;            /* the last one that was not taken back; NULL: none */
    struct str_list environment; /* NAME=value; what Environment= says */
    struct str_list env_files;   /* as written: "-/etc/default/etcd" */
    struct str_list unset;       /* NAME or NAME=value; what UnsetEnvironment= says */
    char *directory;             /* WorkingDirectory */
};
void unit_clear(struct unit *u);

/* The main file, then each drop-in: an empty assignment takes back what came before.
 * Specifiers (%n %N %p %i %%) are replaced, others stay. */
enum rc unit_add(struct unit *u, struct bytes text, struct err *e);

/* The files of u->name below `root` ("" for this machine), in systemd's order; `except`
 * is the path of a drop-in to leave out, or NULL. RC_NOTFOUND: no such unit. */
enum rc unit_load(struct unit *u, const char *root, const char *except, struct err *e);

#endif

/* Where members are found: one function for each kind of declaration. Internal to the
 * folder; find.c puts their members together. */
#ifndef HOST_SOURCES_H
#define HOST_SOURCES_H

#include "host/find.h"
#include "host/settings.h"

/* What was found so far, and what it costs to look. */
struct search {
    const struct host_options *o;
    const char *root; /* "" for this machine */
    struct host_list list;
};

/* A zeroed member at the end of the list, of this layout. */
enum rc search_add(struct search *s, enum host_layout layout, struct host_member **out,
                   struct err *e);
/* Takes back the last one. */
void search_drop(struct search *s);

/* What failed becomes a remark of the list, RC_NOMEM stays a failure. Missing files are
 * no remark. */
enum rc search_pass(struct search *s, enum rc rc, const struct err *why, struct err *e);

/* Root and path, heap. */
enum rc search_path(const struct search *s, const char *path, char **out, struct err *e);

enum rc search_pods(struct search *s, struct err *e);
enum rc search_units(struct search *s, struct err *e);
enum rc search_k3s(struct search *s, struct err *e);
enum rc search_processes(struct search *s, struct err *e);

/* A manifest's text, as one etcd or none. `m->file` is set already. */
enum rc pod_read(struct bytes text, const char *root, struct host_member *m, bool *found,
                 struct err *e);

/* The member that a unit starts. `root` is "" for this machine. */
struct unit;
/* unit_words: the words of its ExecStart with variables in place, whatever they start;
 * the environment files and what is wrong with them go to m. */
enum rc unit_words(const struct unit *u, const char *root, struct host_member *m,
                   struct str_list *out, struct err *e);
enum rc unit_read(const struct unit *u, const char *root, struct host_member *m,
                  bool *found, struct err *e);

/* Replaces what follows a flag that takes a secret. */
void mask_secrets(struct str_list *command);

#endif

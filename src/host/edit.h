/* Settings of etcd replaced in the text of a file, line by line: what is not about them
 * stays as it is. */
#ifndef HOST_EDIT_H
#define HOST_EDIT_H

#include "host/change.h"

enum edit_form {
    EDIT_POD,    /* "- --initial-cluster=..." in a manifest's list */
    EDIT_ENV,    /* ETCD_INITIAL_CLUSTER="..." in an environment file */
    EDIT_CONFIG, /* initial-cluster: "..." in etcd's configuration file */
};

/* Heap text. What is missing is put behind the last flag of a pod, or at the end of the
 * other two. force-new-cluster goes. */
enum rc edit_text(struct bytes text, enum edit_form form, const struct host_change *c,
                  char **out, struct err *e);

/* The same for a command line: the words of an etcd with its flags. */
enum rc edit_command(const struct str_list *words, const struct host_change *c,
                     struct str_list *out, struct err *e);

/* "--initial-cluster=A --initial-cluster-state=B ...", quoted for a shell. Heap. */
enum rc edit_flags(const struct host_change *c, char **out, struct err *e);

#endif

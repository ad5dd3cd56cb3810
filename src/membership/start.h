/* How a new member is started on its host: the flags, or the same as an environment file,
 * a systemd unit or a static pod. Every one of them says that the cluster exists already,
 * and names all its members. */
#ifndef MEMBERSHIP_START_H
#define MEMBERSHIP_START_H

#include "membership/run.h"

enum membership_form {
    MEMBERSHIP_FLAGS, /* a command line for a shell */
    MEMBERSHIP_ENV,   /* ETCD_NAME=..., for an EnvironmentFile or a shell */
    MEMBERSHIP_UNIT,
    MEMBERSHIP_POD, /* as kubeadm lays out a host */
};

struct membership_place {
    enum membership_form form;
    const char *data_dir; /* of the new host */
    const char *cert_dir; /* of the new host: ca.crt, server.crt, server.key, peer.crt,
                             peer.key, for what is https; NULL: what kubeadm has for a
                             pod, else /etc/etcd/pki */
};

/* Text with a newline at its end, for mem_free. What comes from members' names is quoted
 * as the form needs. RC_USAGE for an address without a host. */
enum rc membership_start_text(const struct membership_look *l,
                              const struct membership_new *who,
                              const struct membership_place *place, char **out,
                              struct err *e);

/* "m0=http://10.0.0.1:2380,m1=..." of all that have started, and of `who`. */
enum rc membership_initial(const struct membership_look *l,
                           const struct membership_new *who, char **out, struct err *e);

/* RC_USAGE unless it is "http[s]://host:port". */
enum rc membership_check_url(const char *url, struct err *e);

/* "NAME=URL" or "NAME=URL,NAME=URL" for one member; the name is a heap string. */
enum rc membership_parse_new(const char *text, char **name, struct str_list *urls,
                             struct err *e);

#endif

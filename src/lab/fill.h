/* What a new lab is furnished with. */
#ifndef LAB_FILL_H
#define LAB_FILL_H

#include "lab/lab.h"

/* A CA, and certificates that it has signed, into `pki`. */
enum rc lab_fill_pki(const struct lab *l, struct err *e);

/* `keys` keys like a control plane's: /registry/pods/lab/pod-000001 and so on. */
enum rc lab_fill_keys(const struct lab *l, uint64_t keys, struct err *e);

/* The user root with a random password, which goes into `root.password`; then turns
 * authentication on. */
enum rc lab_fill_auth(struct lab *l, struct err *e);

#endif

/* For whom a backup is encrypted, as fingerprints of the recipients. */
#ifndef REPO_SEAL_H
#define REPO_SEAL_H

#include "crypto/age_keys.h"
#include "util/str.h"

/* manifest_fingerprint() of each, in order of the texts. */
enum rc repo_fingerprints(const struct age_recipients *to, struct str_list *out,
                          struct err *e);

/* RC_REFUSED unless both name the same recipients. */
enum rc repo_check_recipients(const struct str_list *promised,
                              const struct str_list *given, struct err *e);

#endif

/* The files of a host that a list of paths stands for. */
#ifndef BUNDLE_GATHER_H
#define BUNDLE_GATHER_H

#include "bundle/bundle.h"

/* One file, whole in memory; borrowed for the call. */
struct bundle_file {
    const char *name; /* below files/ */
    struct bytes content;
    uint32_t mode, uid, gid;
    int64_t modified_s;
};
typedef enum rc bundle_file_fn(void *arg, const struct bundle_file *f, struct err *e);

/* In the order of the paths, and of names inside of directories; a file that several
 * paths name comes once. Fails as bundle_pack_new does. */
enum rc bundle_gather(const struct bundle_options *o, struct bundle_report *report,
                      bundle_file_fn *fn, void *arg, struct err *e);

#endif

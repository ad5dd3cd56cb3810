/* What a snapshot file is: raw, compressed, encrypted. Its name says it when it is
 * written (.db, .db.zst, .db.age, .db.zst.age); its first bytes say it when it is read.
 */
#ifndef SNAPSHOT_KIND_H
#define SNAPSHOT_KIND_H

#include <stdbool.h>

#include "util/bytes.h"

struct snap_kind {
    bool zstd, age;
};

/* By suffix; any other name is raw, as etcdctl has it. */
struct snap_kind snap_kind_of_name(const char *file);

/* By content: is this the start of an age file (binary or armored), of a zstd frame? At
 * least 35 bytes tell, or all there are. */
bool snap_looks_age(struct bytes head);
bool snap_looks_zstd(struct bytes head);

#endif

/* A restore plan as a file: one for all hosts, JSON, readable by a person.
 *
 * {"plan_id","kind":"restore","cluster_id","cluster_id_hex","token","source":{"file",
 *  "database_sha256","revision"},"bump":{"by","mark_compacted","reason"},
 *  "target_minor","skip_hash_check","members":[{"name","id","id_hex","peer_urls"}],
 *  "steps":[{"n","host","action","command","check","undo"}]} */
#ifndef RESTORE_PLANFILE_H
#define RESTORE_PLANFILE_H

#include "restore/restore.h"
#include "util/json.h"

struct restore_plan_source {
    const char *file;
    uint8_t database_sha256[SHA256_SIZE];
    int64_t revision;
    struct restore_bump bump; /* decided, the same for all hosts */
};

/* The plan as JSON text for the caller to write. */
enum rc restore_planfile_render(const struct restore_plan *p,
                                const struct restore_plan_source *source,
                                struct json **out, struct err *e);

/* Reads a plan and makes it that of the member `name`. All ids are computed again from
 * what they cover; RC_CORRUPT when the file says others, for hosts with different plans
 * make members that differ. *file is the snapshot's path as
 * recorded, for the caller to free. */
enum rc restore_planfile_load(const char *path, const char *name, const char *data_dir,
                              const char *wal_dir, struct restore_plan *out, char **file,
                              struct err *e);

#endif

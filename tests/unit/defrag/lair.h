/* A stopped member's data directory, or a snapshot, with a database that real etcd wrote.
 */
#ifndef TESTS_UNIT_DEFRAG_LAIR_H
#define TESTS_UNIT_DEFRAG_LAIR_H

#include "defrag/defrag.h"
#include "tests/flow/golden.h"

struct lair {
    const char *dir;               /* scratch */
    char data_dir[256], snap[300]; /* snap: the directory of the database */
    char db[320], segment[320];    /* of the log */
    char snapshot[320];            /* with its SHA-256, or without */
    struct buf old;                /* what `db` or `snapshot` holds */
};

/* Makes DIR/d/member/snap/db and DIR/d/member/wal/0...0.wal; or DIR/s/x.db. */
void lair_data_dir(struct lair *l);
void lair_snapshot(struct lair *l, bool trailer);
void lair_clear(struct lair *l);
#define LAIR AT_END(lair_clear) struct lair

/* Requests about it. */
struct defrag_request lair_defrag(const struct lair *l);
enum rc lair_run(const struct defrag_request *q, struct defrag_done *out, struct err *e);

/* What the log heard last. */
extern char lair_log[1024];

#endif

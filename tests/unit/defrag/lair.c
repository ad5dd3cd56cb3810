#include "tests/unit/defrag/lair.h"

#include "util/log.h"

char lair_log[1024];

static void hear(enum log_level level, const char *line, void *arg)
{
    (void)arg;
    (void)level;
    snprintf(lair_log, sizeof lair_log, "%s", line);
}

static void make_dir(const char *path)
{
    struct err e = { 0 };

    OK(os_mkdir(AT_FDCWD, path, &e), &e);
}

void lair_data_dir(struct lair *l)
{
    char path[320];

    *l = (struct lair){ .dir = tmpdir_new() };
    lair_log[0] = '\0';
    log_to(hear, NULL);
    snprintf(l->data_dir, sizeof l->data_dir, "%s/d", l->dir);
    snprintf(l->snap, sizeof l->snap, "%s/member/snap", l->data_dir);
    snprintf(l->db, sizeof l->db, "%s/db", l->snap);
    snprintf(l->segment, sizeof l->segment,
             "%s/member/wal/0000000000000000-0000000000000000.wal", l->data_dir);
    make_dir(l->data_dir);
    snprintf(path, sizeof path, "%s/member", l->data_dir);
    make_dir(path);
    make_dir(l->snap);
    snprintf(path, sizeof path, "%s/member/wal", l->data_dir);
    make_dir(path);
    golden_write(l->segment, "log", 3);
    l->old = golden_snapshot("3.5");
    l->old.n -= GOLDEN_TRAILER;
    golden_write(l->db, l->old.p, l->old.n);
}

void lair_snapshot(struct lair *l, bool trailer)
{
    *l = (struct lair){ .dir = tmpdir_new() };
    lair_log[0] = '\0';
    log_to(hear, NULL);
    snprintf(l->snap, sizeof l->snap, "%s/s", l->dir);
    snprintf(l->snapshot, sizeof l->snapshot, "%s/x.db", l->snap);
    make_dir(l->snap);
    l->old = golden_snapshot("3.6");
    l->old.n -= trailer ? 0 : GOLDEN_TRAILER;
    golden_write(l->snapshot, l->old.p, l->old.n);
}

void lair_clear(struct lair *l)
{
    log_to(NULL, NULL);
    buf_clear(&l->old);
}

struct defrag_request lair_defrag(const struct lair *l)
{
    struct defrag_request q = { .goal = { .kind = DEFRAG_ALL } };

    if (l->snapshot[0] != '\0')
        q.place.snapshot = l->snapshot;
    else
        q.place.data_dir = l->data_dir;
    return q;
}

enum rc lair_run(const struct defrag_request *q, struct defrag_done *out, struct err *e)
{
    AT_END(findings_clear) struct findings f = { 0 };
    struct defrag_done ignored;

    return defrag_run(q, &f, out == NULL ? &ignored : out, e);
}

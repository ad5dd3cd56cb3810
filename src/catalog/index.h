/* What a host remembers of repositories, in DIR/catalog.sqlite: the records it has seen,
 * the highest head (marks), what ran, and drills. Only the marks are more than a copy:
 * they tell a store that has lost or hidden its newest records. */
#ifndef CATALOG_INDEX_H
#define CATALOG_INDEX_H

#include "catalog/chain.h"
#include "sql/sql.h"

/* Makes DIR/catalog.sqlite in the state directory, which must exist. Checks its
 * integrity: a damaged one is put aside, as if it had been lost, and with a warning. */
struct index;
enum rc index_open(const char *dir, struct index **out, struct err *e);
void index_free(struct index *x);
OWN_DEFINE(index)

/* Replaces all records of this cluster by those of the list, in one transaction. */
struct index_record {
    uint64_t sequence;
    struct bytes record, signature;
};
enum rc index_rebuild(struct index *x, const char *repo, const char *cluster,
                      const struct index_record *items, size_t count, struct err *e);
enum rc index_put(struct index *x, const char *repo, const char *cluster,
                  const struct index_record *r, struct err *e);
enum rc index_forget(struct index *x, const char *repo, const char *cluster,
                     uint64_t sequence, struct err *e);

/* One of them; `found` tells whether there is one. The caller clears both. */
enum rc index_get(struct index *x, const char *repo, const char *cluster,
                  uint64_t sequence, struct buf *record, struct buf *signature,
                  bool *found, struct err *e);

/* All of a cluster's records, by sequence, into a chain (chain_new, not yet closed). */
enum rc index_chain(struct index *x, struct chain *into, struct err *e);

/* The mark: only ever raised. `found` false and zeros when there is none. `whence` of it
 * is static text. */
enum rc index_mark(struct index *x, const char *repo, const char *cluster,
                   struct chain_mark *out, bool *found, struct err *e);
enum rc index_raise(struct index *x, const char *repo, const char *cluster,
                    const struct chain_mark *mark, struct err *e);

/* What ran, with its end; texts may be NULL. */
struct index_run {
    const char *kind;     /* "backup", "prune", "verify", ... */
    int64_t begun, ended; /* seconds since 1970 */
    int code;             /* exit status */
    const char *outcome;  /* a sentence */
    uint64_t sequence;    /* of the record it wrote; 0: none */
};
enum rc index_add_run(struct index *x, const char *repo, const char *cluster,
                      const struct index_run *run, struct err *e);
typedef enum rc index_run_fn(void *arg, const struct index_run *run, struct err *e);
/* The newest first, at most `limit`. `kind` NULL: all. */
enum rc index_runs(struct index *x, const char *repo, const char *cluster,
                   const char *kind, size_t limit, index_run_fn *fn, void *arg,
                   struct err *e);

/* A drill of a stored backup. */
struct index_drill {
    uint64_t sequence;
    int64_t begun; /* seconds since 1970 */
    int code;      /* exit status */
    uint64_t rto_ms, rpo_ms;
    const char *report; /* JSON */
};
enum rc index_add_drill(struct index *x, const char *repo, const char *cluster,
                        const struct index_drill *d, struct err *e);
typedef enum rc index_drill_fn(void *arg, const struct index_drill *d, struct err *e);
enum rc index_drills(struct index *x, const char *repo, const char *cluster, size_t limit,
                     index_drill_fn *fn, void *arg, struct err *e);

#endif

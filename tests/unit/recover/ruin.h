/* A host after the disaster: the directory that a real etcd left, a plan to build a new
 * cluster of three on it, and hands that only remember what they were asked for. */
#ifndef TESTS_UNIT_RECOVER_RUIN_H
#define TESTS_UNIT_RECOVER_RUIN_H

#include "recover/apply.h"
#include "tests/lib/case.h"

struct ruin {
    const char *dir; /* holds all of it */
    char data[400], source[400];
    struct recover_copies copies;
    struct recover_plan plan;
    struct recover_job job;
    struct recover_outcome out;
    struct err e;

    /* The host. */
    bool running, by_hand;
    unsigned stops, starts, joins, checks;
    struct recover_sightings seen; /* who answers; items borrowed */
    enum recover_health health;
};

/* etcd 3.6's directory in dir/data, its state in dir/source.db, `first` and two others.
 */
void ruin_make(struct ruin *r);
void ruin_clear(struct ruin *r);
#define RUIN [[gnu::cleanup(ruin_clear)]] struct ruin

/* The plan, again and otherwise: `live` for a survivor that still runs. */
void ruin_plan(struct ruin *r, enum recover_shape shape, bool live);

enum rc ruin_apply(struct ruin *r);
enum rc ruin_back(struct ruin *r);

/* "data.before-ID", "" when that is not there. */
const char *ruin_aside(const struct ruin *r);
/* What a directory is: 'o' the old one, untouched; 'n' a new one, whole; '-' nothing. */
char ruin_is(const struct ruin *r, const char *path);
/* Everything as it was before anything was applied. */
void ruin_reset(struct ruin *r);

#endif

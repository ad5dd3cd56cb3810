/* Databases of many small pages, with the leaves of their past lying in free pages. */
#ifndef TESTS_UNIT_SALVAGE_FORGERY_H
#define TESTS_UNIT_SALVAGE_FORGERY_H

#include "util/bytes.h"

struct forgery_options {
    unsigned keys, steps;
    unsigned value_max; /* larger ones get overflow pages */
    int64_t compacted;  /* 0: never */
    bool past;          /* free pages hold every leaf of before the compaction */
    bool fork;          /* and leaves of another life: the newest revisions differ */
    unsigned next;      /* one more commit, in pages of its own, of so many more steps */
    int64_t next_compacted; /* and compacted again: 0: not */
    uint64_t seed;
};

/* Pages of 512 bytes: a tree of three levels and more. For buf_clear. */
struct buf forgery_make(const struct forgery_options *o);

#endif

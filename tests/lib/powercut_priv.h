/* What powercut.c records and powercut_disk.c makes disks of. */
#ifndef TESTS_LIB_POWERCUT_PRIV_H
#define TESTS_LIB_POWERCUT_PRIV_H

#include <sys/stat.h>

#include "tests/lib/powercut.h"
#include "util/bytes.h"

enum { ROOTS_MAX = 4, NAME_SIZE = 256, NOTE_SIZE = 300, NOBODY = -1 };

/* A file or a directory, by the number it had. */
struct node {
    dev_t device;
    ino_t number; /* 0: another one has this number now */
    bool directory;
    struct buf bytes; /* of a file, when the recording began */
};

/* A name in a directory. */
struct entry {
    int directory, node;
    char name[NAME_SIZE];
};

struct entries {
    struct entry *items;
    size_t count;
};

enum kind { WRITTEN, CUT, NAMED, UNNAMED, MOVED, SYNCED, OTHER };

struct call {
    enum kind kind;
    int node; /* whose bytes, or who got the name, or what was synced */
    uint64_t at;
    uint8_t *p;
    size_t n;
    struct entry from, to; /* NAMED, MOVED: to; UNNAMED, MOVED: from */
    size_t aside;          /* how SQLite's files were after it: index of `asides` */
    char note[NOTE_SIZE];
};

/* A file of SQLite at some moment. */
struct aside {
    struct entry *names;
    struct buf *bytes;
    size_t count;
};

struct powercut {
    const char *roots[ROOTS_MAX];
    size_t root_count;
    struct node *nodes;
    size_t node_count;
    struct entries before;
    struct call *calls;
    size_t call_count;
    struct aside *asides;
    size_t aside_count;
    uint64_t *made; /* the disks so far, by their sums */
    size_t made_count;
    bool lies;
};

/* The array with room for one more, which is zero; fails the test. */
void *powercut_one_more(void *items, size_t count, size_t size);
void powercut_add(struct entries *l, const struct entry *x);

#endif

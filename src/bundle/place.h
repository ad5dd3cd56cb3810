/* The directory that a bundle is unpacked into: made beside its name, under a temporary
 * one, and renamed when all of it is durable. */
#ifndef BUNDLE_PLACE_H
#define BUNDLE_PLACE_H

#include "util/str.h"

struct place {
    int parent, dir;
    char *path, temp[256];
    const char *base;     /* inside `path` */
    struct str_list made; /* directories below it */
};

/* Zeroed but for the descriptors: -1. */
enum rc place_open(struct place *p, const char *path, struct err *e);

/* A new file of mode 0600 below it, and the directories it needs; RC_CORRUPT when the
 * name cannot be had, which is how two members get into each other's way. */
enum rc place_file(struct place *p, const char *name, int *out, struct err *e);

/* Makes all durable and gives it its name; RC_REFUSED when that is taken. */
enum rc place_publish(struct place *p, struct err *e);

/* Removes what was not published. */
void place_close(struct place *p);

#endif

/* The directory of a lab and what is written down there. */
#ifndef LAB_PLACE_H
#define LAB_PLACE_H

#include "lab/lab.h"

/* The i-th member is called m1, m2, ... */
void lab_place_name(struct lab_member *m, size_t i);

/* Makes the directory, or takes an empty one that belongs to us, and locks it. */
enum rc lab_place_make(struct lab *l, struct err *e);

/* Opens and locks an existing one, and reads what is written there. */
enum rc lab_place_open(struct lab *l, bool to_change, struct err *e);

/* Writes down what is known now: the old text or the new one, never half of it. */
enum rc lab_place_save(const struct lab *l, struct err *e);

/* Removes what a lab makes; *left when something else is there. */
enum rc lab_place_remove(struct lab *l, bool *left, struct err *e);

/* A new file of mode 0600 with this text. */
enum rc lab_place_write(const struct lab *l, const char *name, const char *text,
                        struct err *e);

#endif

#ifndef TESTS_UNIT_LAB_FIXTURE_H
#define TESTS_UNIT_LAB_FIXTURE_H

#include "lab/lab.h"

/* A lab of `members` in dir/lab, with ports and no processes; nothing is made on disk. */
struct lab *fixture_lab(const char *dir, size_t members);

#endif

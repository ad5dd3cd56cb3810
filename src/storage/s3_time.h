/* Times as S3 writes them; all are seconds since 1970, in UTC. */
#ifndef STORAGE_S3_TIME_H
#define STORAGE_S3_TIME_H

#include <stdbool.h>
#include <stdint.h>

/* "2026-11-21T15:03:14.123Z" of a list, with or without the fraction; milliseconds. */
bool s3_time_from_iso(const char *text, int64_t *out_ms);

void s3_time_stamp(char out[static 32], int64_t seconds); /* "20261121T150314Z" */

#endif
